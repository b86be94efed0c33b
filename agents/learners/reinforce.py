"""REINFORCE as in the AutoLoss paper (Eq. 2, Algorithm 1), with the tricks of its released code as
options.
"""

import contextlib
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium
import torch
from gymnasium import spaces
from stable_baselines3.common.logger import Logger
from torch import Tensor, nn

from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.tools.arguments import build

from ..configuration import TrainingConfiguration
from ..environments import SEED_SPACING
from .checkpoints import (
    fitting,
    load_checkpoint,
    open_logger,
    restore_generators,
    save_checkpoint,
    save_weights,
)
from .sample_log import SampleLog


@dataclass(frozen=True, kw_only=True)
class ReinforceOptions:
    """Hyper-parameters; the number of sequences S of an update is the number of environments.

    Args:
        learning_rate: of Adam.
        hidden_sizes: units of the controller's hidden layers; () is the paper's linear controller,
            (16,) the release's.
        temperature: the logits are divided by it (release).
        baseline_decay: η of the moving average of the rewards.
        advantage_clip: largest advantage (paper and release).
        update_baseline_first: update the baseline before it is subtracted (release), not after
            (paper).
        mean_over_steps: average the log-probabilities over the steps (release) instead of summing
            them (paper).
        step_reward: add the release's reward of every validation, sign(Δ) · min(√(|Δ| / (|average
            Δ| + 1e-5)), step_reward_clip) · step_reward_scale, with Δ the improvement of the
            deciding validation metric.
    """

    learning_rate: float = 1e-3
    hidden_sizes: tuple[int, ...] = (16,)
    temperature: float = 1.0
    baseline_decay: float = 0.8
    advantage_clip: float = 20.0
    update_baseline_first: bool = False
    mean_over_steps: bool = False
    step_reward: bool = False
    step_reward_scale: float = 1.0
    step_reward_clip: float = 20.0


class Controller(nn.Module):
    """Leaky-ReLU perceptron from observations (runs, features) to logits (runs, actions), divided
    by the temperature.
    """

    def __init__(
        self, num_features: int, num_actions: int, hidden_sizes: tuple[int, ...], temperature: float
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for size, next_size in pairwise((num_features, *hidden_sizes, num_actions)):
            layer = nn.Linear(size, next_size)
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
            layers += [layer, nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers[:-1])
        self.temperature = temperature

    def forward(self, observations: Tensor) -> Tensor:
        return self.layers(observations) / self.temperature


def build_controller(configuration: TrainingConfiguration, envs: AutoLossVectorEnv) -> Controller:
    """The untrained controller of a configuration, for the spaces of `envs`."""
    options, space = (
        build(ReinforceOptions, configuration.hyperparameters),
        envs.single_action_space,
    )
    if not isinstance(space, spaces.Discrete):
        raise ValueError(
            f"--algo reinforce chooses pairs, this environment has {space}: leave out control=weights"
        )
    assert envs.single_observation_space.shape is not None
    return Controller(
        envs.single_observation_space.shape[0],
        int(space.n),
        options.hidden_sizes,
        options.temperature,
    )


@dataclass
class Sequences:
    """S training runs, each up to its end; tensors (steps, S, …) on the environment's device."""

    observations: Tensor
    actions: Tensor
    running: Tensor
    step_rewards: Tensor
    final_rewards: Tensor  # (S,)
    figures: dict[str, float]


def policy_loss(
    controller: Controller, sequences: Sequences, advantages: Tensor, options: ReinforceOptions
) -> Tensor:
    """−1/S Σ_s Σ_t log π(a_t | s_t) · (advantage + step reward): the negative of Eq. 2's estimate."""
    logs = torch.log_softmax(controller(sequences.observations), dim=2)
    chosen = logs.gather(2, sequences.actions[:, :, None]).squeeze(2)
    gains = (chosen * (advantages + sequences.step_rewards) * sequences.running).sum(dim=0)
    if options.mean_over_steps:
        gains = gains / sequences.running.sum(dim=0)
    return -gains.mean()


class Baseline:
    """Moving average B ← ηB + (1 − η)R of the final rewards; it starts at the first ones."""

    def __init__(self, options: ReinforceOptions) -> None:
        self._options, self.value = options, None  # type: ReinforceOptions, Tensor | None

    def advantages(self, rewards: Tensor) -> Tensor:
        """Clipped advantages (S,) of final rewards (S,)."""
        old = rewards.mean() if self.value is None else self.value
        self.value = (
            self._options.baseline_decay * old + (1 - self._options.baseline_decay) * rewards.mean()
        )
        subtracted = self.value if self._options.update_baseline_first else old
        return (rewards - subtracted).clamp(
            -self._options.advantage_clip, self._options.advantage_clip
        )


class ReinforceLearner:
    """Trains a controller; ValueError if the configuration does not fit its environment."""

    def __init__(self, configuration: TrainingConfiguration) -> None:
        self._configuration = configuration
        self._options = build(ReinforceOptions, configuration.hyperparameters)
        arguments = {"reward": "final", **configuration.env_kwargs, "array": "torch"}
        envs = gymnasium.make_vec(configuration.env, num_envs=configuration.num_envs, **arguments)
        assert isinstance(envs, AutoLossVectorEnv)
        torch.manual_seed(configuration.seed)
        self._envs = envs
        self.controller = build_controller(configuration, envs).to(envs.device)
        self._envs.reset(seed=configuration.seed * SEED_SPACING)
        self._adam = torch.optim.Adam(self.controller.parameters(), lr=self._options.learning_rate)
        self._baseline, self._steps, self._samples = Baseline(self._options), 0, SampleLog(envs)

    def train(self, folder: Path) -> None:
        """Train, or go on from the checkpoint in `folder`, where logs, checkpoints and weights are
        stored.
        """
        checkpoint = load_checkpoint(folder)
        if checkpoint:
            with fitting(folder, self._configuration.algo, checkpoint):
                self._restore(checkpoint)
        if self._steps >= self._configuration.n_timesteps:
            return
        logger, started = open_logger(folder, self._steps), time.monotonic()
        interval = self._configuration.checkpoint_interval
        with contextlib.closing(logger):
            while self._steps < self._configuration.n_timesteps:
                sequences = self.play()
                self._update(sequences)
                self._log(logger, sequences, time.monotonic() - started)
                if self._steps // interval > (self._steps - sequences.actions.numel()) // interval:
                    self._save(folder)
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
            "algo": "reinforce",
            "controller": self.controller.state_dict(),
            "adam": self._adam.state_dict(),
            "steps": self._steps,
        }
        save_checkpoint(
            folder, {**content, "baseline": self._baseline.value, "envs": self._envs.state_dict()}
        )
        save_weights(self.controller, folder, self._steps)

    def _restore(self, content: dict[str, Any]) -> None:
        self.controller.load_state_dict(content["controller"])
        self._adam.load_state_dict(content["adam"])
        self._baseline.value, self._steps = content["baseline"], content["steps"]
        self._envs.load_state_dict(content["envs"])
        restore_generators(content["generators"])

    @torch.no_grad()
    def play(self) -> Sequences:
        """Sample an action at every step of S new problems, until all have ended."""
        envs, recorded = self._envs, []
        observations, infos = envs.reset()
        running = torch.ones(envs.num_envs, dtype=torch.bool, device=envs.device)
        final_rewards = torch.zeros(envs.num_envs, device=envs.device)
        figures: dict[str, Tensor] = {}
        metrics = [infos["validation"][:, 0]]
        playing = True
        while playing:
            actions = torch.distributions.Categorical(logits=self.controller(observations)).sample()
            recorded.append((observations, actions, running))
            observations, rewards, ended, _, infos = envs.step(actions)
            metrics.append(infos["validation"][:, 0])
            self._samples.watch(ended="final_info" in infos and bool(ended[0]))
            if (
                "final_info" in infos
            ):  # some have ended; to ask the device at every step would make it wait
                metrics[-1] = torch.where(
                    ended, infos["final_info"]["validation"][:, 0], metrics[-1]
                )
                final_rewards = torch.where(running & ended, rewards, final_rewards)
                figures = _collect(figures, infos["final_info"], running & ended)
                running = running & ~ended
                playing = bool(running.any())
        seen, chosen, ran = (torch.stack(column) for column in zip(*recorded, strict=True))
        means = {name: values.double().mean().item() for name, values in figures.items()}
        return Sequences(
            seen, chosen, ran, self._step_rewards(torch.stack(metrics)), final_rewards, means
        )

    def _step_rewards(self, metrics: Tensor) -> Tensor:
        """The released code's reward of each step (steps, S), from the deciding metric before and
        after it.
        """
        options = self._options
        if not options.step_reward:
            return torch.zeros_like(metrics[1:])
        sign = 1.0 if self._envs.task.validation_metrics[0].minimize else -1.0
        gains, rewards, average = (
            sign * (metrics[:-1] - metrics[1:]),
            [],
            torch.full_like(metrics[0], 0.1),
        )
        for gain in gains:
            changed = gain != 0
            average = torch.where(
                changed,
                options.baseline_decay * average + (1 - options.baseline_decay) * gain,
                average,
            )
            size = torch.sqrt(gain.abs() / (average.abs() + 1e-5)).clamp(
                max=options.step_reward_clip
            )
            rewards.append(torch.sign(gain) * size * options.step_reward_scale)
        return torch.stack(rewards)

    def _log(self, logger: Logger, sequences: Sequences, elapsed: float) -> None:
        pairs, shares = (
            self._envs.task.pairs,
            torch.nn.functional.one_hot(sequences.actions, len(self._envs.task.pairs)),
        )
        mean = (shares * sequences.running[:, :, None]).sum(dim=(0, 1)) / sequences.running.sum()
        for name, value in sequences.figures.items():
            logger.record(f"environment/{name}", value)
        for pair, share in zip(pairs, mean.tolist(), strict=True):
            logger.record(f"environment/share_of_{pair.name}", share)
        logger.record("rollout/final_reward", sequences.final_rewards.mean().item())
        total, steps = self._configuration.n_timesteps, self._steps
        if 10 * steps // total > 10 * (steps - sequences.actions.numel()) // total:
            self._samples.record(logger)
            done, score = min(100, 100 * steps / total), sequences.figures["best_score"]
            print(f"{done:4.0f} %  {steps:>9,} steps  {elapsed:5.0f} s  best score {score:8.4f}  "
                  f"share of {pairs[0].name} {mean[0]:.2f}", file=sys.stderr)  # fmt: skip
        logger.dump(steps)


def _collect(figures: dict[str, Tensor], final: dict[str, Any], rows: Tensor) -> dict[str, Tensor]:
    """Figures of the runs `rows`, which have just ended, beside those of the runs that ended
    before.
    """
    names = ("score", "best_score", "steps", "diverged", "collapsed")
    return {
        n: torch.where(rows, final[n], figures.get(n, torch.zeros_like(final[n]))) for n in names
    }
