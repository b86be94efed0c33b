"""Models in Stable-Baselines3's own zip files, which can run code when they are read."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.save_util import load_from_zip_file

from autoloss_gym.controllers.policies.draws import Draws
from autoloss_gym.tools.forms import Array

from ...learners.stable_baselines3 import algorithm_class
from .trained_policy import choose_actions


class ZipPolicy:
    """A model of `algorithm.save("model.zip")`. Actions are drawn as by `TrainedPolicy`.

    Args:
        algo: name of its algorithm.
        path: the file. Reading it unpickles objects: it must come from someone who is trusted.
        deterministic: take the most probable action instead of drawing one.

    Raises:
        ValueError: the file is not a model of that algorithm.
    """

    static = False
    diagnostics = False

    def __init__(self, algo: str, path: Path, deterministic: bool = False) -> None:
        self.label = algo
        self._path = path
        self._deterministic = deterministic
        self.env_arguments: dict[str, Any] = {}
        try:
            self._model = algorithm_class(algo).load(path, device="cpu")
        except Exception as error:  # unpickling a foreign file may raise anything
            reason = " ".join(str(error).split())
            raise ValueError(
                f"{str(path)!r} cannot be read as a model of {algo} ({reason})"
            ) from None
        _check_weights(path, self._model)
        self._model.policy.set_training_mode(False)
        self._digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"ZipPolicy({self.label!r}, {self._deterministic}, {self._digest})"

    def reset(self, seeds: np.ndarray) -> None:
        self._draws = Draws(seeds, "policy")

    def act(self, observations: np.ndarray, infos: dict[str, Any]) -> np.ndarray:
        expected = self._model.observation_space
        if not isinstance(expected, spaces.Box) or expected.shape != observations.shape[1:]:
            raise ValueError(
                f"{str(self._path)!r} was trained on observations {expected.shape}, this "
                f"environment has {observations.shape[1:]}: give the --env-kwargs of its training"
            )
        return choose_actions(self._model.policy, observations, self._draws, self._deterministic)


def _check_weights(path: Path, model: BaseAlgorithm) -> None:
    """ValueError for weights that the model has taken over, cast, or that are not finite."""
    expected = {name: Array.like(value) for name, value in model.policy.state_dict().items()}
    stored: Any = load_from_zip_file(path, load_data=False, device="cpu")[1]
    for name, tensor in stored["policy"].items():
        found = Array.like(tensor)
        if found != expected[name]:
            raise ValueError(f"{str(path)!r}: {name} is {found}, expected {expected[name]}")
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{str(path)!r}: {name} holds NaN or infinities")
