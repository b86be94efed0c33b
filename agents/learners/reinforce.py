"""REINFORCE as in the AutoLoss paper (Algorithm 1)."""

import contextlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import torch
from gymnasium import spaces
from stable_baselines3.common.logger import Logger
from torch import Tensor

from autoloss_gym.controllers.networks.perceptron import Perceptron
from autoloss_gym.controls import ChoosePair
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.tools.arguments import build
from autoloss_gym.tools.forms import Array

from ..configuration import TrainingConfiguration
from ..environments import SEED_SPACING
from ..progress import Progress, show_progress
from .checkpoints import (
    COUNT,
    complete_weights,
    environment_form,
    form_of,
    load_checkpoint,
    optimizer_form,
    restore_generators,
    save_checkpoint,
    save_weights,
    set_optimizer,
)
from .distributions import Actor, Categorical
from .policy_gradient import Baseline, ReinforceOptions, Sequences, policy_loss, step_rewards
from .sample_log import SampleLog
from .training_log import EPISODE_FIGURES, open_logger, tenths


def build_controller(configuration: TrainingConfiguration, envs: AutoLossVectorEnv) -> Perceptron:
    """The untrained controller of a configuration, for the spaces of `envs`."""
    options = build(ReinforceOptions, configuration.hyperparameters)
    space = envs.single_action_space
    if not isinstance(space, spaces.Discrete):
        raise ValueError(
            f"--algo reinforce needs discrete actions, this environment has {space}: leave out "
            "control=weights, or with control=schedule or control=step_size give levels, such as "
            "--env-kwargs 'control_arguments={levels: 5}'"
        )
    assert envs.single_observation_space.shape is not None
    num_features = envs.single_observation_space.shape[0]
    return Perceptron(num_features, int(space.n), options.hidden_sizes, options.temperature)


class ReinforceLearner:
    """Trains a controller; ValueError if the configuration does not fit its environment."""

    def __init__(self, configuration: TrainingConfiguration) -> None:
        self._configuration = configuration
        self._options = build(ReinforceOptions, configuration.hyperparameters)
        arguments = {"reward": "final", **configuration.env_kwargs, "array": "torch"}
        envs = gymnasium.make_vec(configuration.env, num_envs=configuration.num_envs, **arguments)
        assert isinstance(envs, AutoLossVectorEnv)
        self._envs = envs
        self.task = envs.task
        torch.manual_seed(configuration.seed)
        self.controller = build_controller(configuration, envs).to(envs.device)
        space = envs.single_action_space
        assert isinstance(space, spaces.Discrete)
        self._distribution = Categorical((int(space.n),), is_single=True)
        self._actor = Actor(self.controller, self._distribution)
        self._envs.reset(seed=configuration.seed * SEED_SPACING)
        self._adam = torch.optim.Adam(self.controller.parameters(), lr=self._options.learning_rate)
        self._baseline = Baseline(self._options)
        self._samples = SampleLog(envs)
        self._steps = 0

    def train(self, folder: Path) -> None:
        """Train, or go on from the checkpoint in `folder`, where logs, checkpoints and weights are
        stored.
        """
        checkpoint = load_checkpoint(folder, self._configuration, self._form())
        if checkpoint:
            self._restore(checkpoint)
        if self._steps >= self._configuration.n_timesteps:
            complete_weights(self.controller, folder, self._steps)
            return
        logger = open_logger(folder, self._steps)
        with contextlib.closing(logger), show_progress("steps", lines=10) as progress:
            self._show(progress, note="")
            self._train_to_the_end(folder, logger, progress)
        self._save(folder)

    def _train_to_the_end(self, folder: Path, logger: Logger, progress: Progress) -> None:
        interval = self._configuration.checkpoint_interval
        while self._steps < self._configuration.n_timesteps:
            before = self._steps
            sequences = self.play()
            self._update(sequences)
            note = self._log(logger, sequences)
            self._show(progress, note)
            if self._steps // interval > before // interval:
                self._save(folder)

    def _update(self, sequences: Sequences) -> None:
        advantages = self._baseline.advantages(sequences.final_rewards)
        loss = policy_loss(self.controller, sequences, advantages, self._options)
        self._adam.zero_grad()
        loss.backward()
        self._adam.step()
        self._steps += sequences.actions.numel()

    def _save(self, folder: Path) -> None:
        content = {
            "controller": self.controller.state_dict(),
            "adam": self._adam.state_dict()["state"],
            "steps": self._steps,
            "baseline": self._baseline.value,
            "envs": self._envs.state_dict(),
        }
        save_checkpoint(folder, self._configuration, content)
        save_weights(self.controller, folder, self._steps)
        self._samples.save(folder)

    def _form(self) -> dict[str, Any]:
        """What a checkpoint of this training holds."""
        return {
            "controller": form_of(self.controller.state_dict()),
            "adam": optimizer_form(self._adam),
            "steps": COUNT,
            "baseline": Array("float32", ()),
            "envs": environment_form(self._envs),
        }

    def _restore(self, content: dict[str, Any]) -> None:
        self.controller.load_state_dict(content["controller"])
        set_optimizer(self._adam, content["adam"])
        self._baseline.value = content["baseline"]
        self._steps = content["steps"]
        self._envs.load_state_dict(content["envs"])
        restore_generators(content["generators"])

    @torch.no_grad()
    def play(self) -> Sequences:
        """Sample an action at every step of S new problems, until all have ended."""
        envs = self._envs
        observations, infos = envs.reset()
        running = torch.ones(envs.num_envs, dtype=torch.bool, device=envs.device)
        final_rewards = torch.zeros(envs.num_envs, device=envs.device)
        figures: dict[str, Tensor] = {}
        metrics = [infos["validation"][:, 0]]
        recorded = []
        playing = True

        while playing:
            draws = [self._noise() for _ in range(envs.steps_ahead)]
            acted, outcome = envs.act(self._actor, observations, draws)
            observations, rewards, ended, _, infos = outcome
            for seen, actions in zip(*acted, strict=True):
                recorded.append((seen, actions, running))
            metric = infos["validation"][:, 0]
            # Runs can have ended only where there is a `final_info`: to ask the device at every
            # step would make it wait.
            some_ended = "final_info" in infos
            self._samples.watch(some_ended and bool(ended[0]), len(draws))
            if some_ended:
                final = infos["final_info"]
                metric = torch.where(ended, self._last_metric(final), metric)
                final_rewards = torch.where(running & ended, rewards, final_rewards)
                figures = _collect(figures, final, running & ended)
                running = running & ~ended
                playing = bool(running.any())
            # It stays as it is up to the last of these steps.
            metrics += [metrics[-1]] * (len(draws) - 1) + [metric]

        observed, chosen, ran = (torch.stack(column) for column in zip(*recorded, strict=True))
        minimize = envs.task.validation_metrics[0].minimize
        earned = step_rewards(torch.stack(metrics), minimize, self._options)
        means = {name: values.double().mean().item() for name, values in figures.items()}
        return Sequences(observed, chosen, ran, earned, final_rewards, means)

    def _noise(self) -> Tensor:
        """What the actions of a step are drawn with."""
        return self._distribution.noise(self._envs.num_envs, None, self._envs.device)

    def _last_metric(self, final: Mapping[str, Tensor]) -> Tensor:
        """The metric at the end; the declared worst value, if any, of a run that has diverged."""
        metric = self._envs.task.validation_metrics[0]
        shown = final["validation"][:, 0]
        if not math.isfinite(metric.worst):
            return shown
        return torch.where(final["diverged"], metric.worst, shown)

    def _log(self, logger: Logger, sequences: Sequences) -> str:
        """Log the figures of an update, and return the most important ones in words."""
        for name, value in sequences.figures.items():
            logger.record(f"environment/{name}", value)
        shares = self._shares(sequences)
        for name, share in shares.items():
            logger.record(f"environment/share_of_{name}", share)
        logger.record("rollout/final_reward", sequences.final_rewards.mean().item())

        total = self._configuration.n_timesteps
        before = self._steps - sequences.actions.numel()
        if tenths(self._steps, total) > tenths(before, total):
            self._samples.record(logger)
        logger.dump(self._steps)
        best_score = sequences.figures["best_score"]
        first = next((f"  share of {name} {share:.2f}" for name, share in shares.items()), "")
        return f"best score {best_score:8.4f}{first}"

    def _shares(self, sequences: Sequences) -> dict[str, float]:
        """The share of each pair, by its name, where an action chooses one."""
        if not isinstance(self._envs.control, ChoosePair):
            return {}
        names = [pair.name for pair in self._envs.task.pairs]
        chosen = torch.nn.functional.one_hot(sequences.actions, len(names))
        counts = (chosen * sequences.running[:, :, None]).sum(dim=(0, 1))
        return dict(zip(names, (counts / sequences.running.sum()).tolist(), strict=True))

    def _show(self, progress: Progress, note: str) -> None:
        configuration = self._configuration
        stage = f"training {configuration.algo}"
        progress.update(stage, self._steps, configuration.n_timesteps, note)


def _collect(figures: dict[str, Tensor], final: dict[str, Any], rows: Tensor) -> dict[str, Tensor]:
    """Figures of the runs `rows`, which have just ended, beside those of the runs that ended
    before.
    """
    collected = {}
    for name in EPISODE_FIGURES:
        before = figures.get(name, torch.zeros_like(final[name]))
        collected[name] = torch.where(rows, final[name], before)
    return collected
