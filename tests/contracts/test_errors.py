"""Bad input to the environments is answered with one line that says what was got and what is
expected.
"""

import re

import gymnasium as gym
import numpy as np
import pytest
import torch

from autoloss_gym import AutoLossVectorEnv, Control, Pair, register_task
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression

ID = "AutoLoss/QuadraticRegression-v1"
SMALL = {"dimension": 4, "num_samples": 20, "max_steps": 20, "validate_every": 5}


pytestmark = pytest.mark.usefixtures("as_users_have_it")


def make(**arguments):
    return gym.make(ID, **(SMALL | arguments))


def make_vec(num_envs=3, **arguments):
    return gym.make_vec(ID, num_envs=num_envs, **(SMALL | arguments))


def assert_refused(call, *patterns, error=ValueError):
    """`call` raises `error` with one line in which every pattern is found."""
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 900  # Gymnasium adds the arguments of the environment
    for pattern in patterns:
        assert re.search(pattern, message), message


# Ids


@pytest.mark.parametrize("made", [gym.make, gym.make_vec])
@pytest.mark.parametrize(
    ("id", "error", "pattern"),
    [
        (
            "AutoLoss/QuadraticRegresion-v0",
            gym.error.NameNotFound,
            "Did you mean: `QuadraticRegression`",
        ),
        ("AutoLos/QuadraticRegression-v1", gym.error.NamespaceNotFound, "Did you mean: `AutoLoss`"),
        ("AutoLoss/QuadraticRegression-v99", gym.error.VersionNotFound, "`v99`.*`v0`"),
    ],
)
def test_a_wrong_id_gets_gymnasiums_own_error_with_the_right_one(made, id, error, pattern):
    assert_refused(lambda: made(id), pattern, error=error)


def test_an_id_that_is_taken_is_not_registered_again():
    assert_refused(
        lambda: register_task(ID, "elsewhere:Task"), ID, "registered already", "another version"
    )


@pytest.mark.parametrize("repeat", [2, 3, 12, 10_000, 0, -5, 2.5, "5"])
def test_a_control_is_repeated_a_divisor_or_multiple_of_the_validation_interval(repeat):
    assert_refused(lambda: make_vec(repeat=repeat), "repeat=")
    make_vec(repeat=5)
    make_vec(repeat=10)


@pytest.mark.parametrize("task", ["Task", "module:", ":Task"])
def test_a_task_to_register_is_named_by_module_and_class(task):
    assert_refused(lambda: register_task("Mine/Task-v0", task), task, "module:Class")


@pytest.mark.parametrize("id", ["a b/c-v0", "", "😀" * 1000, None, 3])
def test_an_id_that_gymnasium_cannot_use_is_one_line(id):
    assert_refused(lambda: register_task(id, "mine:Task"), "expected a name such as")


@pytest.mark.parametrize(
    "task",
    [
        "autoloss_gym.core.task:Pair",
        "autoloss_gym.core.task:Nothing",
        "no_such_module:Task",
        "Task",
        "x" * 100_000,
        "..relative:Task",
        3,
        Pair,
    ],
)
def test_a_task_that_is_none_is_refused(task):
    assert_refused(lambda: AutoLossVectorEnv(task), "task=", "module:Class")


# Arguments

# An argument, a bad value of it, and what the message must say is expected.
BAD_VALUES = [
    ("split", "tset", "train.*validation.*test"),
    ("split", None, "train.*validation.*test"),
    ("num_instances", 0, "at least 1|positive"),
    ("num_instances", -1, "at least 1|positive"),
    ("num_instances", 2.5, "at least 1|positive"),
    ("num_instances", "3", "at least 1|positive"),
    ("device", "gpu", "device='cpu'"),
    ("device", "cuda:99", "device='cpu'"),
    ("device", "meta", "device='cpu'"),
    ("device", None, "'?cpu'?"),
    ("render_mode", "ansi", "None, 'rgb_array'"),
    ("reward", "shapd", "did you mean 'shaped'"),
    ("reward", None, "shaped"),
    ("control", "pairs", "did you mean 'pair'"),
    ("control", None, "pair"),
    ("features", "scale", "'scaled'.*'log'"),
    ("drop", ("loss",), "losses"),
    ("add", ("size",), "sizes"),
    ("preset", "relased", "did you mean 'released'"),
    ("max_steps", 21, "multiple of validate_every=5"),
    ("max_steps", 0, "at least 1"),
    ("max_steps", "20", "an integer"),
    ("validate_every", 0, "at least 1"),
    ("patience", -1, "at least 0"),
    ("dimension", 0, "at least 1"),
    ("dimension", 2.5, "integer|type"),
    ("num_samples", 0, "at least 1"),
    ("noise", -1.0, "at least 0"),
    ("l1_coefficient", float("nan"), "at least 0"),
    ("learning_rate", 0, "positive"),
    ("learning_rate", "fast", "positive|number"),
    ("optimizer", "adamm", "did you mean 'adam'"),
    ("optimizer", 3, "Optimizer"),
    ("dataset", "no.csv", "no such file"),
]


@pytest.mark.parametrize("made", [make, make_vec])
@pytest.mark.parametrize(("name", "value", "expected"), BAD_VALUES)
@pytest.mark.filterwarnings("ignore:.*The environment is being initialised with render_mode='ansi'")
def test_a_bad_value_is_refused_with_its_name_and_what_is_expected(made, name, value, expected):
    assert_refused(
        lambda: made(**{name: value}), name, re.escape(repr(value).strip("(),")), expected
    )


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("num_envs", 0, "an integer of at least 1"),
        ("num_envs", -1, "an integer of at least 1"),
        ("num_envs", 2.5, "an integer of at least 1"),
        ("num_envs", "3", "an integer of at least 1"),
        ("array", "jax", "'numpy', 'torch'"),
        ("autoreset_mode", "SAME_STEP", "'NextStep', 'SameStep', 'Disabled'"),
        ("autoreset_mode", None, "'NextStep', 'SameStep', 'Disabled'"),
    ],
)
def test_a_bad_value_of_an_argument_of_the_vector_environment_is_refused(name, value, expected):
    assert_refused(lambda: make_vec(**{name: value}), f"{name}={value!r}", expected)


@pytest.mark.parametrize(
    ("name", "value"), [("num_envs", 3), ("array", "torch"), ("autoreset_mode", "NextStep")]
)
def test_the_single_environment_refuses_what_only_the_vector_environment_has(name, value):
    assert_refused(lambda: make(**{name: value}), name, "make_vec|AutoLossVectorEnv")


@pytest.mark.parametrize("made", [make, make_vec])
@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("max_step", "max_steps"),
        ("max_episode_step", "max_steps"),
        ("learning_rates", "learning_rate"),
        ("num_instance", "num_instances"),
        ("featurs", "features"),
        ("spilt", "split"),
        ("controls", "control"),
    ],
)
def test_an_unknown_argument_is_refused_with_the_nearest_known_one(made, name, nearest):
    assert_refused(
        lambda: made(**{name: 1}), f"unknown argument .*'{name}'", f"did you mean '{nearest}'"
    )


@pytest.mark.parametrize(
    ("arguments", "patterns"),
    [
        (
            {"control": "weights", "control_arguments": {"normalise": "sum"}},
            ["'normalise'; did you mean 'normalize'"],
        ),
        (
            {"control": "weights", "control_arguments": {"normalize": "mean"}},
            ["normalize='mean'.* 'count' or None"],
        ),
        ({"control": "weights", "control_arguments": {"wide": 1.0}}, ["wide=1.0", "above 1"]),
        ({"control_arguments": {"normalize": "sum"}}, ["'normalize'"]),
        ({"reward": "final", "reward_arguments": {"formula": "log"}}, ["formula='log'", "inverse"]),
        ({"reward": "final", "reward_arguments": {"floor": 0}}, ["floor=0", "positive|above 0"]),
        (
            {"reward": "improvement", "reward_arguments": {"segment": 7}},
            ["segment=7", "multiple of validate_every=5"],
        ),
        ({"reward": "improvement", "reward_arguments": {"window": 0}}, ["window=0", "at least 1"]),
        ({"reward_arguments": {"scale": 2}}, ["'scale'"]),
    ],
)
def test_bad_arguments_of_a_control_or_a_reward_are_refused(arguments, patterns):
    assert_refused(lambda: make_vec(**arguments), *patterns)


def test_arguments_of_the_task_beside_a_task_object_are_refused():
    assert_refused(
        lambda: AutoLossVectorEnv(QuadraticRegression(), max_steps=20), "max_steps", "task object"
    )
    assert_refused(
        lambda: AutoLossVectorEnv(QuadraticRegression(), preset="released"), "preset", "task object"
    )


# Actions


@pytest.mark.parametrize(
    ("actions", "patterns"),
    [
        ([0, 0], [r"shape \(2,\)", r"expected \(3,\)"]),
        ([[0], [0], [0]], [r"shape \(3, 1\)", r"expected \(3,\)"]),
        ([[0], [0, 1], 1], ["actions", r"\(3,\)"]),
        ([0.0, 1.0, 0.0], ["float64", "integers from 0 to 1"]),
        ([0.0, float("nan"), 0.0], ["float64", "integers from 0 to 1"]),
        ([True, False, True], ["bool", "integers from 0 to 1"]),
        ([0, None, 1], ["object", "integers from 0 to 1"]),
        ([0, 2, -1], ["environments 1, 2", "first: 2", "integers from 0 to 1"]),
        (torch.tensor([0, 1, 7]), ["environments 2", "first: 7", "integers from 0 to 1"]),
        (torch.tensor([0.5, 1.0, 0.0]), ["float32", "integers from 0 to 1"]),
    ],
)
def test_bad_choices_of_pairs_are_refused(actions, patterns):
    envs = make_vec()
    envs.reset(seed=0)
    assert_refused(lambda: envs.step(actions), *patterns)


@pytest.mark.parametrize(
    ("actions", "patterns"),
    [
        (np.zeros(3), [r"shape \(3,\)", r"expected \(3, 2\)"]),
        (np.zeros((3, 3)), [r"shape \(3, 3\)", r"expected \(3, 2\)"]),
        ([["a", "b"]] * 3, ["float32"]),
        (np.zeros((3, 2), object), ["object", "float32"]),
        ([[0, 0], [np.nan, 0], [0, np.inf]], ["environments 1, 2", "nan", "finite"]),
        (torch.tensor([[0, 0], [0, 0], [0, -torch.inf]]), ["environments 2", "inf", "finite"]),
    ],
)
def test_bad_weights_are_refused(actions, patterns):
    envs = make_vec(control="weights")
    envs.reset(seed=0)
    assert_refused(lambda: envs.step(actions), *patterns)


def test_of_many_bad_actions_the_first_five_environments_are_named():
    envs = make_vec(num_envs=9)
    envs.reset(seed=0)
    assert_refused(lambda: envs.step(np.full(9, 2)), "environments 0, 1, 2, 3, 4, …")


@pytest.mark.parametrize(
    ("action", "pattern"),
    [
        (2, "integers from 0 to 1"),
        (-1, "0 to 1"),
        (0.5, "integers"),
        (None, "integers"),
        ([0], "shape"),
    ],
)
def test_a_bad_action_of_the_single_environment_is_refused(action, pattern):
    env = make().unwrapped
    env.reset(seed=0)
    assert_refused(lambda: env.step(action), pattern)


def test_a_refused_action_changes_nothing():
    envs, undisturbed = make_vec(), make_vec()
    for each in (envs, undisturbed):
        each.reset(seed=0)
    assert_refused(lambda: envs.step([0, 0, 5]))
    np.testing.assert_array_equal(envs.step([0, 1, 0])[0], undisturbed.step([0, 1, 0])[0])


# Steps and resets


@pytest.mark.parametrize(
    ("made", "action"), [(make, 0), (make_vec, [0, 0, 0]), (lambda: make().unwrapped, 0)]
)
def test_a_step_before_a_reset_is_refused(made, action):
    assert_refused(lambda: made().step(action), r"reset", error=gym.error.ResetNeeded)


def test_a_step_after_a_reset_of_some_runs_alone_is_refused():
    envs = make_vec()
    envs.reset(options={"reset_mask": np.array([True, False, True])})
    assert_refused(lambda: envs.step([0, 0, 0]), r"reset\(\)", error=gym.error.ResetNeeded)


def test_a_step_of_ended_environments_that_do_not_reset_themselves_is_refused_until_they_are_reset():
    envs = make_vec(autoreset_mode="Disabled")
    envs.reset(seed=0)
    for step in range(25):
        if step == 5:
            envs.reset(options={"reset_mask": np.array([False, True, False])})
        if step == 20:
            assert_refused(
                lambda: envs.step([0, 0, 0]), r"\[0, 2\]", "reset_mask", error=gym.error.ResetNeeded
            )
            envs.reset(options={"reset_mask": np.array([True, False, True])})
        envs.step([0, 0, 0])
    assert_refused(
        lambda: envs.step([0, 0, 0]), r"\[1\]", "reset_mask", error=gym.error.ResetNeeded
    )


def test_a_step_after_the_end_of_a_single_environment_is_refused_until_it_is_reset():
    env = make()
    env.reset(seed=0)
    for _ in range(20):
        env.step(0)
    assert_refused(lambda: env.step(0), r"reset\(", error=gym.error.ResetNeeded)
    env.reset()
    env.step(0)


@pytest.mark.parametrize("actions", [0, None, 0.5, object(), torch.tensor(1)])
@pytest.mark.parametrize("control", ["pair", "weights"])
def test_a_step_with_what_is_no_batch_is_a_type_error_as_in_gymnasium(control, actions):
    envs = make_vec(control=control)
    envs.reset(seed=0)
    assert_refused(lambda: envs.step(actions), r"actions of shape \(\)", r"\(3", error=TypeError)


@pytest.mark.parametrize(
    ("weights", "step_size", "choice", "pattern"),
    [
        (torch.ones(3, 2, dtype=torch.complex64), torch.ones(3), None, "complex64.*float32"),
        (np.ones((3, 2)) * 1j, torch.ones(3), None, "complex128.*float32"),
        (torch.ones(3, 2, dtype=torch.bool), torch.ones(3), None, "bool.*float32"),
        (torch.ones(3, 2), torch.ones(2), None, r"shape \(2,\): expected \(3,\)"),
        (torch.full((3, 2), torch.nan), torch.ones(3), None, "nan.*finite"),
        (torch.ones(3, 2), torch.ones(3), np.array([0, 1, 2]), "first: 2.*integers from 0 to 1"),
        (torch.ones(3, 2), torch.ones(3), [0.0, 1.0, 0.0], "float64.*integers"),
    ],
)
def test_a_control_that_is_none_is_refused(weights, step_size, choice, pattern):
    envs = make_vec()
    envs.reset(seed=0)
    control = Control(weights=weights, step_size=step_size, choice=choice)
    assert_refused(lambda: envs.step_control(control), pattern)
    assert_refused(lambda: envs.step_control([0, 1, 0]), "autoloss_gym.Control", error=TypeError)


@pytest.mark.parametrize("mask", [[1, 0, 1], [0.0, 1.0, 1.0], "all", np.array([1, 1, 1])])
def test_a_reset_mask_of_another_type_is_a_type_error_as_in_gymnasium(mask):
    envs = make_vec()
    envs.reset(seed=0)
    reset = lambda: envs.reset(options={"reset_mask": mask})  # noqa: E731
    assert_refused(reset, "reset_mask", r"\(3,\), bool", error=TypeError)


@pytest.mark.parametrize("made", [make, make_vec])
def test_options_that_are_no_mapping_are_refused(made):
    envs = made().unwrapped
    assert_refused(lambda: envs.reset(options=5), "options=5", "mapping", error=TypeError)


@pytest.mark.parametrize(
    ("mask", "got"),
    [
        ([True, False], r"\(2,\)"),
        ([[True], [False], [True]], r"\(3, 1\)"),
        ([False, False, False], "at least one True"),
        (torch.zeros(3, dtype=torch.bool), "at least one True"),
    ],
)
def test_a_bad_reset_mask_is_refused(mask, got):
    envs = make_vec()
    envs.reset(seed=0)
    assert_refused(
        lambda: envs.reset(options={"reset_mask": mask}), "reset_mask", got, r"\(3,\), bool"
    )


@pytest.mark.parametrize("made", [make, make_vec])
def test_an_unknown_option_of_reset_is_refused(made):
    assert_refused(
        lambda: made().reset(options={"reset_maks": np.ones(3, bool)}), "reset_maks", "reset_mask"
    )


@pytest.mark.parametrize(
    "seed",
    [
        -1,
        1.5,
        "0",
        True,
        np.True_,
        np.array(5),
        2**62,
        10**400,
        [1, 2],
        [1, 2, 3.7],
        [1, "a", 3],
        [1, 2, True],
        [-1, 2, 3],
        np.zeros((3, 1), int),
    ],
    ids=repr,
)
def test_a_bad_seed_is_refused(seed):
    expected = "seed=.*an integer from 0 to 2.*62, or a list of 3"
    assert_refused(lambda: make_vec().reset(seed=seed), expected)


@pytest.mark.parametrize("seed", [-1, 1.5, "0", True, np.array(5), [5], 2**62], ids=repr)
def test_a_bad_seed_of_the_single_environment_is_refused(seed):
    assert_refused(lambda: make().reset(seed=seed), "seed=.*an integer from 0 to 2")


@pytest.mark.parametrize("seed", [np.int64(5), np.uint8(5)], ids=repr)
def test_an_integer_of_numpy_is_the_same_seed(seed):
    np.testing.assert_array_equal(make().reset(seed=seed)[0], make().reset(seed=5)[0])
    np.testing.assert_array_equal(make_vec().reset(seed=seed)[0], make_vec().reset(seed=5)[0])


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda state: None, TypeError),
        (lambda state: {}, ValueError),
        (lambda state: state | {"runs": None}, ValueError),
        (lambda state: state | {"runs": state["runs"][:-1]}, ValueError),
        (lambda state: state | {"seeds": state["seeds"][:2]}, ValueError),
        (lambda state: state | {"elapsed": state["elapsed"].float()}, ValueError),
        (lambda state: state | {"is_reset": 1}, ValueError),
    ],
)
def test_a_state_that_is_none_is_refused_and_changes_nothing(change, error):
    envs, undisturbed = make_vec(), make_vec()
    for each in (envs, undisturbed):
        each.reset(seed=0)
    state = change(make_vec(num_envs=3).state_dict())
    assert_refused(lambda: envs.load_state_dict(state), "expected what|do not fit", error=error)
    np.testing.assert_array_equal(envs.step([0, 1, 0])[0], undisturbed.step([0, 1, 0])[0])


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        ({"num_envs": int}, "num_envs=<class 'int'>"),
        ({"num_envs": True}, "num_envs=True"),
        ({"num_envs": np.array([3])}, "num_envs=array"),
        ({"collapse_repeats": 10**30}, r"below 2\*\*31"),
        ({"max_steps": 10**400}, r"below 2\*\*31"),
        ({"dimension": 10**18}, r"below 2\*\*31"),
        ({"noise": float("inf")}, "finite"),
        ({"penalty": ["joint"]}, "penalty=.*expected text"),
        ({"train_on_validation": "yes"}, "train_on_validation='yes': expected True or False"),
        ({"drop": 5}, "drop=5: expected a list, each element text"),
        ({"add": 5}, "add=5: expected a list, each element text"),
        ({"control_arguments": [1]}, r"control_arguments=\[1\]: expected a mapping"),
        ({"reward_arguments": 5}, "reward_arguments=5: expected a mapping"),
        ({"split": np.array(["train"])}, "split=array"),
        ({"compile": 1}, "compile=1: expected one of False, True"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_values_of_senseless_types_and_sizes_are_refused(arguments, pattern):
    assert_refused(lambda: make_vec(**arguments), pattern)


def test_hidden_sizes_are_a_list():
    name = "AutoLoss/MLPClassification-v1"
    assert_refused(
        lambda: gym.make(name, hidden_sizes=32), "hidden_sizes=32: expected a list, each element"
    )
    assert gym.make(name, hidden_sizes=[8, 8.0]).unwrapped.task.hidden_sizes == (8, 8)
    assert_refused(
        lambda: gym.make("AutoLoss/ImageGAN-v1", data_dir=["x"]), "data_dir=.*: expected text or"
    )


@pytest.mark.parametrize("make", [gym.make, gym.make_vec])
def test_an_unknown_argument_is_a_type_error_in_pythons_words_as_clients_expect(make):
    """TorchRL's GymEnv tries again without `frameskip` where the error is one of this kind."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'frameskip'") as caught:
        make("AutoLoss/QuadraticRegression-v1", frameskip=1)
    assert isinstance(caught.value, ValueError)
    assert "Known:" in str(caught.value)
