"""Random sets of arguments for everything that the package lets one make.

python -m tests.support.random_arguments --cases 2000 --seed 0 [--show worked refused]

Each set is good but for a few hostile values. What is made must work: finite outputs in their
spaces. Everything else must be refused by a ValueError or TypeError of one line in the package's
own words.
"""

import functools
import random
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import gymnasium
import numpy as np
import torch

import autoloss_gym
from autoloss_gym import ClosedForm, Metric, Pair
from autoloss_gym.adapters.stable_baselines3 import StableBaselines3VecEnv
from autoloss_gym.controllers.networks.perceptron import Perceptron
from autoloss_gym.controls import ChoosePair, WeighLosses
from autoloss_gym.core.task import Task
from autoloss_gym.data.images import load_images
from autoloss_gym.data.tables import load_table
from autoloss_gym.environment.building import build_task
from autoloss_gym.environment.env import AutoLossEnv
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.optimizers import SGD, Adam, BarzilaiBorwein
from autoloss_gym.registration import TASKS
from autoloss_gym.signals.description import RunDescription
from autoloss_gym.signals.features import Features
from autoloss_gym.signals.rewards import Final, Improvement, Shaped
from autoloss_gym.tasks.images.image_gan import ImageGAN
from autoloss_gym.tasks.images.intro_vae import IntroVAE
from autoloss_gym.tasks.images.sparse_autoencoder import SparseAutoencoder
from autoloss_gym.tasks.supervised.mlp_classification import MLPClassification
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from autoloss_gym.tasks.surfaces.beale import Beale
from autoloss_gym.tasks.surfaces.rosenbrock import Rosenbrock
from autoloss_gym.weightings import (
    FAMO,
    CoVWeighting,
    DynamicWeightAverage,
    Fixed,
    GradientAnnealing,
    GradNorm,
    IMTLBalance,
    NTKWeights,
    RandomLossWeighting,
    ReLoBRaLo,
    SelfAdaptiveWeights,
    SoftAdapt,
    TimeSchedule,
    UncertaintyWeighting,
)
from tests.support import forked


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


class Incomparable:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    __hash__ = None  # type: ignore[assignment]


def _endless() -> list:
    values: list = []
    values.append(values)
    return values


# Functions that make them: a fork may change what it gets.
VALUES: tuple[Callable[[], Any], ...] = tuple(
    functools.partial(lambda value: value, value)
    for value in (
        None, True, False, 0, -1, 1, 3, 2.5, -0.0, float("nan"), float("inf"), -float("inf"), 1e-320, 1e308, 2**31 - 1, 10**9,
        10**30, 10**400, -(10**5000), 1j, "", "x", "1", "none", "\n", "😀" * 1000, "x" * 100_000, "../../etc", "/dev/zero", "os:system",
        b"x", [], [1], [0], [-1], [None], [[1]], (), (1,), (1, 2), ("mse",), ("x", "x"), {}, {"a": 1}, {1: 2}, {"scale": "x"}, set(),
        frozenset({1}), range(3), int, str, dict, len, object(), Unprintable(), Incomparable(), _endless(), Decimal("0.5"), Fraction(1, 2),
        Path("x"), MappingProxyType({"a": 1}), np.int64(3), np.uint8(3), np.float32(0.5), np.float16("nan"), np.bool_(True), np.str_("pair"),
        np.array(5), np.array([1, 2]), np.array([]), np.array("x"), np.array(["train", "test"]), np.array([None]), np.array(1j),
        torch.tensor(1), torch.tensor([1.0, 2.0]), torch.tensor([True]), torch.float32, torch.device("cpu"), torch.optim.SGD, Adam,
        Adam(learning_rate=0.1), SGD(learning_rate=1e30), Pair("mse", ("weights",)), Metric("mse"), Final(), ChoosePair(), Beale(),
    )
)  # fmt: skip
COMMON: dict[str, tuple] = {
    "max_steps": (8,), "validate_every": (4, 2), "patience": (0, 1), "collapse_repeats": (0, 3), "collapse_share": (0.0, 0.3),
    "optimizer": (Adam(learning_rate=1e-2), SGD(learning_rate=1e-2)),
}  # fmt: skip
TABLES = COMMON | {
    "dimension": (5, 6), "num_samples": (6,), "l1_coefficient": (0.1, 0, 1e6), "penalty": ("joint", "split"), "target": (None,),
    "train_on_validation": (False, True),
}  # fmt: skip
SURFACES = COMMON | {
    "start": ((0.0, 1.0), [1e3, -1e3]), "start_width": (0.5, 0), "step": (None, "fixed", "barzilai_borwein_1"), "step_bounds": ((1e-4, 0.1),),
}  # fmt: skip
IMAGES = COMMON | {
    "dataset": ("digits",), "data_dir": (None,), "size": (0, 8), "num_samples": (0, 16), "batch_size": (2, 4), "num_held_out": (4,), "num_test": (4,),
}  # fmt: skip
TASK_ARGUMENTS: dict[type[Task], dict[str, tuple]] = {
    QuadraticRegression: TABLES | {"dataset": ("synthetic",), "noise": (1.0, 0, 1e6), "constant": (False, True)},
    MLPClassification: TABLES
    | {"dataset": ("paper", "make_classification"), "num_held_out": (6,), "side": (2.0, 0, 1e3), "assignment": ("random", "opposite"), "hidden_sizes": ((3,), [2, 2], ())},
    Beale: SURFACES,
    Rosenbrock: SURFACES | {"a": (1.0, -2), "b": (100.0, 1e4)},
    SparseAutoencoder: IMAGES | {"hidden_sizes": ((4,),), "code_size": (3,), "l1_coefficient": (0.1,), "active_price": (0.5,)},
    IntroVAE: IMAGES
    | {"arms": ("players", "parts"), "form": ("paper", "released"), "margin": (60, 1e-3), "alpha": (0.5, 0), "reconstruction": (60.0, 0), "per_pixel": (False, True), "filters": (2,), "latent_size": (3,), "kernel_size": (4, 5), "weight_deviation": (0.0, 0.1), "collapse_updates": (0, 2), "niqe_patch": (0, 8)},
    ImageGAN: IMAGES
    | {"loss": ("hinge", "minimax"), "filters": (2,), "latent_size": (2,), "kernel_size": (4, 5), "batch_norm": (False, True), "generator_activation": ("relu",), "weight_deviation": (0.0, 0.1)},
}  # fmt: skip
ENVIRONMENT: dict[str, tuple] = {
    "num_envs": (1, 3, np.int64(2)), "control": ("pair", "weights", ChoosePair()), "control_arguments": (None, {}),
    "reward": ("shaped", "final", "improvement", Final(scale=2.0)), "reward_arguments": (None, {}), "features": ("scaled", "raw", "log"),
    "drop": ((), ("losses",), "progress", ["average"]), "add": ((), ("best",), "sizes", ["gradient_noise"]), "split": ("train", "test"), "repeat": (1, 2), "num_instances": (None, 3),
    "autoreset_mode": ("SameStep", "NextStep", "Disabled"), "device": ("cpu", "auto"), "array": ("numpy", "torch"), "compile": (False,),
    "render_mode": (None, "rgb_array"), "preset": (None,),
}  # fmt: skip
NESTED: dict[str, tuple] = {
    "control_arguments": ("normalize", "wide", "x"),
    "reward_arguments": ("formula", "scale", "floor", "segment", "window", "x"),
}
SMALL_TASKS = (QuadraticRegression, MLPClassification, Beale, Rosenbrock)
DESCRIPTION = RunDescription(
    pairs=("a", "b"), validation_metrics=(Metric("a"),), max_steps=8, validate_every=2
)
OTHERS: dict[Callable, dict[str, tuple]] = {
    Adam: {"learning_rate": (0.1,), "betas": ((0.9, 0.99), [0, 0]), "epsilon": (1e-8, 0)},
    SGD: {"learning_rate": (0.1,), "momentum": (0.0, 0.5)},
    BarzilaiBorwein: {"learning_rate": (0.1,), "form": ("long", "short"), "lower": (1e-3,), "upper": (0.1,)},
    Pair: {"loss": ("mse",), "blocks": (("a",), ("a", "b")), "cheap": (True, False)},
    Metric: {"name": ("mse",), "minimize": (True, False), "worst": (1.0, float("inf"))},
    ClosedForm: {"loss": (len,), "value_and_gradient": (len,)},
    ChoosePair: {},
    WeighLosses: {"normalize": ("sum", "count", None), "wide": (100.0, 2)},
    Shaped: {},
    Final: {"formula": ("inverse", "square", None), "scale": (10.0, -1), "floor": (0.01,)},
    Improvement: {"segment": (50,), "window": (5,), "floor": (1e-3,)},
    Features: {"description": (DESCRIPTION,), "scaling": ("scaled", "raw", "log"), "drop": ((), ("losses",)), "add": ((), ("best",), ("gradient_noise",))},
    RunDescription: {"pairs": (("a", "b"),), "validation_metrics": ((Metric("a"),),), "max_steps": (8,), "validate_every": (2,), "patience": (0, 3), "blocks": ((), (("x",), ("x", "y")))},
    Perceptron: {"num_inputs": (3,), "num_outputs": (2,), "hidden_sizes": ((4,), ()), "temperature": (1.0,)},
    SoftAdapt: {"beta": (0.1,), "window": (2, 7), "every": (1, 3), "scale": ("sum", "count"), "normalized": (True, False), "flat_start": (True, False)},
    DynamicWeightAverage: {"temperature": (2.0,), "scale": ("count",)},
    UncertaintyWeighting: {"optimizer": (Adam(learning_rate=0.1),)},
    GradNorm: {"alpha": (1.5,), "every": (1, 2)},
    RandomLossWeighting: {"seed": (0, 7)},
    ReLoBRaLo: {"alpha": (0.9,), "temperature": (1.0,), "rho": (0.5, 1.0), "seed": (0, 7)},
    FAMO: {"decay": (0.01,), "lower_bounds": (None, (0.0, -1.0), [0, 1])},
    IMTLBalance: {"optimizer": (Adam(learning_rate=0.1),)},
    CoVWeighting: {"decay": (1.0, 0.9)},
    GradientAnnealing: {"alpha": (0.1,), "every": (1, 2)},
    NTKWeights: {"scale": ("sum", None)},
    SelfAdaptiveWeights: {"power": (1, 4), "mask": ("polynomial", "sigmoid")},
    TimeSchedule: {"knots": ((1, 2), [1.0, [(5, 0.0), (9, 2.0)]]), "between": ("linear", "log")},
    Fixed: {"weights": ((1, 2), [0.5, 1])},
    load_table: {"dataset": ("diabetes",), "target": (None,)},
    load_images: {"dataset": ("digits",), "data_dir": (None,), "size": (0, 4)},
    StableBaselines3VecEnv: {"envs": ()},
    autoloss_gym.register_task: {"id": ("Mine/Task-v0",), "task": ("mine:Task",)},
}  # fmt: skip
# What Python, NumPy and PyTorch say of values that nobody has looked at.
FOREIGN = re.compile(
    "not supported between|object is not|unhashable|has no (len|attribute)|must be real number|argument of type|unsupported operand|"
    "truth value|invalid literal|could not convert|array element|cannot convert|positional argument|can't convert|bad operand|"
    "ambiguous|Exceeds the limit|must be str|expected str, bytes|is not iterable|subscriptable|embedded null|broadcast|got .NoneType"
)  # fmt: skip


class Sets:
    """Draws what to make, with arguments.

    Args:
        seed: of the draws.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def draw(self) -> tuple[Callable, dict[str, Any]]:
        """Something to make and its arguments."""
        draw = self._random
        kind = draw.choices(("environment", "task", "other"), (50, 20, 30))[0]
        if kind == "other":
            made = draw.choice([*OTHERS])
            known = OTHERS[made]
            arguments = self._some(known, all_of_them=True)
        elif kind == "task":
            made = draw.choice([*TASK_ARGUMENTS])
            known = TASK_ARGUMENTS[made]
            arguments = self._some(known)
        else:
            made = draw.choice((AutoLossVectorEnv, AutoLossVectorEnv, AutoLossEnv, build_task))
            cls = draw.choice(SMALL_TASKS)
            of_task = TASK_ARGUMENTS[cls]
            own = {} if made is build_task else ENVIRONMENT
            if made is AutoLossEnv:
                own = {
                    name: own[name]
                    for name in own
                    if name not in ("num_envs", "array", "autoreset_mode")
                }
            known = own | of_task
            arguments = self._some(of_task) | self._some(own)
            arguments["task"] = f"{cls.__module__}:{cls.__name__}"
        for _ in range(draw.choices((0, 1, 2, 3), (15, 55, 20, 10))[0]):
            self._spoil(arguments, [*known, *(["task"] if kind == "environment" else [])])
        return made, arguments

    def _some(self, known: Mapping[str, tuple], all_of_them: bool = False) -> dict[str, Any]:
        chosen = {}
        for name, values in known.items():
            needed = all_of_them or name in ("max_steps", "validate_every", "num_samples", "dimension", "num_held_out", "num_test")  # fmt: skip
            if values and (needed or self._random.random() < 0.25):
                chosen[name] = self._random.choice(values)
        return chosen

    def _spoil(self, arguments: dict[str, Any], names: list[str]) -> None:
        draw = self._random
        value = draw.choice(VALUES)()
        name = draw.choice([*names, "nonsense"] if names else ["nonsense"])
        if name in NESTED and draw.random() < 0.7:
            value = {draw.choice(NESTED[name]): value}
        arguments[name] = value


def make(made: Callable, arguments: dict[str, Any]) -> tuple[str, str]:
    """Make something and use it; the outcome and what was said."""
    warnings.simplefilter("error")
    try:
        if made is build_task:
            arguments = dict(arguments)
            task, preset = arguments.pop("task"), arguments.pop("preset", None)
            result = build_task(task, preset, arguments)
        else:
            result = made(**arguments)
    except (ValueError, TypeError) as error:
        message = str(error)
        is_clear = forked.is_one_line(message) and not FOREIGN.search(message)
        of_python = isinstance(error, TypeError) and re.search(
            r"__init__\(\)|register_task\(\)", message
        )
        return (
            "refused" if is_clear or of_python else "nonsense",
            f"{type(error).__name__}: {message}",
        )
    return use(result)


def use(result: Any) -> tuple[str, str]:
    """Use what was made: a few steps of an environment, an update of an optimizer."""
    if isinstance(result, Task) and type(result) in SMALL_TASKS:
        result = AutoLossVectorEnv(result, 2)
    if isinstance(result, AutoLossVectorEnv | AutoLossEnv):
        return play(result)
    if isinstance(result, SGD | Adam | BarzilaiBorwein):
        x, on = torch.ones(2, 3), torch.ones(2, dtype=torch.bool)
        state = result.init(x)
        for _ in range(2):
            result.update(x, torch.full((2, 3), 0.1), state, on, torch.ones(2))
        return _finite("parameters", x)
    if isinstance(result, Perceptron):
        return _finite("logits", result(torch.zeros(1, result.layers[0].in_features)))
    return "worked", ""


def play(envs: Any) -> tuple[str, str]:
    """Reset, step to the end, draw; everything is finite and in its space."""
    observations, _ = envs.reset(seed=0)
    steps = envs.task.max_steps // (
        envs.repeat if isinstance(envs, AutoLossVectorEnv) else envs.batch.repeat
    )
    for _ in range(min(steps, 10)):
        problem = _outside(envs.observation_space, observations)
        if problem:
            return "nonsense", problem
        try:
            observations, rewards, *_, infos = envs.step(envs.action_space.sample())
        except gymnasium.error.ResetNeeded:
            break
        for name, values in (("rewards", rewards), *_figures(infos)):
            if not np.isfinite(np.asarray(torch.as_tensor(values))).all():
                return "nonsense", f"{name} {values}"
    envs.render()
    return "worked", ""


def _outside(space: gymnasium.Space, observations: Any) -> str:
    values = np.asarray(torch.as_tensor(observations))
    return "" if space.contains(values) else f"observations {values.dtype} {values} not in {space}"


def _figures(infos: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    final = infos.get("final_info", infos)
    return (
        (name, final[name])
        for name in ("losses", "validation", "score", "best_score", "pair_shares")
        if name in final
    )


def _finite(name: str, values: torch.Tensor) -> tuple[str, str]:
    good = bool(torch.isfinite(values).all())
    return ("worked", "") if good else ("nonsense", f"{name} {values}")


def cases(seed: int) -> Iterator[tuple[str, Callable[[], tuple[str, str]]]]:
    """Endless random sets of arguments."""
    sets = Sets(seed)
    while True:
        made, arguments = sets.draw()
        text = ", ".join(f"{name}={_shown(value)}" for name, value in arguments.items())
        yield f"{made.__name__}({text})", functools.partial(make, made, arguments)


def _shown(value: Any) -> str:
    try:
        return repr(value)[:80]
    except Exception:
        return f"<{type(value).__name__}>"


if __name__ == "__main__":
    assert TASKS
    torch.set_num_threads(1)
    sys.exit(forked.run("sets of arguments", cases(forked.parsed().seed)))
