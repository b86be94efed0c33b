"""Loss-weighting rules as plain objects, batched over runs, for any training loop."""

from autoloss_gym.weightings.dynamic_weight_average import DynamicWeightAverage
from autoloss_gym.weightings.equal import Equal
from autoloss_gym.weightings.fixed import Fixed
from autoloss_gym.weightings.gradient_annealing import GradientAnnealing
from autoloss_gym.weightings.gradnorm import GradNorm
from autoloss_gym.weightings.ntk_weights import NTKWeights
from autoloss_gym.weightings.random_weights import RandomLossWeighting
from autoloss_gym.weightings.rule import WeightingRule
from autoloss_gym.weightings.softadapt import SoftAdapt
from autoloss_gym.weightings.uncertainty import UncertaintyWeighting

__all__ = [
    "DynamicWeightAverage",
    "Equal",
    "Fixed",
    "GradNorm",
    "GradientAnnealing",
    "NTKWeights",
    "RandomLossWeighting",
    "SoftAdapt",
    "UncertaintyWeighting",
    "WeightingRule",
]
