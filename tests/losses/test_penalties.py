"""Joint and split pairs of a loss and an L1 penalty, and training on the validation part as well."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.envs.registration import EnvSpec

import autoloss_gym
from autoloss_gym.core.task import Control
from autoloss_gym.optimizers import SGD, Adam
from autoloss_gym.tasks.supervised.mlp_classification import MLPClassification
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from tests.support.toy_tasks import SMALL, keys_of

PERCEPTRON = MLPClassification(
    dimension=5, num_samples=12, num_held_out=9, hidden_sizes=(3, 2), max_steps=20
)
TASKS = {
    "regression": SMALL,
    "with_constant": replace(SMALL, constant=True),
    "perceptron": PERCEPTRON,
}
IDS = {"AutoLoss/QuadraticRegression-v1": "mse", "AutoLoss/MLPClassification-v1": "cross_entropy"}
each_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())


def split(task):
    return replace(task, penalty="split")


def weights(*rows) -> Control:
    return Control(weights=torch.tensor(rows), step_size=torch.ones(len(rows)))


def one_hot(task, *choice: int, on_host: bool = True) -> Control:
    control = weights(*torch.eye(len(task.pairs))[list(choice)].tolist())
    return replace(control, choice=np.array(choice)) if on_host else control


def all_parameters(state) -> torch.Tensor:
    return torch.cat(list(state.parameters.values()), dim=1)


# What the pairs are


@pytest.mark.parametrize(
    ("task", "fit", "blocks"),
    [
        (SMALL, "mse", ("linear", "quadratic")),
        (PERCEPTRON, "cross_entropy", ("layer_0", "layer_1", "layer_2")),
        (replace(PERCEPTRON, hidden_sizes=()), "cross_entropy", ("layer_0",)),
    ],
)
def test_split_pairs_are_the_fit_of_all_blocks_and_a_penalty_for_each(task, fit, blocks):
    assert [pair.name for pair in split(task).pairs] == [fit, *(f"l1_{block}" for block in blocks)]
    assert [pair.blocks for pair in split(task).pairs] == [blocks, *((block,) for block in blocks)]
    assert [pair.name for pair in task.pairs] == [fit, "l1"]
    assert {pair.blocks for pair in task.pairs} == {("weights",)}


def test_the_constant_is_fitted_and_has_no_penalty():
    pairs = split(TASKS["with_constant"]).pairs
    assert pairs[0].blocks == ("linear", "quadratic", "constant")
    assert [pair.name for pair in pairs] == ["mse", "l1_linear", "l1_quadratic"]


def test_each_penalty_is_lambda_times_the_absolute_sum_of_its_block_by_hand():
    values = torch.tensor([[1.0, -2.0, 0.5, -0.5, 0.0, 3.0, 7.0]])  # w, A by rows, c
    task = QuadraticRegression(
        dimension=2, num_samples=3, l1_coefficient=0.2, constant=True, penalty="split"
    )
    state = task.reset(keys_of(1))
    state.parameters = dict(
        zip(("linear", "quadratic", "constant"), values.split([2, 4, 1], dim=1), strict=True)
    )
    torch.testing.assert_close(task.measure(state).losses[0, 1:], torch.tensor([0.6, 0.8]))
    joint = replace(task, penalty="joint")
    state = joint.reset(keys_of(1))
    state.parameters = {"weights": values}
    torch.testing.assert_close(joint.measure(state).losses[0, 1], torch.tensor(1.4))


def test_the_penalty_of_a_layer_is_that_of_its_weights_and_biases_by_hand():
    task = split(PERCEPTRON)
    state = task.reset(keys_of(1))
    for block, size, weight, bias in (
        ("layer_0", 5 * 3, -0.5, 0.25),
        ("layer_1", 3 * 2, 2.0, -1.0),
    ):
        state.parameters[block][:, :size], state.parameters[block][:, size:] = weight, bias
    state.parameters["layer_2"].zero_()
    expected = 0.02 * torch.tensor([15 * 0.5 + 3 * 0.25, 6 * 2.0 + 2 * 1.0, 0.0])
    torch.testing.assert_close(task.measure(state).losses[0, 1:], expected)


@pytest.mark.parametrize("penalty", ["joint", "split"])
def test_the_constant_changes_no_penalty_and_no_penalty_changes_it(penalty):
    task = replace(TASKS["with_constant"], penalty=penalty, optimizer=SGD(learning_rate=0.1))
    state = task.reset(keys_of(1))
    before = task.measure(state).losses
    state.parameters["constant" if penalty == "split" else "weights"][:, -1] = 100.0
    after = task.measure(state).losses
    assert torch.equal(after[:, 1:], before[:, 1:])
    assert after[0, 0] > before[0, 0]
    for choice in range(1, len(task.pairs)):
        state, _ = task.update(state, one_hot(task, choice))
        assert all_parameters(state)[0, -1] == 100.0
    state, _ = task.update(state, one_hot(task, 0))
    assert all_parameters(state)[0, -1] != 100.0


# Steps


@pytest.mark.parametrize("on_host", [True, False], ids=["choice_known", "choice_unknown"])
@each_task
def test_a_penalty_moves_its_own_block_alone_and_leaves_the_moments_and_step_counts_of_the_others(
    task, on_host
):
    task = split(task)
    state, _ = task.update(
        task.reset(keys_of(1, 2)), one_hot(task, 0, 0)
    )  # now every moment is other than 0
    for choice, pair in enumerate(task.pairs[1:], start=1):
        before = {
            block: {"parameters": values.clone()}
            | {name: value.clone() for name, value in state.optimizer[block].items()}
            for block, values in state.parameters.items()
        }
        state, _ = task.update(state, one_hot(task, choice, 0, on_host=on_host))
        for block, earlier in before.items():
            now = {"parameters": state.parameters[block], **state.optimizer[block]}
            changed = [
                [not torch.equal(now[name][run], earlier[name][run]) for name in now]
                for run in (0, 1)
            ]
            assert changed == [[block in pair.blocks] * len(now), [True] * len(now)], (
                pair.name,
                block,
            )


@each_task
@pytest.mark.parametrize(
    "optimizer",
    [Adam(learning_rate=0.02), SGD(learning_rate=0.01, momentum=0.9)],
    ids=["adam", "sgd"],
)
def test_all_losses_at_once_take_the_same_steps_whether_joint_or_split(task, optimizer):
    """Both weigh every coordinate's penalty by r, and each coordinate has one optimizer."""
    task = replace(task, optimizer=optimizer)
    states = {
        ratio: [each.reset(keys_of(1, 2)) for each in (task, split(task))] for ratio in (0.0, 3.0)
    }
    assert torch.equal(*map(all_parameters, states[3.0]))
    for _ in range(10):
        for ratio, (joint, parted) in states.items():
            penalised = [1.0] + [ratio] * (len(split(task).pairs) - 1)
            joint, _ = task.update(joint, weights([1.0, ratio], [1.0, ratio]))
            parted, _ = split(task).update(parted, weights(penalised, penalised))
            states[ratio] = [joint, parted]
    torch.testing.assert_close(*map(all_parameters, states[3.0]), rtol=1e-4, atol=1e-5)
    assert (all_parameters(states[0.0][0]) - all_parameters(states[3.0][0])).abs().max() > 1e-3


# Declarations


def test_a_task_with_split_pairs_can_be_replaced_and_equals_one_of_the_same_arguments():
    for task in (split(SMALL), split(PERCEPTRON), SMALL):
        longer = replace(task, max_steps=40)
        assert (longer.pairs, longer.max_steps) == (task.pairs, 40)
        assert replace(longer, max_steps=20) == task != longer
        assert hash(replace(task)) == hash(task)
    assert len(replace(split(SMALL), constant=True).pairs[0].blocks) == 3
    assert len(replace(split(PERCEPTRON), hidden_sizes=(4, 5)).pairs) == 4
    assert QuadraticRegression(penalty="split") != QuadraticRegression()


@pytest.mark.parametrize("id", IDS)
def test_an_unknown_penalty_is_one_line_with_the_nearest(id):
    for penalty, expected in (
        ("splt", "'splt'; did you mean 'split'"),
        ("jont", "did you mean 'joint'"),
        (None, "penalty=None: expected text"),
        (("joint",), "penalty=.*: expected text"),
    ):
        with pytest.raises(ValueError, match=expected) as caught:
            gymnasium.make(id, penalty=penalty)
        assert "\n" not in str(caught.value)


@each_task
@pytest.mark.parametrize("train_on_validation", [False, True])
def test_tasks_with_split_pairs_keep_their_promises(task, train_on_validation):
    autoloss_gym.check_task(replace(task, penalty="split", train_on_validation=train_on_validation))


@pytest.mark.parametrize(("id", "fit"), IDS.items())
def test_the_specification_of_an_environment_with_split_pairs_makes_it_again(id, fit):
    env = gymnasium.make(id, penalty="split", learning_rate=0.125, max_steps=20)
    again = gymnasium.make(EnvSpec.from_json(env.spec.to_json()))
    assert env.action_space == again.action_space == gymnasium.spaces.Discrete(3)
    assert again.unwrapped.task == env.unwrapped.task
    assert [again.unwrapped.task.pairs[0].name, again.unwrapped.task.optimizer.learning_rate] == [
        fit,
        0.125,
    ]
    for each in (env, again):
        each.reset(seed=3)
    for action in (0, 1, 2, 0):
        np.testing.assert_array_equal(env.step(action)[0], again.step(action)[0])


@pytest.mark.parametrize(
    ("penalty", "patience", "size"), [("joint", 0, 11), ("split", 0, 11), ("split", 4, 12)]
)
def test_a_regression_has_as_many_features_as_it_says(penalty, patience, size):
    env = gymnasium.make("AutoLoss/QuadraticRegression-v1", penalty=penalty, patience=patience)
    assert env.observation_space.shape == (size,)


# Training on the validation part as well


@pytest.mark.parametrize(
    "task",
    [
        SMALL,
        replace(SMALL, dataset="diabetes"),
        PERCEPTRON,
        replace(PERCEPTRON, dataset="breast_cancer"),
    ],
    ids=["synthetic", "diabetes", "generated", "breast_cancer"],
)
@pytest.mark.parametrize("of", ["train", "test"])
def test_training_on_validation_adds_its_rows_and_changes_no_other_part(task, of):
    keys = keys_of(1, 2, split=of)
    data, more = task.make_data(keys), replace(task, train_on_validation=True).make_data(keys)
    assert data.keys() == more.keys()
    for name in ("inputs", "targets"):
        both = torch.cat([data["training"][name], data["validation"][name]], dim=1)
        assert torch.equal(more["training"][name], both)
        assert (
            more["training"][name].shape[1]
            == data["training"][name].shape[1] + data["validation"][name].shape[1]
        )
        for part in ("validation", "test"):
            assert torch.equal(more[part][name], data[part][name])


def test_the_fit_of_both_parts_is_the_mean_of_the_errors_on_each():
    task = replace(SMALL, train_on_validation=True)
    plain, both = SMALL.reset(keys_of(1, 2)), task.reset(keys_of(1, 2))
    expected = (
        SMALL.measure(plain).losses[:, 0] + SMALL.validate(plain)[:, 0]
    ) / 2  # the parts have 20 samples each
    torch.testing.assert_close(task.measure(both).losses[:, 0], expected)
    assert torch.equal(task.validate(both), SMALL.validate(plain))
    assert torch.equal(task.score(both), SMALL.score(plain))
