"""What reads stored files: the commands, the cache of classifiers and the stores of studies."""

import contextlib
import functools
import hashlib
import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.command_line import main
from agents.commands.evaluate import evaluate
from agents.commands.train import train
from agents.configuration import TrainingConfiguration
from agents.environments import EnvironmentMaker
from agents.evaluation.curves import Job, play_all
from agents.evaluation.reports import report
from agents.evaluation.store import Store
from agents.learners.learner import make_learner
from agents.run_folders import save_configuration
from autoloss_gym.controllers.policies.static import Ratio
from autoloss_gym.data.image_source import ImageSource
from autoloss_gym.data.sentences import storage
from autoloss_gym.data.sentences.text_source import TextSource
from autoloss_gym.scoring import classifiers
from autoloss_gym.tools import cache
from tests.data.sentences.own_corpora import write_corpus

# Loaded here, once, instead of in each process that is forked.
for _name in ("torch._dynamo", "sklearn.datasets", "yaml", "agents.commands.benchmark"):
    importlib.import_module(_name)
torch.set_num_threads(1)  # a process with threads cannot be forked

ID = "AutoLoss/Beale-v1"
SMALL = {"max_steps": 20}
OFF_POLICY = {"learning_starts": 20, "buffer_size": 60, "batch_size": 8, "train_freq": 1}
HYPERPARAMETERS = {
    "ppo": {"n_steps": 10, "batch_size": 20, "n_epochs": 1},
    "reinforce": {},
    "dqn": OFF_POLICY,
}


@dataclass(frozen=True)
class Subject:
    """Something that reads a folder.

    Args:
        name: of it.
        make: fills an empty folder.
        files: patterns of the files in it that are read.
        run: reads them, and works on; its exit status.
        result: what it leaves, as bytes.
    """

    name: str
    make: Callable[[Path], Any]
    files: tuple[str, ...]
    run: Callable[[Path], int]
    result: Callable[[Path], bytes]


def _command(command: Callable[..., None], *arguments: Any) -> int:
    given = [str(argument) for argument in arguments]
    return main(functools.partial(command, given, "command"), "command")


def _begin_training(algo: str, folder: Path, saves: int = 1) -> None:
    """Train in the folder until so many checkpoints are written."""
    configuration = TrainingConfiguration(
        algo=algo,
        env=ID,
        env_kwargs=SMALL,
        num_envs=2,
        n_timesteps=160,
        seed=1,
        hyperparameters=HYPERPARAMETERS[algo],
        checkpoint_every=40,
    )
    save_configuration(folder, configuration)
    learner = make_learner(configuration)
    save: Any = learner._save

    def save_and_stop(where: Path) -> None:
        nonlocal saves
        save(where)
        saves -= 1
        if not saves:
            raise KeyboardInterrupt

    learner._save = save_and_stop
    with contextlib.suppress(KeyboardInterrupt):
        learner.train(folder)


def _resume_training(folder: Path) -> int:
    return _command(train, "--resume", folder)


def _weights(folder: Path) -> bytes:
    return (folder / "policy.safetensors").read_bytes()


def _judge(algo: str, folder: Path) -> int:
    """Evaluate the policy of a run folder."""
    _draw_nothing()
    policies = ["--policies", f"{algo}:{folder}", "1:1:1"]
    kwargs = [f"{name}={value}" for name, value in SMALL.items()]
    where = ["--env", ID, "--env-kwargs", *kwargs, "--episodes", 3, "-o", folder / "results"]
    return _command(evaluate, *where, *policies)


def _table(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("results.csv")))


def _begin_evaluation(folder: Path) -> None:
    _draw_nothing()
    kwargs = [f"{name}={value}" for name, value in SMALL.items()]
    where = ["--env", ID, "--env-kwargs", *kwargs, "--episodes", 3, "-o", folder]
    assert _command(evaluate, *where, "--policies", "1:1:1", "random:0.2,0.3,0.5") == 0


def _resume_evaluation(folder: Path) -> int:
    _draw_nothing()
    (result,) = folder.iterdir()
    for path in result.rglob("results.csv"):
        path.unlink()
    return _command(evaluate, "--resume", result)


def _draw_nothing() -> None:
    """Pictures are not read, and take longer than all the rest."""
    report.draw = lambda *arguments: None


def _train_classifier(folder: Path) -> int:
    recipe = classifiers.training.RECIPES["perceptron"]
    classifiers.training.RECIPES["perceptron"] = replace(recipe, steps=3)
    cache.cache_folder = lambda: folder
    found = classifiers.load_classifier(ImageSource("digits"))
    digest = hashlib.sha256(repr(found.accuracy).encode())
    for tensor in (*found.weights, *found.biases):
        digest.update(tensor.numpy().tobytes())
    (folder / "result").write_bytes(digest.digest())
    return 0


def _encode_text(folder: Path) -> int:
    cache.cache_folder = lambda: folder
    storage.cache_folder = cache.cache_folder
    corpus = TextSource(str(write_corpus(folder.parent / "text")), source_words=200).load()
    (folder / "result").write_bytes(corpus.digest.encode())
    return 0


def _play_curves(folder: Path) -> int:
    job = Job(EnvironmentMaker(ID, SMALL), Ratio("1:1:1", (1, 1, 1)), (0, 1), (10, 20))
    (curve,) = play_all([job], Store(folder / "curves"))
    (folder / "result").write_bytes(np.ascontiguousarray(curve).tobytes())
    return 0


def _result(folder: Path) -> bytes:
    return (folder / "result").read_bytes()


def _subjects() -> list[Subject]:
    found = []
    for algo in HYPERPARAMETERS:
        begun = functools.partial(_begin_training, algo)
        trained = functools.partial(_begin_training, algo, saves=3)
        judge = functools.partial(_judge, algo)
        files = ("config.json", "checkpoint.safetensors", "checkpoint.safetensors")
        found.append(Subject(f"train --resume, {algo}", begun, files, _resume_training, _weights))
        files = ("config.json", "policy.safetensors")
        found.append(Subject(f"evaluate {algo}", trained, files, judge, _table))
    files = ("*/command.json", "*/episodes/*")
    found.append(Subject("evaluate --resume", _begin_evaluation, files, _resume_evaluation, _table))
    found.append(
        Subject("classifiers", _train_classifier, ("*.safetensors",), _train_classifier, _result)
    )
    found.append(Subject("text", _encode_text, ("*.safetensors",), _encode_text, _result))
    found.append(Subject("curves", _play_curves, ("curves/*",), _play_curves, _result))
    return found


SUBJECTS = _subjects()
