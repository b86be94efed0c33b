"""Ways to the gradient of a residual that holds derivatives of networks by their inputs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from autoloss_gym.core.loss import ClosedForm
from autoloss_gym.core.state import Keys
from autoloss_gym.networks.linear import affine
from autoloss_gym.networks.perceptron import Layer
from autoloss_gym.tasks.physics.equations.equation import Condition
from autoloss_gym.tasks.physics.pinn import PINN
from autoloss_gym.tasks.physics.residuals import layers
from benchmarks.sides import Side

_REPEATS = 10  # of a turn
Network = Mapping[str, Tensor]


def residual_of(
    task: PINN, found: Sequence[Tensor], coefficients: Sequence[Tensor], target: Tensor
) -> Tensor:
    """The equation's residual from value, first derivatives and curvature."""
    total = -target
    for factor, part in zip(coefficients, found, strict=True):
        total = total + factor * part
    if task.equation == "burgers":
        total = total + found[0] * found[1 + task.physics.advected]
    return total


def streams(task: PINN, value: Tensor, points: Tensor) -> list[Tensor]:
    """Value, first derivatives and curvature, by nested `torch.autograd.grad`."""
    ones = torch.ones_like(value)
    (first,) = torch.autograd.grad(value, points, ones, create_graph=True)
    curvature = torch.zeros_like(value)
    for index in task.physics.curved:
        slope = first[..., index]
        (second,) = torch.autograd.grad(slope, points, torch.ones_like(slope), create_graph=True)
        curvature = curvature + second[..., index]
    return [value, *first.unbind(-1), curvature]


def forward_streams(
    task: PINN, function: Callable[[Tensor], Tensor], points: Tensor
) -> list[Tensor]:
    """The same by nested `torch.func.jvp`."""
    firsts = []
    curvature = torch.zeros_like(points[:, :, 0])
    value = curvature
    for index in range(points.shape[2]):
        direction = torch.zeros_like(points)
        direction[:, :, index] = 1

        def both(places: Tensor, direction: Tensor = direction) -> Any:
            return torch.func.jvp(function, (places,), (direction,))

        if index in task.physics.curved:
            values, slopes = torch.func.jvp(both, (points,), (direction,))[:2]
            value, first = values
            second = slopes[1]
            curvature = curvature + second
        else:
            value, first = both(points)
        firsts.append(first)
    return [value, *firsts, curvature]


def _values(task: PINN, weights: Sequence[Layer], points: Tensor) -> Tensor:
    """Networks of many runs at their points, (num_envs, count)."""
    function = {"tanh": torch.tanh, "sin": torch.sin}[task.activation]
    low = points.new_tensor(task.physics.low)
    high = points.new_tensor(task.physics.high)
    values = (points - (low + high) / 2) * (2 / (high - low))
    for index, (weight, bias) in enumerate(weights):
        values = affine(values, weight, bias)
        values = function(values) if index < len(weights) - 1 else values
    return values[:, :, 0]


@dataclass(frozen=True, eq=False)
class _Case:
    """The networks of some runs, and the equation at their points."""

    task: PINN
    network: Network
    condition: Condition

    def loss(self, found: Sequence[Tensor]) -> Tensor:
        coefficients = self.condition.coefficients
        assert coefficients is not None
        residual = residual_of(self.task, found, coefficients.unbind(1), self.condition.target)
        return residual.square().mean(1).sum()

    def nested(self, network: Network) -> Tensor:
        points = self.condition.points.clone().requires_grad_()
        return self.loss(streams(self.task, _values(self.task, layers(network), points), points))

    def forward(self, network: Network) -> Tensor:
        weights = layers(network)

        def function(points: Tensor) -> Tensor:
            return _values(self.task, weights, points)

        return self.loss(forward_streams(self.task, function, self.condition.points))

    def by_autograd(self, total: Callable[[Network], Tensor]) -> list[Tensor]:
        leaves = {name: leaf.detach().requires_grad_() for name, leaf in self.network.items()}
        return list(torch.autograd.grad(total(leaves), list(leaves.values())))


def gradients(task: PINN, keys: Keys) -> dict[str, Callable[[], list[Tensor]]]:
    """What gives the gradient by every weight and bias, by the name of the way."""
    state = task.reset(keys)
    batch = task.batch(state.data, state.keys.run)
    case = _Case(task, task.unpack(state.parameters)["network"], batch["residual"])
    loss = task.losses()["residual"]
    assert isinstance(loss, ClosedForm)

    def closed() -> list[Tensor]:
        with torch.no_grad():
            return list(
                loss.value_and_gradient({"network": case.network}, batch)[1]["network"].values()
            )

    def taylor(network: Network) -> Tensor:
        return loss({"network": network}, batch).sum()

    return {
        "closed form": closed,
        "Taylor mode, autograd": lambda: case.by_autograd(taylor),
        "nested autograd.grad": lambda: case.by_autograd(case.nested),
        "nested jvp, autograd": lambda: case.by_autograd(case.forward),
    }


def ways(task: PINN, keys: Keys) -> dict[str, Side]:
    """What takes turns in a measurement: a gradient of all runs counts as a step of each."""

    def repeated(each: Callable[[], list[Tensor]]) -> Side:
        def play() -> int:
            for _ in range(_REPEATS):
                each()
            return _REPEATS * len(keys.run)

        return play

    return {name: repeated(each) for name, each in gradients(task, keys).items()}
