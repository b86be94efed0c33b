"""A trained controller as a wheel carries it: a small network, what it sees, what it decides."""

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from autoloss_gym.controllers import files
from autoloss_gym.controllers.networks.perceptron import Perceptron
from autoloss_gym.controllers.networks.shift_network import ShiftNetwork
from autoloss_gym.controllers.policies.draws import Draws
from autoloss_gym.controls import CONTROLS, ActionControl, HoldSchedule
from autoloss_gym.signals.description import RunDescription
from autoloss_gym.signals.features import Features
from autoloss_gym.tools.arguments import build, pick
from autoloss_gym.tools.bounds import NonNegativeInt, PositiveInt
from autoloss_gym.tools.fields import check_fields

FILE = "controller.safetensors"  # in a run folder
# What the outputs of the network are: logits of pairs, or of one entry after another; the values of
# pairs; the mean of an action; an action within [-1, 1] that is stretched to the action space.
Form = Literal["logits", "several", "values", "mean", "squashed", "shift"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Controller:
    """What a training has learned, free of its environment: a policy, and for a `Scheduler`.

        controller = Controller.load("runs/ppo/AutoLoss-QuadraticRegression-v1_1")

    Args:
        label: name of the algorithm that trained it.
        seed: of its training; its draws depend on it.
        description: of the runs that it was trained on.
        control: name of what an action is, see `autoloss_gym.controls.CONTROLS`.
        control_arguments: of that control; plain values.
        scaling, drop, add: of the features that it sees.
        repeat: updates that an action holds.
        network: from observations to outputs.
        form: what the outputs are.
        deviations: of the actions that are drawn around the mean, (entries,); None for none.
        deterministic: whether the most probable action takes the place of a drawn one.
        training_runs: behind it, all in all; 0 where they are not known.
    """

    static: ClassVar[bool] = False
    diagnostics: ClassVar[bool] = False

    label: str
    seed: NonNegativeInt
    description: RunDescription
    control: str
    control_arguments: Mapping[str, Any] = field(default_factory=dict)
    scaling: str = "scaled"
    drop: tuple[str, ...] = ()
    add: tuple[str, ...] = ()
    repeat: PositiveInt = 1
    network: Perceptron | ShiftNetwork
    form: Form
    deviations: Tensor | None = None
    deterministic: bool = False
    training_runs: NonNegativeInt = 0
    _draws: list[Draws] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        check_fields(self)
        self.features, self.moments  # noqa: B018  (refused here where they do not fit)

    def __repr__(self) -> str:
        return f"Controller({self.label!r}, seed={self.seed}, {files.digest(self)})"

    @classmethod
    def load(cls, path: str | Path) -> "Controller":
        """Read what `save` or `autoloss export` wrote; it runs no code.

        Args:
            path: the file, or the run folder that holds it.

        Raises:
            ValueError: one line that says what is wrong with it.
        """
        place = Path(path)
        if place.is_dir():
            if not (place / FILE).exists() and not (place / "config.json").exists():
                raise ValueError(f"{str(place)!r} is no run folder: expected one, or a file")
            if not (place / FILE).exists():
                raise ValueError(
                    f"{str(place)!r} holds no {FILE}: make it with: autoloss export {place}"
                )
            place = place / FILE
        return build(cls, files.read(place))

    def save(self, path: str | Path) -> None:
        """Write it to a file of safetensors with its description."""
        files.write(Path(path), self)

    def on(self, description: RunDescription) -> "Controller":
        """The same for other runs, such as longer ones.

        Raises:
            ValueError: they have another number of pairs or metrics, or too few validations.
        """
        own = self.description
        for name in ("pairs", "validation_metrics"):
            expected, found = len(getattr(own, name)), len(getattr(description, name))
            if found != expected:
                raise ValueError(
                    f"runs with {found} {name}: this controller was trained with {expected} "
                    f"({', '.join(own.pairs)}): give as many"
                )
        arguments = dict(self.control_arguments)
        if arguments.get("every"):
            decisions = arguments["every"] // own.validate_every
            arguments["every"] = decisions * description.validate_every
        moved = dataclasses.replace(self, description=description, control_arguments=arguments)
        moments = moved.moments
        if isinstance(self.network, ShiftNetwork) and len(moments) < self.network.num_decisions:
            raise ValueError(
                f"max_steps={description.max_steps} with "
                f"validate_every={description.validate_every}: expected a validation of its own "
                f"for each of {self.network.num_decisions} decisions; validate more often"
            )
        return moved

    @functools.cached_property
    def features(self) -> Features:
        """What it sees of the runs."""
        return Features(self.description, self.scaling, self.drop, self.add)

    @functools.cached_property
    def action_control(self) -> ActionControl | HoldSchedule:
        """What turns its actions into what is done."""
        control: ActionControl | HoldSchedule = pick(
            CONTROLS, self.control, "control", None, self.control_arguments
        )
        return control

    @functools.cached_property
    def moments(self) -> tuple[int, ...]:
        """Numbers of updates before each decision, where a decision is held until the next."""
        control = self.action_control
        return control.moments(self.description) if isinstance(control, HoldSchedule) else ()

    @property
    def env_arguments(self) -> dict[str, Any]:
        """Arguments that an environment must be made with for it."""
        return {
            "control": self.control,
            "control_arguments": dict(self.control_arguments),
            "features": self.scaling,
            "drop": self.drop,
            "add": self.add,
            "repeat": self.repeat,
        }

    def reset(self, seeds: np.ndarray) -> None:
        """Begin runs, (num_envs,), int64: their draws follow from these."""
        self._draws[:] = [Draws(seeds, f"policy {self.seed}")]

    @torch.no_grad()
    def act(self, observations: np.ndarray, infos: Mapping[str, Any]) -> np.ndarray:
        """Actions (num_envs, …) of its control's action space.

        Args:
            observations: (num_envs, features), float32.
            infos: `steps` of the runs, (num_envs,), integers.
        """
        seen = torch.from_numpy(observations)
        if isinstance(self.network, ShiftNetwork):
            decisions = np.searchsorted(self.moments, infos["steps"], side="right") - 1
            shifts = self.network.act(seen, torch.from_numpy(decisions)).numpy()
            return np.clip(shifts, -1, 1)
        outputs = self.network(seen)
        if self.form == "logits":
            return self._drawn_choice(outputs)
        if self.form == "values":
            return outputs.numpy().argmax(axis=1)
        if self.form == "several":
            return self._most_probable_entries(outputs)
        return self._numbers(outputs.numpy())

    def state_dict(self) -> dict[str, Any]:
        """The number of draws so far."""
        return {"draws": self._draws[0].count if self._draws else 0}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the state was taken, after a `reset` with the same seeds."""
        self._draws[0].count = int(state["draws"])

    def _drawn_choice(self, logits: Tensor) -> np.ndarray:
        probabilities = torch.softmax(logits - logits.logsumexp(dim=1, keepdim=True), dim=1).numpy()
        if self.deterministic:
            return probabilities.argmax(axis=1)
        return self._draws[0].categorical(probabilities)

    def _most_probable_entries(self, logits: Tensor) -> np.ndarray:
        space: Any = self.action_control.action_space(self.description)
        sizes = space.nvec.tolist()
        parts = [part.argmax(dim=1) for part in logits.split(sizes, dim=1)]
        return torch.stack(parts, dim=1).numpy()

    def _numbers(self, outputs: np.ndarray) -> np.ndarray:
        if self.form == "squashed":
            # To [-1, 1] in the order of Stable-Baselines3's unscale_action, bit for bit.
            return -1.0 + (0.5 * (outputs + 1.0) * 2.0)
        if self.deviations is not None and not self.deterministic:
            outputs = outputs + self.deviations.numpy() * self._draws[0].normal(outputs.shape[1])
        return np.clip(outputs, -1, 1)
