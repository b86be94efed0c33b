"""A policy gradient on groups of copies of the same problem, for a few decisions in each run.

The recipe: search one schedule for all problems; observe runs under it; then learn when to shift
it. An action is compared with those of copies of the same problem with the same draws, so that
what a problem is like does not count for or against it (as in Shao et al. 2024, GRPO).
"""

import contextlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import torch
from stable_baselines3.common.logger import Logger

from autoloss_gym.controls import HoldSchedule
from autoloss_gym.controls.schedule import Schedule
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.tools.arguments import build
from autoloss_gym.tools.forms import Array, OneOf

from ..configuration import TrainingConfiguration
from ..environments import with_defaults
from ..progress import Progress, show_progress
from ..schedule_vectors import plain
from .checkpoints import (
    COUNT,
    complete_weights,
    form_of,
    load_checkpoint,
    optimizer_form,
    restore_generators,
    save_checkpoint,
    save_weights,
    set_optimizer,
)
from .groups import problems
from .groups.base_files import as_array, from_array, save_base
from .groups.base_search import BaseSearch
from .groups.building import build_shift_network
from .groups.gradient import GroupRuns, clipped_loss, group_advantages, log_probabilities
from .groups.options import GroupOptions
from .groups.playing import action_noise, play
from .training_log import open_logger

# Arguments of what is seen and done, which the runs of the search do without.
_NOT_SEARCHED = ("control", "control_arguments", "features", "drop", "add")


class GroupLearner:
    """Trains a controller; ValueError if the configuration does not fit its environment."""

    def __init__(self, configuration: TrainingConfiguration) -> None:
        self._configuration = configuration
        self._options = build(GroupOptions, configuration.hyperparameters)
        envs = self._make(1, configuration.env_kwargs)
        self.task = envs.task
        torch.manual_seed(configuration.seed)
        self.controller = build_shift_network(configuration, envs).to(envs.device)
        assert isinstance(envs.control, HoldSchedule)
        self._control = envs.control
        self._steps_per_update = configuration.num_envs * self.controller.num_decisions
        self._total_updates = -(-configuration.n_timesteps // self._steps_per_update)
        problems.check_numbers(configuration, self._options, self._total_updates)
        options = self._options
        if self._control.base is not None:
            options = replace(options, search_runs=0)  # it is given
        self._search = BaseSearch(self.task, self._control, options, configuration.seed)
        learned = [each for each in self.controller.parameters() if each.requires_grad]
        self._adam = torch.optim.Adam(learned, lr=options.learning_rate)
        self._base: Schedule | None = None
        self._is_measured = False
        self._updates = 0

    def train(self, folder: Path) -> None:
        """Train, or go on from the checkpoint in `folder`, where logs, checkpoints, the base
        schedule and the weights are stored.
        """
        checkpoint = load_checkpoint(folder, self._configuration, self._form())
        if checkpoint:
            self._restore(checkpoint)
        if self._updates >= self._total_updates:
            assert self._base
            save_base(folder, self._base, self._training_runs())
            complete_weights(self.controller, folder, self._steps)
            return
        logger = open_logger(folder, self._steps)
        with contextlib.closing(logger), show_progress("training runs", lines=10) as progress:
            self._find_base(folder, progress)
            assert self._base
            kwargs = with_defaults(self._configuration.env, self._configuration.env_kwargs)
            arguments = dict(kwargs.get("control_arguments") or {})
            kwargs["control_arguments"] = {**arguments, "base": plain(self._base)}
            envs = self._make(self._configuration.num_envs, kwargs)
            self._measure(envs, folder)
            self._train_to_the_end(envs, folder, logger, progress)
        self._save(folder)
        self._say_budget()

    def _find_base(self, folder: Path, progress: Progress) -> None:
        """The first phase: search, unless it is over or there is none."""
        search = self._search
        if self._base is None and not search.is_over:
            kept = self._configuration.env_kwargs.items()
            kwargs = {name: value for name, value in kept if name not in _NOT_SEARCHED}
            envs = self._make(search.runs_per_generation, kwargs)
            first = problems.first_of_search(self._configuration)
            total = search.num_generations * search.runs_per_generation
            while not search.is_over:
                progress.update("searching the base schedule", search.runs, total)
                search.generation(envs, first)
                self._save(folder)
            envs.close()
        self._base = self._base or search.best

    def _measure(self, envs: AutoLossVectorEnv, folder: Path) -> None:
        """The second phase: observe runs under the base."""
        if self._is_measured:
            return
        seeds = problems.of_measurement(self._configuration)
        played = play(envs, self.controller, seeds, None, self._options)
        self.controller.measure(played.observations)
        self._is_measured = True
        self._save(folder)

    def _train_to_the_end(
        self, envs: AutoLossVectorEnv, folder: Path, logger: Logger, progress: Progress
    ) -> None:
        """The third phase."""
        configuration = self._configuration
        interval = configuration.checkpoint_interval
        stage = f"training {configuration.algo}"
        runs = configuration.num_envs
        total = self._total_updates * runs
        progress.update(stage, self._updates * runs, total)
        while self._updates < self._total_updates:
            before = self._steps
            seeds = problems.of_update(configuration, self._options.copies, self._updates)
            decisions = self.controller.num_decisions
            noise = action_noise(configuration.seed, self._updates, envs, decisions)
            played = play(envs, self.controller, seeds, noise, self._options)
            moved = self._update(played)
            self._updates += 1
            progress.update(stage, self._updates * runs, total, self._log(logger, played, moved))
            if self._steps // interval > before // interval:
                self._save(folder)

    def _update(self, played: GroupRuns) -> float:
        """Make the update of a batch; return the share of its runs that are clipped at the end."""
        options = self._options
        advantages = group_advantages(played.outcomes, options)
        with torch.no_grad():
            before = log_probabilities(self.controller, played)
        for _ in range(options.n_epochs):
            logs = log_probabilities(self.controller, played)
            loss = clipped_loss(logs, before, advantages, played.running, options.clip_range)
            self._adam.zero_grad()
            loss.backward()
            self._adam.step()
        with torch.no_grad():
            ratios = torch.exp(log_probabilities(self.controller, played) - before)
        return ((ratios - 1).abs() > options.clip_range).double().mean().item()

    def _log(self, logger: Logger, played: GroupRuns, clipped: float) -> str:
        """Log the figures of an update, and return the most important one in words."""
        for name, value in played.figures.items():
            logger.record(f"environment/{name}", value)
        groups = played.outcomes.double().view(-1, self._options.copies)
        deviations = torch.exp(self.controller.log_deviations.detach()).mean(dim=(0, 1))
        logger.record("rollout/outcome", groups.mean().item())
        logger.record("rollout/deviation_within_groups", groups.std(dim=1).mean().item())
        logger.record("rollout/training_runs", sum(self._training_runs().values()))
        logger.record("train/clipped_share", clipped)
        for index, deviation in enumerate(deviations.tolist()):
            logger.record(f"train/deviation_{index}", deviation)
        logger.dump(self._steps)
        return f"outcome {groups.mean().item():8.4f}"

    def _save(self, folder: Path) -> None:
        base = self._base
        content = {
            "search": self._search.costs(),
            "base": as_array(base, len(self.task.pairs)),
            "is_measured": self._is_measured,
            "controller": self.controller.state_dict(),
            "adam": self._adam.state_dict()["state"],
            "updates": self._updates,
        }
        save_checkpoint(folder, self._configuration, content)
        if base is not None:
            save_base(folder, base, self._training_runs())
            save_weights(self.controller, folder, self._steps)

    def _form(self) -> dict[str, Any]:
        """What a checkpoint of this training holds."""
        return {
            "search": self._search.form(),
            "base": Array("float64", (None, len(self.task.pairs) + 1), least=0),
            "is_measured": OneOf((False, True)),
            "controller": form_of(self.controller.state_dict()),
            "adam": optimizer_form(self._adam),
            "updates": COUNT,
        }

    def _restore(self, content: dict[str, Any]) -> None:
        self._search.restore(content["search"].numpy())
        self._base = from_array(content["base"].numpy())
        self._is_measured = content["is_measured"]
        self.controller.load_state_dict(content["controller"])
        set_optimizer(self._adam, content["adam"])
        self._updates = content["updates"]
        restore_generators(content["generators"])

    @property
    def _steps(self) -> int:
        """Environment steps so far: decisions of all runs, as Stable-Baselines3 counts them."""
        return self._updates * self._steps_per_update

    def _training_runs(self) -> dict[str, int]:
        """The training runs that each phase has used."""
        runs = self._configuration.num_envs
        return {
            "search": self._search.runs,
            "measurement": runs * self._is_measured,
            "updates": runs * self._updates,
        }

    def _say_budget(self) -> None:
        runs = self._training_runs()
        parts = ", ".join(f"{count:,} of the {phase}" for phase, count in runs.items())
        total = sum(runs.values())
        print(f"{total:,} training runs: {parts}", file=sys.stderr)

    def _make(self, num_envs: int, kwargs: dict[str, Any]) -> AutoLossVectorEnv:
        # In NextStep mode the last step of a run resets nothing.
        arguments = {**kwargs, "array": "torch", "autoreset_mode": "NextStep"}
        envs = gymnasium.make_vec(self._configuration.env, num_envs=num_envs, **arguments)
        assert isinstance(envs, AutoLossVectorEnv)
        return envs
