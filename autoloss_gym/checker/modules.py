"""Do runs that are computed together agree with runs that are computed one after another?"""

import dataclasses

import torch

from autoloss_gym.core.modules.task import ModuleTask
from autoloss_gym.core.state import Keys

_TOLERANCE = 1e-3  # of a gradient, relative to its largest number


def one_by_one(task: ModuleTask) -> ModuleTask:
    """The same task, whose runs are computed one after another: equal bits can be asked of it."""
    return dataclasses.replace(task, vectorize=False)


def check_lifting(task: ModuleTask, keys: Keys) -> None:
    """ValueError if a loss has another value or gradient where runs are computed together."""
    apart = one_by_one(task)
    state = task.reset(keys)
    together, alone = task.measure(state), apart.measure(state)
    gradients = zip(task.gradients(state), apart.gradients(state), strict=True)
    for index, (pair, (first, second)) in enumerate(zip(task.pairs, gradients, strict=True)):
        values = (together.losses[:, index], alone.losses[:, index])
        same = torch.allclose(*values, rtol=_TOLERANCE, atol=1e-6)
        for block in pair.blocks:
            scale = second[block].abs().max() + 1e-6
            difference = (first[block] - second[block]).abs().max()
            same = same and bool(difference <= _TOLERANCE * scale)
        if not same:
            raise ValueError(
                f"loss {pair.loss!r} differs where runs are computed together: does it keep "
                "numbers between calls? Give vectorize=False to from_module"
            )
