"""Estimate of the gradient in the AutoLoss paper (Eq. 2), with the tricks of its released code as
options.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from autoloss_gym.tools.bounds import FiniteFloat, PositiveFloat, Share, Units
from autoloss_gym.tools.fields import check_fields

_FIRST_AVERAGE = 0.1  # of the improvements, in the released code
_EPSILON = 1e-5  # against division by 0, in the released code


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

    learning_rate: PositiveFloat = 1e-3
    hidden_sizes: tuple[Units, ...] = (16,)
    temperature: PositiveFloat = 1.0
    baseline_decay: Share = 0.8
    advantage_clip: PositiveFloat = 20.0
    update_baseline_first: bool = False
    mean_over_steps: bool = False
    step_reward: bool = False
    step_reward_scale: FiniteFloat = 1.0
    step_reward_clip: PositiveFloat = 20.0

    def __post_init__(self) -> None:
        check_fields(self)


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
    controller: nn.Module, sequences: Sequences, advantages: Tensor, options: ReinforceOptions
) -> Tensor:
    """Negative of Eq. 2's estimate: −1/S Σ_s Σ_t log π(a_t | s_t) · (advantage + step reward)."""
    log_probabilities = torch.log_softmax(controller(sequences.observations), dim=2)
    chosen = log_probabilities.gather(2, sequences.actions[:, :, None]).squeeze(2)
    gains = (chosen * (advantages + sequences.step_rewards) * sequences.running).sum(dim=0)
    if options.mean_over_steps:
        gains = gains / sequences.running.sum(dim=0)
    return -gains.mean()


class Baseline:
    """Moving average B ← ηB + (1 − η)R of the final rewards; it starts at the first ones."""

    def __init__(self, options: ReinforceOptions) -> None:
        self._options = options
        self.value: Tensor | None = None

    def advantages(self, rewards: Tensor) -> Tensor:
        """Clipped advantages (S,) of final rewards (S,)."""
        decay = self._options.baseline_decay
        clip = self._options.advantage_clip
        old = rewards.mean() if self.value is None else self.value
        self.value = decay * old + (1 - decay) * rewards.mean()
        subtracted = self.value if self._options.update_baseline_first else old
        return (rewards - subtracted).clamp(-clip, clip)


def step_rewards(metrics: Tensor, minimize: bool, options: ReinforceOptions) -> Tensor:
    """Rewards of the released code for each step, (steps, S).

    Args:
        metrics: deciding validation metric before the first step and after each, (steps + 1, S).
        minimize: whether a low metric is good.
        options: `step_reward`, without which all are 0, and its scale, clip and decay.
    """
    if not options.step_reward:
        return torch.zeros_like(metrics[1:])
    decay = options.baseline_decay
    sign = 1.0 if minimize else -1.0
    gains = sign * (metrics[:-1] - metrics[1:])
    average = torch.full_like(metrics[0], _FIRST_AVERAGE)
    rewards = []
    for gain in gains:
        # Between two validations the metric stays as it is: such steps earn nothing and are not
        # averaged.
        average = torch.where(gain != 0, decay * average + (1 - decay) * gain, average)
        size = torch.sqrt(gain.abs() / (average.abs() + _EPSILON))
        size = size.clamp(max=options.step_reward_clip)
        rewards.append(torch.sign(gain) * size * options.step_reward_scale)
    return torch.stack(rewards)
