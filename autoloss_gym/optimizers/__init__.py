"""Batched optimizers: one block of parameters (num_envs, size), a step count per run, idle runs
untouched.

`update` works in place on the tensors it is given; whoever wants a pure update passes clones,
through which gradients flow. Only correctly rounded operations are used (no `pow`, no fused
multiply-add), so that a run gets the same bits in a batch of any size.
"""

from autoloss_gym.optimizers.adam import Adam
from autoloss_gym.optimizers.barzilai_borwein import BarzilaiBorwein
from autoloss_gym.optimizers.optimizer import Optimizer, OptimizerState
from autoloss_gym.optimizers.sgd import SGD

__all__ = ["SGD", "Adam", "BarzilaiBorwein", "Optimizer", "OptimizerState"]
