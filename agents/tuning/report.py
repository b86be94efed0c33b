"""What a study has found: a table of its best trials, and a file that a training takes."""

import json
import shlex
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.trial import FrozenTrial, TrialState

from autoloss_gym.tools.files import write_text

from .ledger import taken
from .settings import Settings
from .space import Space

BEST = "best.yml"
TABLE = "table.txt"
_ROWS = 10
_WORDS = {
    TrialState.COMPLETE: "played to the end",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "being played",
}


def best_trials(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that were played to the end, from the best to the worst."""
    played = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    sign = 1 if study.direction == optuna.study.StudyDirection.MINIMIZE else -1
    return sorted(played, key=lambda trial: (sign * (trial.value or 0.0), trial.number))


def table(study: optuna.Study, space: Space) -> str:
    """The best trials with what they change, that with nothing changed, and the count of all."""
    found = best_trials(study)
    chosen = found[:_ROWS]
    chosen += [each for each in found[_ROWS:] if not space.changes(each.params)][:1]
    lines = [f"{'trial':>6}  {'best_score':>11}  settings"]
    for trial in chosen:
        changes = space.changes(trial.params)
        words = [f"{name}={_text(value)}" for name, value in changes.items()]
        value = f"{trial.value:.4g}"
        lines.append(f"{trial.number:>6}  {value:>11}  {' '.join(words) or 'those to begin with'}")
    return "\n".join([*lines, "", counted(study)])


def counted(study: optuna.Study) -> str:
    """How many trials there are, and how they ended."""
    counts = Counter(trial.state for trial in taken(study))
    parts = [f"{counts[state]} {words}" for state, words in _WORDS.items() if counts[state]]
    return f"{counts.total()} trials: {', '.join(parts)}"


def save_best(
    folder: Path, settings: Settings, hyperparameters: Mapping[str, Any], remark: str
) -> Path:
    """Write the settings as `--conf-file` takes them.

    Args:
        folder: of the study.
        settings: of the study.
        hyperparameters: of the best trial.
        remark: stands above them.
    """
    configuration = settings.configuration
    id = configuration.env.rpartition(":")[2]
    content = {
        id: {
            "num_envs": configuration.num_envs,
            "n_timesteps": configuration.n_timesteps,
            **json.loads(json.dumps(hyperparameters)),
        }
    }
    path = folder / BEST
    words = ["--env", configuration.env, "--algo", configuration.algo]
    if configuration.env_kwargs:
        kwargs = [f"{name}={_text(value)}" for name, value in configuration.env_kwargs.items()]
        words += ["--env-kwargs", *kwargs]
    command = shlex.join([*words, "--conf-file", str(path)])
    head = f"# {remark}\n# autoloss train {command}\n"
    write_text(path, head + yaml.safe_dump(content, sort_keys=False, default_flow_style=None))
    return path


def _text(value: Any) -> str:
    """A value as the command line takes it."""
    return value if isinstance(value, str) else json.dumps(value)
