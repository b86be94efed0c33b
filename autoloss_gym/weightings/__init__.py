"""Loss-weighting rules as plain objects, batched over runs, for any training loop."""

from autoloss_gym.weightings.coefficient_of_variation import CoVWeighting
from autoloss_gym.weightings.dynamic_weight_average import DynamicWeightAverage
from autoloss_gym.weightings.equal import Equal
from autoloss_gym.weightings.famo import FAMO
from autoloss_gym.weightings.fixed import Fixed
from autoloss_gym.weightings.gradient_annealing import GradientAnnealing
from autoloss_gym.weightings.gradnorm import GradNorm
from autoloss_gym.weightings.imtl import IMTLBalance
from autoloss_gym.weightings.ntk_weights import NTKWeights
from autoloss_gym.weightings.random_weights import RandomLossWeighting
from autoloss_gym.weightings.relobralo import ReLoBRaLo
from autoloss_gym.weightings.rule import WeightingRule
from autoloss_gym.weightings.self_adaptive import SelfAdaptiveWeights
from autoloss_gym.weightings.softadapt import SoftAdapt
from autoloss_gym.weightings.time_schedule import TimeSchedule
from autoloss_gym.weightings.uncertainty import UncertaintyWeighting

__all__ = [
    "FAMO",
    "CoVWeighting",
    "DynamicWeightAverage",
    "Equal",
    "Fixed",
    "GradNorm",
    "GradientAnnealing",
    "IMTLBalance",
    "NTKWeights",
    "RandomLossWeighting",
    "ReLoBRaLo",
    "SelfAdaptiveWeights",
    "SoftAdapt",
    "TimeSchedule",
    "UncertaintyWeighting",
    "WeightingRule",
]
