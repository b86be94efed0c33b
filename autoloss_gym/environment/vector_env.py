"""The vector environment: `num_envs` training runs stepped, ended and reset as one batch."""

import dataclasses
import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from autoloss_gym.core.task import Control, ImageTask, Task
from autoloss_gym.environment.building import available_device, build_task
from autoloss_gym.environment.controls import CONTROLS, ActionControl, check_control
from autoloss_gym.environment.infos import final_infos, on_rows, running_infos
from autoloss_gym.environment.instances import Instances, reset_mask, seed_list
from autoloss_gym.environment.rendering import SAMPLES, Trace
from autoloss_gym.environment.runs import Observations, Programs, Runs, start
from autoloss_gym.signals.features import Features
from autoloss_gym.signals.rewards import REWARDS, Reward
from autoloss_gym.tools import tree
from autoloss_gym.tools.arguments import divisor, one_of, pick, positive, sequence

Step = tuple[Any, Any, Any, Any, dict[str, Any]]


class AutoLossVectorEnv(VectorEnv[Any, Any, Any]):
    """Trains `num_envs` models at once; each environment is one training run of a task.

    Args:
        task: a task, or "module:Class" with `task_arguments`.
        num_envs: number of runs.
        control: what an action is: "pair" chooses the pair to update, "weights" weighs all of them.
        control_arguments: arguments of that control, such as {"normalize": "count"}.
        reward: "shaped", "final" or "improvement", see `autoloss_gym.signals.rewards`.
        reward_arguments: arguments of that reward; the task may replace its defaults.
        features: "scaled" (within [-1, 1]) or "raw".
        drop: groups of features to leave out.
        split: "train", "validation" or "test"; their problems are disjoint.
        repeat: updates that a step makes with the same control; a divisor of the task's
            `validate_every`.
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
        control: str | ActionControl = "pair",
        control_arguments: Mapping[str, Any] | None = None,
        reward: str | Reward = "shaped",
        reward_arguments: Mapping[str, Any] | None = None,
        features: str = "scaled",
        drop: Sequence[str] = (),
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
        own = [
            name
            for name in inspect.signature(AutoLossVectorEnv).parameters
            if name != "task_arguments"
        ]
        self.task = build_task(task, preset, task_arguments, others=[*own, "learning_rate"])
        self.num_envs, self.device = positive("num_envs", num_envs), available_device(device)
        self.array = one_of("array", array, ("numpy", "torch"))
        self.autoreset_mode = AutoresetMode(
            one_of("autoreset_mode", autoreset_mode, tuple(AutoresetMode))
        )
        self.render_mode = one_of("render_mode", render_mode, (None, "rgb_array"))
        self.metadata = {**type(self).metadata, "autoreset_mode": self.autoreset_mode}
        self.control = pick(CONTROLS, control, "control", None, control_arguments)
        self.reward = pick(
            REWARDS, reward, "reward", self.task.reward_arguments.get(str(reward)), reward_arguments
        )
        self.features = Features(
            self.task, features, (drop,) if isinstance(drop, str) else sequence("drop", drop)
        )
        self.repeat = divisor("repeat", repeat, "validate_every", self.task.validate_every)
        self._memory = self.reward.memory(self.task)
        self._programs = Programs(one_of("compile", compile, (False, True)))
        self._instances = Instances(split, num_instances, self.num_envs, self.device)
        self._elapsed = np.zeros(self.num_envs, dtype=np.int64)
        self._finished = np.zeros(self.num_envs, dtype=bool)
        self._trace = Trace(self.task, self.num_envs) if self.render_mode else None
        self._runs = self._fresh(np.arange(self.num_envs))
        self.is_reset = False
        self._set_spaces()

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        """Start all runs, or those of `options["reset_mask"]`, a boolean array (num_envs,).

        An int seed s gives run i the seed s + i; a list gives each run its own. Without one a run
        goes on to its next problem.
        """
        mask = reset_mask(options, self.num_envs)
        rows = np.flatnonzero(mask)
        seeds = self._new_seeds(seed)
        started = [row for row in rows if seeds[row] is not None]
        self._instances.seed(
            np.array(started, dtype=np.int64),
            np.array([seeds[row] for row in started], dtype=np.int64),
        )
        self._restart(rows)
        self.is_reset = self.is_reset or bool(mask.all())
        return self._report(np.zeros(self.num_envs, dtype=bool))

    def step(self, actions: Any) -> Step:
        """Translate one action a run and make the update that it asks for."""
        return self._step(self.control(self.task, actions, self.num_envs, self.device))

    def step_control(self, control: Control) -> Step:
        """The layer under `step`: any weights on the pairs and any step size.

        Returns:
            Observations (num_envs, features), rewards, terminations, truncations (num_envs,) and
            infos.
        """
        check_control(control, self.num_envs, len(self.task.pairs))
        return self._step(control)

    def _step(self, control: Control) -> Step:
        resetting = self._begin_step()
        if np.count_nonzero(resetting):
            idle = torch.from_numpy(resetting).to(self.device)
            control = dataclasses.replace(
                control, weights=torch.where(idle[:, None], 0.0, control.weights)
            )
        self._elapsed += self.repeat
        due = (self._elapsed % self.task.validate_every == 0) & ~resetting
        observed = self._update(control, quiet=not np.count_nonzero(due | resetting))
        rewards, ended = self._validate(due)
        if self._trace:
            self._trace.record(self._elapsed, self._runs.history, control.weights, ~resetting)
        infos: dict[str, Any] = self._final(ended, due) if np.count_nonzero(ended) else {}
        restart = resetting | (ended & (self.autoreset_mode == AutoresetMode.SAME_STEP))
        if np.count_nonzero(restart):
            self._restart(np.flatnonzero(restart))
        self._finished = ended & (self.autoreset_mode != AutoresetMode.SAME_STEP)
        observations, newest = self._report(due & ~restart, observed)
        outputs = (self._output(values) for values in (rewards, ended, np.zeros_like(ended)))
        return observations, *outputs, infos | newest

    def diagnostics(self) -> dict[str, Any]:
        """All losses, gradient norms and validation metrics measured anew, for rules that need more
        than the latest known.

        It costs a forward and backward pass of every loss and a validation, moves nothing, and is
        in no observation.

        Returns:
            `fresh_losses`, `fresh_gradient_norms` (num_envs, pairs) and `fresh_validation`
            (num_envs, metrics), float32.
        """
        evaluation, validation = (
            self.task.measure(self._runs.state),
            self.task.validate(self._runs.state),
        )
        fresh = {
            "losses": evaluation.losses,
            "gradient_norms": evaluation.gradient_norms,
            "validation": validation,
        }
        return {f"fresh_{name}": self._output(values) for name, values in fresh.items()}

    def scores(self) -> Any:
        """The figures of merit of all runs as they are now, (num_envs, score metrics), float32, for
        curves of a finished study.

        They are measured on data that no decision may see: nothing that is yet to be chosen should
            depend on them.
        """
        return self._output(self.task.score(self._runs.state))

    def samples(self, count: int = SAMPLES) -> Any:
        """Images that the models make, (num_envs, count, height, width, channels), float32 in [0,
        1].

        Raises:
            ValueError: the task is no `ImageTask`.
        """
        if not isinstance(self.task, ImageTask):
            raise ValueError(
                f"{type(self.task).__name__} makes no images: samples() is for tasks that are an ImageTask"
            )
        return self._output(self.task.samples(self._runs.state, positive("count", count)))

    def render(self) -> tuple[np.ndarray, ...] | None:
        """One picture (height, width, 3), uint8, of each run: losses, validation, the schedule so
        far, and images it makes.
        """
        if self._trace is None:
            return None
        images = (
            self.task.samples(self._runs.state, SAMPLES)
            if isinstance(self.task, ImageTask)
            else None
        )
        return self._trace.draw(self._elapsed, None if images is None else images.cpu().numpy())

    def state_dict(self) -> dict[str, Any]:
        """All runs as they are, in tensors and plain values; an environment with the same arguments
        can go on from them.
        """
        seeds, episodes = self._instances.counters()
        host = {
            "seeds": seeds,
            "episodes": episodes,
            "elapsed": self._elapsed,
            "finished": self._finished,
        }
        tensors = [leaf.clone() for leaf in tree.leaves(self._runs)]
        return {
            "runs": tensors,
            "is_reset": self.is_reset,
            **{name: torch.from_numpy(v.copy()) for name, v in host.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken; ValueError if it is of an environment made with other
        arguments.
        """
        leaves = tree.leaves(self._runs)
        if [leaf.shape for leaf in leaves] != [saved.shape for saved in state["runs"]]:
            raise ValueError(
                "the saved runs do not fit this environment: make it with the arguments of the one that was saved"
            )
        for leaf, saved in zip(leaves, state["runs"], strict=True):
            leaf.copy_(saved)
        host = {
            name: state[name].numpy().copy()
            for name in ("seeds", "episodes", "elapsed", "finished")
        }
        self._elapsed, self._finished, self.is_reset = (
            host["elapsed"],
            host["finished"],
            state["is_reset"],
        )
        self._instances.set_counters(host["seeds"], host["episodes"])

    def __getstate__(self) -> dict[str, Any]:
        # To a process of its own, PyTorch sends tensors as shared memory: send copies, or both
        # would write to the same runs.
        return {**self.__dict__, "_runs": tree.clone(self._runs)}

    def _set_spaces(self) -> None:
        observations, _ = self._programs.observe(self.task, self.features, self._runs)
        size, bound = observations.shape[1], self.features.bound()
        self.single_observation_space = spaces.Box(-bound, bound, (size,), np.float32)
        self.single_action_space = self.control.action_space(self.task)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def _new_seeds(self, seed: int | Sequence[int | None] | None) -> list[int | None]:
        """The seed of each run; None for one that goes on to its next problem."""
        if seed is None and not self.is_reset:
            seed = int(self.np_random.integers(2**31))
        if seed is None or (isinstance(seed, int | np.integer) and seed < 2**62):
            super().reset(seed=None if seed is None else int(seed))
            return [None if seed is None else int(seed) + row for row in range(self.num_envs)]
        return seed_list(seed, self.num_envs)

    def _fresh(self, rows: np.ndarray) -> Runs:
        """New episodes for the runs `rows`."""
        return start(self.task, self._instances.next_episode(rows), self._memory)

    def _restart(self, rows: np.ndarray) -> None:
        fresh = self._fresh(rows)
        everyone = len(rows) == self.num_envs
        self._runs = (
            fresh
            if everyone
            else tree.merge(self._runs, torch.from_numpy(rows).to(self.device), fresh)
        )
        self._elapsed[rows], self._finished[rows] = 0, False
        if self._trace:
            self._trace.record(
                self._elapsed, self._runs.history, None, np.isin(np.arange(self.num_envs), rows)
            )

    def _begin_step(self) -> np.ndarray:
        """Runs that this step only resets (NEXT_STEP); an error where a step is not allowed."""
        if not self.is_reset:
            raise gymnasium.error.ResetNeeded("step() before reset(): call reset() first")
        if self.autoreset_mode == AutoresetMode.DISABLED and self._finished.any():
            rows = np.flatnonzero(self._finished).tolist()
            raise gymnasium.error.ResetNeeded(
                f"environments {rows} have ended and autoreset is disabled: call reset(options={{'reset_mask': …}}) first"
            )
        return self._finished.copy()

    def _update(self, control: Control, quiet: bool) -> Observations | None:
        """Make the updates; return what is then observed, if the step is `quiet`: nothing else
        changes the runs.
        """
        compiled = self._programs.compile
        if compiled:
            control = dataclasses.replace(
                control, choice=None
            )  # which runs chose what must not change the program
        features = self.features if quiet or compiled else None
        observed: Observations | None = self._programs.update(
            self.task, self._runs, control, self.repeat, features
        )
        return observed if quiet else None

    def _validate(self, due: np.ndarray) -> tuple[Tensor, np.ndarray]:
        """Validate the runs that are due; rewards of this step and, on the host, the runs that end
        with it.
        """
        if not np.count_nonzero(due):
            return torch.zeros(self.num_envs, device=self.device), due
        values = on_rows(
            functools.partial(self._programs.validate, self.task), self._runs.state, due
        )
        masks = (
            torch.from_numpy(mask).to(self.device)
            for mask in (due, self._elapsed >= self.task.max_steps)
        )
        rewards, ended = self._programs.judge(self.task, self.reward, self._runs, values, *masks)
        return rewards, ended.cpu().numpy()

    def _final(self, ended: np.ndarray, due: np.ndarray) -> dict[str, Any]:
        """`final_obs` and `final_info` of the runs that end with this step."""
        runs = self._runs
        figures = final_infos(self.task, runs.state, runs.best, runs.history, ended)
        observations, info = self._report(due)
        info |= {name: self._output(value) for name, value in figures.items()}
        final = {
            "final_obs": observations,
            "final_info": info | {f"_{name}": self._output(ended) for name in info},
        }
        return final | {f"_{name}": self._output(ended) for name in final}

    def _report(
        self, validated: np.ndarray, observed: Observations | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Observations and infos; `validated` are the runs whose validation this step has
        refreshed.
        """
        observations, clipped = observed or self._programs.observe(
            self.task, self.features, self._runs
        )
        values = running_infos(
            self._runs.state, self._runs.history, validated | (self._elapsed == 0)
        )
        if clipped is not None:
            values["clipped"] = clipped
        return self._output(observations), {
            name: self._output(value) for name, value in values.items()
        }

    def _output(self, values: Tensor | np.ndarray) -> Any:
        """A copy for the caller, who may keep it."""
        if self.array == "torch":
            return torch.as_tensor(values).to(self.device, copy=True)
        return values.copy() if isinstance(values, np.ndarray) else values.cpu().numpy().copy()
