"""Random arrays of actions, and random controls, seeds and options, for every kind of action.

python -m tests.support.random_actions --cases 500 --seed 0 [--show worked refused]

What is accepted must give finite outputs in their spaces; everything else is a ValueError or
TypeError of one line, after which the environment goes on as if nothing had been.
"""

import functools
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from autoloss_gym import AutoLossEnv, AutoLossVectorEnv, Control
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from autoloss_gym.tasks.surfaces.beale import Beale
from tests.support import forked
from tests.support.random_arguments import FOREIGN, VALUES, play

RUNS = 3
NUMPY_TYPES = ("int64", "int8", "uint64", "float32", "float64", "float16", "longdouble", "bool", "complex64", "U3", "S2", "object", "M8[s]")  # fmt: skip
TORCH_TYPES = (torch.int64, torch.uint8, torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.bool, torch.complex64, torch.float8_e4m3fn)  # fmt: skip
NUMBERS = (0, 1, 2, -1, 0.5, -0.5, 7, 2**40, 1e30, 1e300, float("nan"), float("inf"), -float("inf"))
TASKS = (QuadraticRegression(dimension=3, num_samples=6, max_steps=20), Beale(max_steps=20))


class Arrays:
    """Draws an environment and what is handed to it.

    Args:
        seed: of the draws.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def draw(self) -> tuple[dict[str, Any], str, Any]:
        """Arguments of an environment, the method that is called, and its argument."""
        draw = self._random
        arguments = {
            "task": draw.choice(TASKS),
            "control": draw.choice(("pair", "weights", "step_size", "schedule")),
            "array": draw.choice(("numpy", "torch")),
            "features": draw.choice(("scaled", "raw")),
        }
        method = draw.choices(("step", "step_control", "seed", "options"), (60, 20, 10, 10))[0]
        width = len(arguments["task"].pairs)
        if method == "step":
            entries = {"pair": (), "step_size": (1,)}.get(arguments["control"], (width,))
            return arguments, method, self.array((RUNS, *entries))
        if method == "step_control":
            choice = self.array((RUNS,)) if draw.random() < 0.5 else None
            control = Control(self.array((RUNS, width)), self.array((RUNS,)), choice)
            return arguments, method, control if draw.random() < 0.9 else self.array((RUNS,))
        if method == "seed":
            return arguments, method, self.array((RUNS,))
        mask = self.array((RUNS,)) if draw.random() < 0.5 else np.array([True, False, draw.random() < 0.5])  # fmt: skip
        name = draw.choice(("reset_mask", "reset_mask", "instance", "nonsense", 3))
        return arguments, method, {name: mask} if draw.random() < 0.8 else draw.choice(VALUES)()

    def array(self, shape: tuple[int, ...]) -> Any:
        """Numbers of this shape or another, in any container and of any type."""
        draw = self._random
        if draw.random() < 0.15:
            return draw.choice(VALUES)()
        if draw.random() < 0.2:
            shape = draw.choice(((), (0,), (2,), (RUNS, 1), (1, RUNS), (RUNS, 9), (RUNS, 2, 2), (2**10,)))  # fmt: skip
        count = int(np.prod(shape))
        pool = (0, 1) if draw.random() < 0.6 else NUMBERS
        values = [draw.choice(pool) for _ in range(count)]
        container = draw.choice(("list", "numpy", "torch"))
        if container == "list":
            nested = np.array(values, dtype=object).reshape(shape).tolist()
            return [nested, [nested]] if draw.random() < 0.1 else nested
        with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
            try:
                if container == "torch":
                    made = torch.tensor(values, dtype=torch.float64).reshape(shape)
                    made = made.to(draw.choice(TORCH_TYPES))
                    return made.requires_grad_() if made.is_floating_point() and draw.random() < 0.2 else made  # fmt: skip
                made = np.array(values, dtype=draw.choice(NUMPY_TYPES)).reshape(shape)
            except (ValueError, OverflowError, TypeError):
                made = np.array(values, dtype=object).reshape(shape)
        return made[..., ::-1] if made.ndim and draw.random() < 0.2 else made


def hand_over(arguments: dict[str, Any], method: str, value: Any) -> tuple[str, str]:
    """Call a method of a new environment; the outcome and what was said."""
    warnings.simplefilter("error")
    envs = AutoLossVectorEnv(num_envs=RUNS, **arguments)
    undisturbed = AutoLossVectorEnv(num_envs=RUNS, **arguments)
    for each in (envs, undisturbed):
        each.reset(seed=0)
    try:
        _call(envs, method, value)
    except (ValueError, TypeError) as error:
        message = str(error)
        if not forked.is_one_line(message) or FOREIGN.search(message):
            return "nonsense", f"{type(error).__name__}: {message}"
        actions = np.zeros(envs.action_space.shape, envs.action_space.dtype)
        after, expected = (torch.as_tensor(each.step(actions)[0]) for each in (envs, undisturbed))
        same = torch.equal(after, expected)
        return "refused" if same else "nonsense", message
    if method == "step":
        env = AutoLossEnv(arguments["task"], control=arguments["control"])
        env.reset(seed=0)
        env.step(value[0])
    for _ in range(2):
        envs.step(np.zeros(envs.action_space.shape, envs.action_space.dtype))
    return play(envs)


def _call(envs: AutoLossVectorEnv, method: str, value: Any) -> None:
    if method == "step":
        envs.step(value)
    elif method == "step_control":
        envs.step_control(value)
    elif method == "seed":
        envs.reset(seed=value)
    else:
        envs.reset(options=value)


def cases(seed: int) -> Iterator[tuple[str, Callable[[], tuple[str, str]]]]:
    """Endless random calls."""
    arrays = Arrays(seed)
    while True:
        arguments, method, value = arrays.draw()
        yield (
            f"{method}({_shown(value)}) of {arguments}",
            functools.partial(hand_over, arguments, method, value),
        )


def _shown(value: Any) -> str:
    try:
        return " ".join(repr(value).split())[:300]
    except Exception:
        return f"<{type(value).__name__}>"


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(forked.run("actions, seeds and options", cases(forked.parsed().seed)))
