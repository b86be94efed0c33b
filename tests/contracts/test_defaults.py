"""What a user sets for PyTorch as a whole, default dtype and device, changes no environment."""

import ast
import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from autoloss_gym.controllers.networks.perceptron import Perceptron
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.optimizers import SGD
from autoloss_gym.registration import TASKS
from autoloss_gym.tools import tree
from tests.support.paths import ROOT
from tests.support.recording import assert_same, leaves, record
from tests.support.variants import BEALE, CLASSIFICATION, REGRESSION, arguments_of

CASES = [
    *((id, {}) for id in TASKS),
    (REGRESSION, {"constant": True, "penalty": "split", "patience": 2}),
    (CLASSIFICATION, {"dataset": "paper"}),
    (CLASSIFICATION, {"dataset": "breast_cancer", "features": "raw"}),
    (BEALE, {"control": "weights", "optimizer": SGD(learning_rate=1e-3, momentum=0.5)}),
    (BEALE, {"step": "barzilai_borwein_1", "reward": "final"}),
]
# Functions that make a tensor of the default dtype or on the default device where none is given.
CONSTRUCTORS = {
    "tensor", "as_tensor", "asarray", "scalar_tensor", "zeros", "ones", "full", "empty", "arange",
    "linspace", "logspace", "eye", "rand", "randn", "randint", "randperm",
}  # fmt: skip
# What a user gives as plain numbers becomes what PyTorch makes of plain numbers.
EXEMPT = {
    ("weightings/boundary/losses.py", "torch.tensor(values)"),
    ("weightings/boundary/losses.py", "torch.tensor(numbers)"),
}


@contextlib.contextmanager
def float64_by_default() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def forget_constants() -> None:
    """Empty the caches of the package: what they hold was made before."""
    for name, module in list(sys.modules.items()):
        if name.startswith("autoloss_gym."):
            holders = [module, *(each for each in vars(module).values() if isinstance(each, type))]
            for value in [each for holder in holders for each in vars(holder).values()]:
                getattr(value, "cache_clear", lambda: None)()


def on_host(outputs: Any) -> Any:
    """Outputs with NumPy arrays in the place of tensors."""
    return tree.map_tensors(torch.Tensor.numpy, outputs)


def play(arguments: dict, array: str) -> list[dict[str, np.ndarray]]:
    """All that an environment says in an episode and its reset, and what its runs are made of."""
    forget_constants()
    envs = AutoLossVectorEnv(num_envs=2, array=array, **arguments)
    records = [record(*on_host(envs.reset(seed=0)))]
    for step in range(5):
        shape = envs.action_space.shape
        choices = getattr(envs.single_action_space, "n", 2)
        actions = np.full(shape, 0.3 * step if envs.single_action_space.shape else step % choices)
        actions = actions.astype(envs.action_space.dtype)
        given = torch.from_numpy(actions) if array == "torch" else actions
        observations, rewards, terminations, _, infos = on_host(envs.step(given))
        outputs = record(observations, infos, rewards=rewards, terminations=terminations)
        records.append(outputs | {"scores": on_host(envs.scores())})
        tensors = leaves(envs._batch.runs)
        assert all(each.device.type == "cpu" for each in tensors)
        records.append({str(index): each.numpy() for index, each in enumerate(tensors)})
    return records


@pytest.mark.parametrize(("id", "chosen"), CASES)
@pytest.mark.parametrize("array", ["numpy", "torch"])
def test_bits_and_types_are_the_same_under_other_defaults(
    id, chosen, array, data_folder, quick_classifiers
):
    arguments = arguments_of(id, chosen, data_folder)
    plain = play(arguments, array)
    assert {record["observations"].dtype for record in plain if "observations" in record} == {
        np.dtype(np.float32)
    }
    for defaults in (float64_by_default(), torch.device("meta")):
        with defaults:
            others = play(arguments, array)
        for one, other in zip(plain, others, strict=True):
            assert_same(one, other)
            assert [each.dtype for each in one.values()] == [each.dtype for each in other.values()]


def test_a_controller_takes_observations_under_another_default_dtype():
    with float64_by_default():
        controller = Perceptron(3, 2, (4,), 1.0)
        assert controller(torch.zeros(1, 3, dtype=torch.float32)).dtype == torch.float32


def unsaid(source: str) -> list[str]:
    """Constructors of tensors in a text that leave their dtype or device to the defaults."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    found = []
    for call in calls:
        owner, _, name = ast.unparse(call.func).rpartition(".")
        said = {keyword.arg for keyword in call.keywords}
        if owner == "torch" and name in CONSTRUCTORS and not {"dtype", "device"} <= said:
            found.append(ast.unparse(call))
    return found


def test_a_constructor_without_dtype_or_device_is_seen():
    assert unsaid("torch.zeros(3, dtype=d)\ntorch.eye(2, device=d)\ntorch.ones(2)") == [
        "torch.zeros(3, dtype=d)",
        "torch.eye(2, device=d)",
        "torch.ones(2)",
    ]
    assert unsaid("torch.full((2,), 1.0, dtype=d, device=e)\ntorch.zeros_like(x)") == []


def test_every_constructor_says_its_dtype_and_its_device():
    package = ROOT / "autoloss_gym"
    paths = {each.relative_to(package).as_posix(): each for each in package.rglob("*.py")}
    found = {(name, each) for name, path in paths.items() for each in unsaid(path.read_text())}
    assert found - EXEMPT == set()
