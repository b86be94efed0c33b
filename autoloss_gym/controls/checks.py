"""Actions and controls as they are given, brought to tensors or arrays, or refused in one line."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autoloss_gym.core.task import Control
from autoloss_gym.tools.arrays import on_host
from autoloss_gym.tools.compiling import is_eager_on_cpu
from autoloss_gym.tools.names import shown


def checked_control(
    control: Control, num_envs: int, num_pairs: int, device: torch.device
) -> Control:
    """The control in float32 on the device.

    Raises:
        TypeError: it is no `Control`.
        ValueError: it has a wrong shape or type, or, where it is on the CPU, is not finite or its
            step size is negative: elsewhere the host would have to wait for the device.
    """
    if not isinstance(control, Control):
        raise TypeError(f"control={shown(control)}: expected an autoloss_gym.Control")
    weights = numbers(control.weights, (num_envs, num_pairs), "row of weights")
    step_size = numbers(control.step_size, (num_envs,), "step size")
    if weights.device.type == step_size.device.type == "cpu":
        check_rows(~_all_finite(weights), weights.numpy(), "finite weights")
        factors = step_size.numpy()
        is_good = np.isfinite(factors) & (factors >= 0)
        check_rows(~is_good, factors, "a finite step size of at least 0")
    choice = control.choice
    if choice is not None:
        choice = host_choice(choice, num_envs, num_pairs)
    if control.reweigh is not None and not callable(control.reweigh):
        raise ValueError(
            f"reweigh={shown(control.reweigh)}: expected a function of the step's gradients"
        )
    return Control(
        weights=weights.to(device, torch.float32),
        step_size=step_size.to(device, torch.float32),
        choice=choice,
        reweigh=control.reweigh,
    )


def idle(control: Control, mask: Tensor) -> Control:
    """`control` with nothing to do for the masked runs, (num_envs,), bool."""
    return replace(control, weights=torch.where(mask[:, None], 0.0, control.weights))


def numbers(values: Any, shape: tuple[int, ...], kind: str) -> Tensor:
    """Real numbers of a shape, from a tensor, an array or a list; without a graph."""
    if isinstance(values, Tensor):
        check_shape(tuple(values.shape), shape, kind)
        if values.dtype == torch.bool or values.dtype.is_complex:
            raise ValueError(f"actions of dtype {values.dtype}: expected float32")
        is_narrow = values.dtype != torch.float64  # and may be of a type that NumPy lacks
        return values.detach().to_dense().to(torch.float32 if is_narrow else torch.float64)
    array = on_host(values)
    if array is None:
        raise ValueError(f"actions {shown(values)}: expected numbers of shape {shape}, float32")
    check_shape(array.shape, shape, kind)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"actions of dtype {array.dtype}: expected float32")
    return torch.from_numpy(array.astype(np.float64))


def finite_numbers(values: Any, shape: tuple[int, int], kind: str) -> Tensor:
    """As `numbers`; where they are on the CPU, those that are not finite are refused."""
    given = numbers(values, shape, kind)
    if is_eager_on_cpu(given):
        expected = "finite numbers, which are clipped to [-1, 1]"
        check_rows(~_all_finite(given), given.numpy(), expected)
    return given


def host_choice(actions: Any, num_envs: int, pairs: int) -> np.ndarray:
    """Integers 0 … `pairs` − 1 on the host, (num_envs,), int64."""
    choice = on_host(actions)
    if choice is None:
        raise ValueError(
            f"actions {shown(actions)}: expected integers of shape ({num_envs},), one for each "
            "environment"
        )
    check_shape(choice.shape, (num_envs,), "Discrete action")
    check_integers(np.issubdtype(choice.dtype, np.integer), choice.dtype, pairs)
    check_rows((choice < 0) | (choice >= pairs), choice, f"integers from 0 to {pairs - 1}")
    return choice.astype(np.int64)


def host_integers(actions: Any, num_envs: int, sizes: tuple[int, ...]) -> np.ndarray:
    """Integers on the host, (num_envs, len(sizes)), int64; those of column i below `sizes[i]`."""
    given = on_host(actions)
    expected = f"integers below {list(sizes)}"
    if given is None:
        raise ValueError(f"actions {shown(actions)}: expected {expected}")
    check_shape(given.shape, (num_envs, len(sizes)), "MultiDiscrete action")
    if not np.issubdtype(given.dtype, np.integer):
        raise ValueError(f"actions of dtype {given.dtype}: expected {expected}")
    bad: np.ndarray = (given < 0) | (given >= np.array(sizes))
    check_rows(np.any(bad, axis=1), given, expected)
    return given.astype(np.int64)


def _all_finite(values: Tensor) -> np.ndarray:
    """Whether each row of a tensor on the host is finite: NumPy is the faster where it is small."""
    is_finite: np.ndarray = np.isfinite(values.numpy()).all(axis=1)
    return is_finite


def stays_on_device(actions: Any) -> bool:
    """Whether the host does not look at actions: it would wait for a device or break a graph."""
    return isinstance(actions, Tensor) and not is_eager_on_cpu(actions)


def is_integer(dtype: torch.dtype) -> bool:
    """Whether tensors of this type hold integers."""
    return not (dtype.is_floating_point or dtype.is_complex or dtype == torch.bool)


def check_integers(are_integers: bool, dtype: Any, count: int) -> None:
    """ValueError unless they are."""
    if not are_integers:
        raise ValueError(f"actions of dtype {dtype}: expected integers from 0 to {count - 1}")


def check_shape(shape: tuple[int, ...], expected: tuple[int, ...], kind: str) -> None:
    """ValueError for another shape; TypeError for a single number or object, as of Gymnasium's
    vector environments.
    """
    if shape != expected:
        error = ValueError if shape else TypeError
        raise error(
            f"actions of shape {shape}: expected {expected}, one {kind} for each environment"
        )


def check_rows(bad: np.ndarray, values: np.ndarray, expected: str) -> None:
    """ValueError that names the environments that are `bad`, if any."""
    if not bad.any():
        return
    rows = np.flatnonzero(bad)
    named = ", ".join(map(str, rows[:5]))
    if len(rows) > 5:
        named += ", …"
    raise ValueError(
        f"bad action in environments {named} (first: {values[rows[0]]}): expected {expected}"
    )
