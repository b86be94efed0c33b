"""The squared error of a quadratic model, with its gradient in closed form."""

from typing import Any

from jaxtyping import Float
from torch import Tensor

from autoloss_gym.losses.fitting import mean_squared_error
from autoloss_gym.losses.penalties import named_tensors
from autoloss_gym.networks.linear import sum_of_outer_products
from autoloss_gym.networks.quadratic import predict
from autoloss_gym.tools.tree import Parameters


def quadratic_fit(parameters: Parameters, part: Any) -> Float[Tensor, " num_envs"]:
    """Mean of (ŷ − y)² over the rows of a part, "inputs" and "targets", perhaps with "weights"."""
    predictions = predict(named_tensors(parameters), part["inputs"])
    return mean_squared_error(predictions, part["targets"], part.get("weights"))


def quadratic_fit_and_gradient(
    parameters: Parameters, part: Any
) -> tuple[Float[Tensor, " num_envs"], Parameters]:
    """The loss and its gradient, where e = ŷ − y on P samples u.

    ∂/∂w = 2/P Σ e u, ∂/∂A = 2/P Σ e u uᵀ / 10 and ∂/∂c = 2/P Σ e. Where samples have weights, these
    take the place of 1/P.
    """
    inputs = part["inputs"]
    named = named_tensors(parameters)
    error = predict(named, inputs) - part["targets"]
    weights = part.get("weights")
    slope = error * (2 / inputs.shape[1]) if weights is None else error * weights * 2
    weighted = inputs * slope[:, :, None]
    gradients = {
        "linear": weighted.sum(dim=1),
        "quadratic": sum_of_outer_products(inputs, weighted) * 0.1,
    }
    if "constant" in named:
        gradients["constant"] = slope.sum(dim=1, keepdim=True)
    by_block = {}
    for block, tensors in parameters.items():
        by_block[block] = {name: gradients[name] for name in tensors}
    squares = error * error
    loss = squares.mean(dim=1) if weights is None else (squares * weights).sum(dim=1)
    return loss, by_block
