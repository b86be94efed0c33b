"""Batched optimizers of one block of parameters (num_envs, size); idle runs stay untouched.

Every run has a step count of its own. `update` works in place on the tensors it is given; for a
pure update pass clones, through which gradients flow. Only correctly rounded operations are used
(no `pow`, no fused multiply-add), so that a run gets the same bits in a batch of any size.
"""

from autoloss_gym.optimizers.adam import Adam
from autoloss_gym.optimizers.barzilai_borwein import BarzilaiBorwein
from autoloss_gym.optimizers.learned import LearnedOptimizer, with_weights
from autoloss_gym.optimizers.named import OPTIMIZERS, as_optimizer
from autoloss_gym.optimizers.optimizer import Optimizer, OptimizerState
from autoloss_gym.optimizers.sgd import SGD

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "Adam",
    "BarzilaiBorwein",
    "LearnedOptimizer",
    "Optimizer",
    "OptimizerState",
    "as_optimizer",
    "with_weights",
]
