"""Hyper-parameters of PPO on tensors: names, defaults and meaning are Stable-Baselines3's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class TensorPPOOptions:
    """Those of `stable_baselines3.PPO`, without what a batch of vectors on a device has no use for
    (`use_sde`, classes of buffers).

    Args:
        learning_rate: of Adam, whose ε is 1e-5.
        n_steps: steps of every run in a rollout.
        batch_size: steps in a minibatch; the last one of an epoch may be smaller.
        n_epochs: passes over a rollout in an update.
        gamma: discount γ.
        gae_lambda: λ of the generalised advantage estimation.
        clip_range: largest change of the probability ratio that the loss rewards.
        clip_range_vf: largest change of a value; None for no bound.
        normalize_advantage: whether advantages of a minibatch get mean 0 and deviation 1.
        ent_coef: of the entropy in the loss.
        vf_coef: of the value loss in the loss.
        max_grad_norm: largest norm of the gradient.
        target_kl: an update ends before a minibatch whose KL divergence is 1.5 times as large; the
            host must then read it from the device at every minibatch. None for no bound.
        stats_window_size: episodes over which returns and lengths are averaged for the log.
        policy_kwargs: of `MlpPolicy`, such as {"net_arch": [32, 32]}.
    """

    learning_rate: float = 3e-4
    n_steps: int = 2048
    batch_size: int = 64
    n_epochs: int = 10
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    clip_range_vf: float | None = None
    normalize_advantage: bool = True
    ent_coef: float = 0.0
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    target_kl: float | None = None
    stats_window_size: int = 100
    policy_kwargs: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.normalize_advantage and self.batch_size == 1:
            raise ValueError(
                "batch_size=1: expected at least 2, or normalize_advantage=false: a single "
                "advantage has no deviation"
            )
