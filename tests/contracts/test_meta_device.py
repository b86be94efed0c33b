"""Every environment on the device `meta`: no program mixes devices or reads what a GPU holds.

It needs no GPU. What it cannot see, the numbers, `test_device.py --device cuda` compares with those
of the CPU.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.controllers.networks.perceptron import Perceptron
from autoloss_gym.core.task import Control, ImageTask, Keys
from autoloss_gym.environment import vector_env
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.registration import TASKS
from benchmarks import module_cases
from tests.support import toy_tasks
from tests.support.as_on_a_gpu import AsOnAGpu
from tests.support.known_waits import KNOWN_WAITS
from tests.support.variants import BEALE, GAN, VALUES, arguments_of, each_variant, task_class

NUM_ENVS = 2
JUDGE = ("environment/programs.py", "_known")
SOLVER = ("scoring/sample_scores.py", "frechet_distance")
WAITS = {(each.file, each.function) for each in KNOWN_WAITS if each.waits}
_SMALL = {"max_steps": 4, "validate_every": 2}
MODULE_OPTIONS: list[dict[str, Any]] = [{}, {"vectorize": False}, {"batch_size": None}]
each_id = pytest.mark.parametrize("id", TASKS)


@pytest.fixture(autouse=True)
def meta_is_a_device(monkeypatch: pytest.MonkeyPatch, quick_classifiers: None) -> None:
    monkeypatch.setattr(vector_env, "available_device", torch.device)
    # Most operations mix the bits of keys, which one test below does in full.
    mix = random._mix
    monkeypatch.setattr(random, "_mix", lambda x: torch.empty_like(x) if x.is_meta else mix(x))


def every_second(mask: Tensor) -> Tensor:
    return (torch.arange(mask.numel()) % 2 == 0).view(mask.shape)


def make(arguments: dict[str, Any], array: str = "torch") -> AutoLossVectorEnv:
    return AutoLossVectorEnv(num_envs=NUM_ENVS, device="meta", array=array, **arguments)


def actions_of(envs: AutoLossVectorEnv) -> Tensor:
    shape = envs.action_space.shape
    dtype = torch.int64 if envs.single_action_space.dtype == np.int64 else torch.float32
    return torch.zeros(shape, dtype=dtype, device="meta")


def all_programs(envs: AutoLossVectorEnv, actions: Any) -> None:
    """An episode and more, whose runs end one by one, and all that can be asked of it."""
    envs.reset(seed=0)
    for _ in range(2):
        envs.step(actions)
        if envs._batch.phases.finished.any() and envs.autoreset_mode.value == "Disabled":
            envs.reset(options={"reset_mask": envs._batch.phases.finished.copy()})
    pairs = len(envs.task.pairs)
    weights = torch.ones(NUM_ENVS, pairs, device="meta")
    if envs._batch.phases.finished.any():
        envs.reset()
    envs.step_control(Control(weights=weights, step_size=weights[:, 0]))
    envs.load_state_dict(envs.state_dict())
    envs.diagnostics()
    envs.scores()
    if isinstance(envs.task, ImageTask):
        envs.samples(2)


@each_variant
def test_every_program_runs_on_a_device_that_refuses_what_a_gpu_would(id, chosen, data_folder):
    arguments = arguments_of(id, chosen, data_folder)
    with AsOnAGpu(WAITS, {JUDGE: every_second}):
        envs = make(arguments)
        all_programs(envs, actions_of(envs))


def test_draws_are_made_on_the_device(monkeypatch):
    monkeypatch.undo()
    keys = torch.zeros(NUM_ENVS, dtype=torch.int64, device="meta")
    with AsOnAGpu(set()):
        mixed = random.fold_in(random.fold_in(keys, keys), "stream")
        draws = (
            random.normal(mixed, (3,)),
            random.uniform(mixed, (3,)),
            random.integers(mixed, (3,), 5),
        )
        order = random.permutation(mixed, 4)
    assert all(each.is_meta for each in (*draws, order))


@each_id
def test_arrays_of_the_host_go_in_and_come_out(id, data_folder):
    with AsOnAGpu(WAITS, {JUDGE: every_second}):
        envs = make(arguments_of(id, {}, data_folder), array="numpy")
        all_programs(envs, np.zeros(NUM_ENVS, dtype=np.int64))
        observations, *_ = envs.step(np.zeros(NUM_ENVS, dtype=np.int64))
    assert isinstance(observations, np.ndarray)


@each_id
def test_a_step_waits_for_nothing_and_a_validation_once(id, data_folder):
    """The images without labels of a GAN are the exception, for their distance is validated."""
    arguments = arguments_of(id, {"max_steps": 8, "validate_every": 4}, data_folder)
    for _ in range(2):  # what is computed once in a process is there the second time
        with AsOnAGpu(WAITS) as mode:
            envs = make(arguments)
            envs.reset(seed=0)
            actions = actions_of(envs)
            for _ in range(3):
                mode.waited.clear()
                mode.uploaded.clear()
                envs.step(actions)
                assert not mode.waited
                assert not mode.uploaded
            envs.step(actions)
    assert mode.waited == {JUDGE: 1}
    assert not mode.uploaded


@pytest.mark.parametrize("options", MODULE_OPTIONS, ids=str)
@pytest.mark.parametrize("case", module_cases.CASES)
def test_a_task_of_modules_runs_there_and_its_steps_wait_for_nothing(case, options):
    """Whether its runs are computed together or in a loop, and whatever it draws."""
    task = module_cases.CASES[case](module_cases.digits(), **{**_SMALL, **options})
    for _ in range(2):  # what is computed once in a process is there the second time
        with AsOnAGpu(WAITS) as mode:
            envs = AutoLossVectorEnv(task, num_envs=3, device="meta", array="torch")
            envs.reset(seed=0)
            mode.waited.clear()
            mode.uploaded.clear()
            envs.step(torch.zeros(3, dtype=torch.int64, device="meta"))
            assert not mode.waited
            envs.step(torch.ones(3, dtype=torch.int64, device="meta"))
            envs.scores()
            envs.diagnostics()
    assert mode.waited == {JUDGE: 1}
    assert not mode.uploaded


@pytest.mark.parametrize("id", [BEALE, GAN])
def test_a_decision_waits_at_its_validations_alone(id, data_folder):
    """Whether it weighs the losses, or draws a pair for each update."""
    chosen = {"control": "schedule", "control_arguments": {"every": 4}, "max_steps": 8}
    for _ in range(2):  # what is computed once in a process is there the second time
        with AsOnAGpu(WAITS) as mode:
            envs = make(arguments_of(id, chosen, data_folder))
            envs.reset(seed=0)
            mode.waited.clear()
            mode.uploaded.clear()
            envs.step(actions_of(envs))
    assert mode.waited == {JUDGE: 2}
    assert not mode.uploaded


def test_a_validation_of_images_without_labels_waits_for_eigenvalues_as_well(data_folder):
    arguments = arguments_of("AutoLoss/ImageGAN-v1", {"dataset": "lfwcrop"}, data_folder)
    with AsOnAGpu(WAITS) as mode:
        envs = make(arguments)
        envs.reset(seed=0)
        mode.waited.clear()
        envs.step(actions_of(envs))
        envs.step(actions_of(envs))
    assert mode.waited == {JUDGE: 1, SOLVER: 1}


@each_id
def test_a_controller_decides_without_a_wait(id, data_folder):
    with AsOnAGpu(set()):
        envs = make(arguments_of(id, {}, data_folder))
        num_features = envs.single_observation_space.shape[0]
        controller = Perceptron(num_features, len(envs.task.pairs), (8,), 1.0).to("meta")
        observations, _ = envs.reset(seed=0)
        envs.step(controller(observations).argmax(dim=1))


@each_id
def test_a_differentiable_update_keeps_its_graph_on_the_device(id, data_folder):
    with AsOnAGpu(WAITS):
        task = make(arguments_of(id, {}, data_folder)).task
        keys = torch.zeros(NUM_ENVS, dtype=torch.int64, device="meta")
        state = task.reset(Keys(problem=keys, run=random.fold_in(keys, "run")))
        weights = torch.ones(NUM_ENVS, len(task.pairs), device="meta", requires_grad=True)
        control = Control(weights=weights, step_size=torch.ones(NUM_ENVS, device="meta"))
        after, _ = task.update(state, control, differentiable=True)
        sum(block.sum() for block in after.parameters.values()).backward()
    assert weights.grad.is_meta


@each_id
def test_every_choice_of_a_task_is_among_the_variants(id):
    """Arguments that are names, and presets, choose between programs: each needs a variant."""
    free = {"data_dir", "target", "pristine_model"}
    kinds = (str, bool, str | None)
    chosen = {each.name for each in dataclasses.fields(task_class(id)) if each.type in kinds}
    assert chosen - free <= set(VALUES[id])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Careless(toy_tasks.TwoBlocks):
    """A task that works on the CPU alone, in one of several ways."""

    slip: str

    def validation_values(self, parameters, data):
        a = parameters["a"]
        slips: dict[str, Callable[[], Any]] = {
            "index": lambda: a.index_select(0, torch.arange(len(a))),
            "gather": lambda: a.gather(1, torch.zeros(len(a), 1, dtype=torch.int64)),
            "product": lambda: a @ torch.ones(3, 2),
            "sum": lambda: a + torch.ones(3),
            "item": lambda: a.sum().item(),
            "condition": lambda: bool(a.sum() > 0),
            "copy": a.cpu,
            "mask": lambda: a[a > 0],
            "written through a mask": lambda: a.clone()[a > 0].add_(1),
            "nonzero": a.nonzero,
        }
        slips[self.slip]()
        return super().validation_values(parameters, data)


SLIPS = [
    "index", "gather", "product", "sum", "item", "condition", "copy", "mask",
    "written through a mask", "nonzero",
]  # fmt: skip


@pytest.mark.parametrize("slip", SLIPS)
def test_a_careless_task_is_refused(slip):
    AutoLossVectorEnv(Careless(slip=slip), num_envs=NUM_ENVS).reset(seed=0)
    with pytest.raises((RuntimeError, NotImplementedError)), AsOnAGpu(WAITS):
        make({"task": Careless(slip=slip)}).reset(seed=0)
