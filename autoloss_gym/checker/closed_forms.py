"""Are gradients that an author writes down those of automatic differentiation?"""

from typing import Any

import torch
from torch import Tensor

from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.loss import ClosedForm
from autoloss_gym.core.state import State
from autoloss_gym.tools import tree


def check_closed_forms(task: GradientTask, state: State) -> None:
    """Compare closed forms with automatic differentiation, in float64.

    Raises:
        ValueError: they differ.
    """

    def doubled(leaf: Tensor) -> Tensor:
        return leaf.double() if leaf.is_floating_point() else leaf

    exact = tree.map_tensors(doubled, state)
    parameters = task.unpack(exact.parameters)
    # A batch may be made of data that all runs share, which are no part of the state.
    batch = tree.map_tensors(doubled, task.batch(exact.data, state.keys.run))
    for pair in task.pairs:
        loss = task.losses()[pair.loss]
        if not isinstance(loss, ClosedForm):
            continue
        derived = _derived(loss, parameters, batch, pair.blocks)
        found = {"value_and_gradient": loss.value_and_gradient(parameters, batch)}
        if loss.packed is not None:
            values, packed = loss.packed(exact.parameters, batch)
            found["packed"] = values, task.unpack(packed)
        for name, (values, gradients) in found.items():
            written = [values, *tree.leaves({block: gradients[block] for block in pair.blocks})]
            if not (len(written) == len(derived) and all(map(_is_close, written, derived))):
                raise ValueError(
                    f"loss {pair.loss!r}: {name} differs from automatic differentiation of its loss"
                )


def _derived(
    loss: ClosedForm, parameters: tree.Parameters, batch: Any, blocks: tuple[str, ...]
) -> list[Tensor]:
    """Values of the loss and its gradients by automatic differentiation."""
    own = tree.clone({block: parameters[block] for block in blocks})
    leaves = [leaf.requires_grad_() for leaf in tree.leaves(own)]
    values = loss.loss({**parameters, **own}, batch)
    gradients = torch.autograd.grad(values.sum(), leaves, materialize_grads=True)
    return [values, *gradients]


def _is_close(written: Tensor, derived: Tensor) -> bool:
    if written.shape != derived.shape:
        return False
    return torch.allclose(written, derived, rtol=1e-9, atol=1e-12)
