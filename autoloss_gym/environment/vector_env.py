"""The vector environment: `num_envs` training runs stepped, ended and reset as one batch."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from autoloss_gym.controls import CONTROLS, ActionControl, HoldSchedule, checked_control
from autoloss_gym.core.task import Control, Task
from autoloss_gym.environment import pictures, snapshots
from autoloss_gym.environment.attributes import RunAttributes
from autoloss_gym.environment.batch import Batch
from autoloss_gym.environment.building import (
    available_device,
    build_features,
    build_task,
    repetitions,
)
from autoloss_gym.environment.figures import RunFigures
from autoloss_gym.environment.infos import Reporter
from autoloss_gym.environment.instances import Instances, is_seed, reset_options, seed_list
from autoloss_gym.environment.moves import Acted, Actor
from autoloss_gym.environment.phases import Phases
from autoloss_gym.environment.played import Played
from autoloss_gym.environment.programs import Programs
from autoloss_gym.environment.runs import describe
from autoloss_gym.environment.segments import Player
from autoloss_gym.signals.rewards import REWARDS, Reward
from autoloss_gym.tools.arguments import one_of, pick
from autoloss_gym.tools.bounds import PositiveInt
from autoloss_gym.tools.fields import converted

Step = tuple[Any, Any, Any, Any, dict[str, Any]]


class AutoLossVectorEnv(RunAttributes, RunFigures, VectorEnv[Any, Any, Any]):
    """Trains `num_envs` models at once; each environment is one training run of a task.

    Args:
        task: a task; or "module:name" of a class, a task, or a function that makes one.
        num_envs: number of runs.
        control: what an action is: "pair" chooses the pair to update, "weights" weighs all of them,
            "step_size" sets the step size, "schedule" shifts a schedule until the next decision.
        control_arguments: arguments of that control, such as {"normalize": "count"}.
        reward: "shaped", "final" or "improvement", see `autoloss_gym.signals.rewards`.
        reward_arguments: arguments of that reward; the task may replace its defaults.
        features: "scaled" (within [-1, 1]), "raw" or "log".
        drop: groups of features to leave out.
        add: groups of features to observe besides.
        split: "train", "validation" or "test"; their problems are disjoint.
        repeat: updates that a step makes with the same control; a divisor or a multiple of the
            task's `validate_every`, with `max_steps` one step a run; 1 where a step is a decision.
        num_instances: number of different problems; None for a new one each episode.
        autoreset_mode: "SameStep", "NextStep" or "Disabled", as Gymnasium defines them.
        device: "cpu", "cuda" or "auto" (cuda where there is one).
        array: "numpy", or "torch" for tensors on the device.
        compile: whether PyTorch compiles the step for this number of runs when it is first made,
            which takes seconds and needs a C++ compiler; numbers then agree with those of
            `compile=False` up to rounding.
        render_mode: None or "rgb_array".
        preset: a named set of task arguments.
        task_arguments: arguments of the task.

    Raises:
        ValueError: an argument is unknown or bad; the message names it and what is expected.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(
        self,
        task: Task | str,
        num_envs: int = 1,
        *,
        control: str | ActionControl | HoldSchedule = "pair",
        control_arguments: Mapping[str, Any] | None = None,
        reward: str | Reward = "shaped",
        reward_arguments: Mapping[str, Any] | None = None,
        features: str = "scaled",
        drop: Sequence[str] = (),
        add: Sequence[str] = (),
        split: str = "train",
        repeat: int = 1,
        num_instances: int | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.SAME_STEP,
        device: str = "cpu",
        array: str = "numpy",
        compile: bool = False,
        render_mode: str | None = None,
        preset: str | None = None,
        **task_arguments: Any,
    ) -> None:
        *own, _ = inspect.signature(AutoLossVectorEnv).parameters  # without task_arguments
        self.task = build_task(task, preset, task_arguments, others=[*own, "learning_rate"])
        self.num_envs = converted("num_envs", num_envs, PositiveInt)
        self.device = available_device(device)
        self.array = one_of("array", array, ("numpy", "torch"))
        mode = one_of("autoreset_mode", autoreset_mode, tuple(AutoresetMode))
        self.autoreset_mode = AutoresetMode(mode)
        self.render_mode = one_of("render_mode", render_mode, (None, "rgb_array"))
        self.metadata = {**type(self).metadata, "autoreset_mode": self.autoreset_mode}

        self.control = pick(CONTROLS, control, "control", None, control_arguments)
        suited = self.task.reward_arguments.get(str(reward))
        self.reward = pick(REWARDS, reward, "reward", suited, reward_arguments)
        self.description = describe(self.task)
        groups = (features, drop, add)
        self.features = build_features(self.description, self.task, self.control, *groups)
        self.repeat, at_once = repetitions(repeat, self.task, self.control)

        self.is_reset = False
        memory = self.reward.memory(self.description)
        programs = Programs(self.description, one_of("compile", compile, (False, True)))
        instances = Instances(split, num_instances, self.num_envs, self.device)
        phases = Phases(
            self.num_envs, self.autoreset_mode, self.task.validate_every, self.task.max_steps
        )
        self._pictures = pictures.Pictures(self.task, self.num_envs) if render_mode else None
        player = Player(self.task, self.reward, self.features, programs, at_once)
        self.single_action_space = self.control.action_space(self.description)
        self._batch = Batch(
            player, self.control, instances, phases, memory, self.repeat, self._pictures
        )
        self._reporter = Reporter(
            self.task, self.features, programs, array, self.device, self.autoreset_mode
        )

        self.single_observation_space = self._reporter.space(self._batch.runs)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        """Start all runs, or those of `options["reset_mask"]`, a boolean array (num_envs,).

        An int seed s gives run i the seed s + i; a list gives each run its own, and runs of the
        same seed are copies of each other. Without one a run goes on to its next problem.
        `options["instance"]`, integers (num_envs,) as in the infos, names the problems themselves.
        """
        mask, problems = reset_options(options, self.num_envs)
        rows = np.flatnonzero(mask)
        seeds = self._new_seeds(seed)
        self._batch.instances.seed_some(rows, [seeds[row] for row in rows])
        self._batch.restart(rows, None if problems is None else problems[rows])
        self.is_reset = self.is_reset or bool(mask.all())
        refreshed = self._batch.phases.refreshed(mask)
        observations, infos = self._reporter.report(self._batch.runs, refreshed)
        return observations, infos | self._reporter.all_of(self._batch.opening(mask))

    def step(self, actions: Any) -> Step:
        """Translate one action a run and make the updates that it asks for."""
        resetting = self._begin_step()
        return self._end_step(self._batch.act(actions, resetting), resetting)

    def step_control(self, control: Control) -> Step:
        """The layer under `step`: any weights on the pairs and any step size.

        Returns:
            Observations (num_envs, features), rewards, terminations, truncations (num_envs,) and
            infos.
        """
        return self.rollout([control])

    def rollout(self, controls: Sequence[Control]) -> Step:
        """As `step_control` with each of the controls in turn, reported once at the end.

        Rewards are summed, and runs that end stay as they are to the end of it. Nothing is observed
        in between; with `compile=True`, all updates up to a validation are one program.

        Args:
            controls: at least one, each for all runs.
        """
        width = len(self.task.pairs)
        checked = [checked_control(each, self.num_envs, width, self.device) for each in controls]
        if not checked:
            raise ValueError("controls=[]: expected at least one autoloss_gym.Control")
        resetting = self._begin_step()
        return self._end_step(self._batch.play(checked, resetting), resetting)

    def act(self, actor: Actor, observations: Any, draws: Sequence[Any]) -> tuple[Acted, Step]:
        """As `step` with the actions of `actor` for each of the draws, reported once at the end.

        With `compile=True` the actor is compiled into the program of the updates; it is called
        without a graph, and may be a module, whose parameters may change between calls.

        Args:
            actor: (observations, draw) → actions; a function of tensors on the environment's
                device, whose rows follow from each other's not.
            observations: what the last step or reset has returned.
            draws: what the actor draws from at each step, a tensor (num_envs, …) or a tree of such;
                at most `steps_ahead`, and at least one.

        Returns:
            What the actor saw and did at each step, as tensors, and the outcome of the last one.
            Those before it have paid nothing, and no run has ended with them.
        """
        most = self.steps_ahead
        if not 1 <= len(draws) <= most:
            raise ValueError(f"{len(draws)} draws: expected 1 to {most}, see steps_ahead")
        seen = torch.as_tensor(observations, dtype=torch.float32, device=self.device)
        expected = self.observation_space.shape
        if seen.shape != expected:
            raise ValueError(f"observations of shape {tuple(seen.shape)}: expected {expected}")
        resetting = self._begin_step()
        played = self._batch.act_by(actor, seen, draws, resetting)
        assert played.acted is not None
        return played.acted, self._end_step(played, resetting)

    @property
    def steps_ahead(self) -> int:
        """Steps that `act` can take at once: up to the next validation of any run."""
        return self._batch.steps_ahead

    def _begin_step(self) -> np.ndarray:
        """Runs that this step only resets."""
        # Masks of runs are on the host: `np.count_nonzero` asks no device.
        if not self.is_reset:
            raise gymnasium.error.ResetNeeded("step() before reset(): call reset() first")
        return self._batch.phases.begin_step()

    def _end_step(self, played: Played, resetting: np.ndarray) -> Step:
        """Reset the runs that have ended, and report what is then there."""
        batch, ended = self._batch, played.ended
        due = played.due | ended
        final = self._reporter.final(batch.runs, batch.phases.refreshed(due), ended)
        restart = batch.phases.end_step(resetting, ended)
        if np.count_nonzero(restart):
            batch.restart(np.flatnonzero(restart))
        refreshed = batch.phases.refreshed(due | restart)
        observed = None if np.count_nonzero(restart) else played.observed
        observations, infos = self._reporter.report(batch.runs, refreshed, observed)
        # None is ever truncated.
        outcome: tuple[Any, ...] = (played.rewards, ended, np.zeros_like(ended))
        infos |= self._reporter.all_of(played.inner)
        return observations, *map(self._reporter.output, outcome), final | infos

    def state_dict(self) -> dict[str, Any]:
        """All runs as they are, from which an environment of the same arguments can go on."""
        return snapshots.take(self._batch, self.is_reset)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken.

        Raises:
            ValueError: it is of an environment that was made with other arguments.
        """
        self.is_reset = snapshots.restore(state, self._batch)

    def _new_seeds(self, seed: Any) -> list[int | None]:
        """The seed of each run; None for one that goes on to its next problem."""
        if seed is None and not self.is_reset:
            seed = int(self.np_random.integers(2**31))
        if is_seed(seed):
            super().reset(seed=int(seed))
        return seed_list(seed, self.num_envs)
