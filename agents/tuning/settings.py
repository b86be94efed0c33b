"""What a study was told, as its folder keeps it; imports nothing slow."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from autoloss_gym.tools.forms import OneOf, Text, Whole
from autoloss_gym.tools.stored import read_values, write_values

from ..configuration import MOST_RUNS, TrainingConfiguration
from ..run_folders import CONFIGURATION

FILE = "study.json"
MOST_TRIALS = 100_000
MOST_SEEDS = 1000
_OWN = {
    "name": Text(),
    "storage": OneOf(("journal", "file", "database")),
    "trials": Whole(1, MOST_TRIALS),
    "episodes": Whole(1, MOST_RUNS // 2),
    "confirm_seeds": Whole(0, MOST_SEEDS),
    "pruning": OneOf((False, True)),
}


Kind = Literal["journal", "file", "database"]


def storage_kind(storage: str | None) -> Kind:
    """What `--storage` names; "journal" is that in the folder of the study."""
    if storage is None:
        return "journal"
    return "database" if "://" in storage else "file"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that determines a study, beside where its trials are recorded.

    Args:
        configuration: of the trainings: the values to begin with.
        name: of the study in its storage.
        storage: the journal in the folder, another file, or a database. Which one is not kept: an
            address may hold a password, and nothing that only a folder names is written to.
        trials: of the whole study.
        episodes: validation problems that a trial is scored on.
        confirm_seeds: trainings of the best settings and of those to begin with, at the end.
        pruning: whether trials end early that are worse than half of the others.
    """

    configuration: TrainingConfiguration
    name: str
    storage: Kind
    trials: int
    episodes: int
    confirm_seeds: int
    pruning: bool

    def plain(self) -> dict[str, Any]:
        """The same as one mapping of plain values."""
        own = {name: getattr(self, name) for name in _OWN}
        return {**asdict(self.configuration), **own}

    def save(self, folder: Path) -> None:
        """Keep it in the folder of the study."""
        write_values(folder / FILE, self.plain())


def load_settings(folder: Path) -> Settings:
    """The settings of the study in a folder.

    Raises:
        ValueError: the folder is not one, or its file is damaged or from a newer version.
    """
    path = folder / FILE
    if not path.exists():
        raise ValueError(f"{str(folder)!r} is not a folder of a study: it holds no {FILE}")
    content = read_values(path, CONFIGURATION | _OWN)
    names = [field.name for field in fields(TrainingConfiguration)]
    of_training = {name: content.pop(name) for name in names if name in content}
    return Settings(configuration=TrainingConfiguration(**of_training), **content)
