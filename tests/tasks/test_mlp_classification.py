"""The classification task against single models written with torch.nn, and its data against what
they claim to be.
"""

from itertools import pairwise

import gymnasium
import numpy as np
import pytest
import torch
from torch import nn

import autoloss_gym
from autoloss_gym import random
from autoloss_gym.core.task import Keys
from autoloss_gym.data import resampled_tables as datasets
from autoloss_gym.data.tables import load_table
from autoloss_gym.tasks.supervised.mlp_classification import MLPClassification

ID = "AutoLoss/MLPClassification-v1"
SMALL = {"num_samples": 40, "num_held_out": 60, "max_steps": 20}


def keys(num_envs, split="train"):
    problem = random.fold_in(torch.arange(num_envs), "test")
    return Keys(problem=problem, run=random.fold_in(problem, "run"), split=split)


def single_model(task, state, row):
    """The run `row` as a torch.nn model."""
    sizes, layers = task.layer_sizes, []
    values = task.unpack(state.parameters)["weights"]
    for index, (size, next_size) in enumerate(pairwise(sizes)):
        layer = nn.Linear(size, next_size)
        layer.weight.data.copy_(values[f"weight_{index}"][row].T)
        layer.bias.data.copy_(values[f"bias_{index}"][row])
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@pytest.mark.parametrize(
    "arguments",
    [{}, {"hidden_sizes": (5, 7)}, {"hidden_sizes": ()}, {"dataset": "digits"}],
    ids=str,
)
def test_losses_norms_and_metrics_are_those_of_single_models(arguments):
    task = MLPClassification(**(SMALL | arguments))
    state = task.reset(keys(3))
    evaluation, validation, score = task.measure(state), task.validate(state), task.score(state)
    for row in range(3):
        model, parts = single_model(task, state, row), state.data
        inputs, targets = parts["training"]["inputs"][row], parts["training"]["targets"][row]
        loss = nn.functional.cross_entropy(model(inputs), targets)
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        size = sum(gradient.numel() for gradient in gradients)
        norm = torch.sqrt(sum((gradient * gradient).sum() for gradient in gradients) / size)
        penalty = 0.02 * sum(parameter.abs().sum() for parameter in model.parameters())
        torch.testing.assert_close(evaluation.losses[row], torch.stack([loss, penalty]).detach())
        torch.testing.assert_close(
            evaluation.gradient_norms[row], torch.tensor([norm, 0.02]), rtol=1e-4, atol=1e-6
        )
        held_out = parts["validation"]
        logits = model(held_out["inputs"][row]).detach()
        accuracy = (logits.argmax(1) == held_out["targets"][row]).float().mean()
        expected = torch.stack(
            [accuracy, nn.functional.cross_entropy(logits, held_out["targets"][row])]
        )
        torch.testing.assert_close(validation[row], expected)
        error = (
            (model(parts["test"]["inputs"][row]).argmax(1) != parts["test"]["targets"][row])
            .float()
            .mean()
        )
        torch.testing.assert_close(score[row, 0], error)


def test_five_steps_follow_torch_adam():
    task = MLPClassification(**SMALL)
    state = task.reset(keys(1))
    model = single_model(task, state, 0)
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    inputs, targets = (state.data["training"][name][0] for name in ("inputs", "targets"))
    for choice in (0, 1, 0, 0, 1):
        adam.zero_grad()
        penalty = 0.02 * sum(parameter.abs().sum() for parameter in model.parameters())
        (penalty if choice else nn.functional.cross_entropy(model(inputs), targets)).backward()
        adam.step()
        weights = torch.eye(2)[[choice]]
        state, _ = task.update(
            state, autoloss_gym.Control(weights=weights, step_size=torch.ones(1))
        )
    ours = single_model(task, state, 0)
    for mine, theirs in zip(ours.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "arguments",
    [{}, {"dataset": "paper", "dimension": 21}, {"dataset": "breast_cancer", "hidden_sizes": (9,)}],
    ids=str,
)
def test_a_run_gets_the_same_bits_alone_and_in_batches_of_7_and_64(arguments):
    def play(first, num_envs):
        envs = gymnasium.make_vec(ID, num_envs=num_envs, **(SMALL | arguments))
        observations = [envs.reset(seed=first)[0]]
        for step in range(45):  # two episodes and a half
            outputs = envs.step(
                np.array([(7 * (first + i) + step) % 3 % 2 for i in range(num_envs)])
            )
            observations.append(np.concatenate([outputs[0], outputs[1][:, None]], axis=1))
        return observations

    for alone, seven, many in zip(play(5, 1), play(3, 7), play(0, 64), strict=True):
        np.testing.assert_array_equal(alone[0], many[5])
        np.testing.assert_array_equal(seven, many[3:10])


@pytest.mark.parametrize("dataset", ["paper", "make_classification"])
def test_generated_data_are_standardised_on_the_training_part_and_balanced(dataset):
    data = MLPClassification(dataset=dataset, num_samples=500).make_data(keys(20))
    training = data["training"]["inputs"]
    torch.testing.assert_close(training.mean(dim=1), torch.zeros(20, 32), atol=1e-5, rtol=0)
    torch.testing.assert_close(training.std(dim=1), torch.ones(20, 32), atol=1e-5, rtol=0)
    assert abs(data["test"]["targets"].float().mean() - 0.5) < 0.02
    assert data["validation"]["inputs"].shape == (20, 1000, 32)


def class_means(assignment):
    data = MLPClassification(
        dataset="paper", assignment=assignment, num_samples=2000, side=8.0
    ).make_data(keys(8))
    inputs, targets = data["training"]["inputs"], data["training"]["targets"]
    sums = [
        (inputs * (targets == label)[:, :, None]).sum(1) / (targets == label).sum(1, keepdim=True)
        for label in (0, 1)
    ]
    return (sums[1] - sums[0]).abs(), inputs, targets


def test_adjacent_classes_differ_in_the_first_feature_and_in_no_noise():
    difference, _, _ = class_means("adjacent")
    assert (difference[:, 0] > 1.5).all()
    assert (difference[:, 1] < 0.2).all()
    assert (difference[:, 4:] < 0.2).all()


def test_opposite_classes_differ_only_in_the_product_of_the_first_two_features():
    difference, inputs, targets = class_means("opposite")
    assert (difference < 0.2).all()
    product = inputs[:, :, 0] * inputs[:, :, 1]
    assert ((product > 0).long() == targets).float().mean() > 0.95 or (
        (product < 0).long() == targets
    ).float().mean() > 0.95


def test_linear_combinations_carry_no_information_of_their_own():
    data = MLPClassification(dataset="paper").make_data(keys(4))["training"]["inputs"]
    informative, combined = data[:, :, :2], data[:, :, 2:4]
    solution = torch.linalg.lstsq(informative, combined).solution
    torch.testing.assert_close(informative @ solution, combined, atol=1e-4, rtol=0)


def test_one_percent_of_the_labels_of_make_classification_are_drawn_anew():
    task = MLPClassification(
        side=1000.0, dataset="make_classification", num_held_out=20_000, assignment="adjacent"
    )
    part = task.make_data(keys(2))[
        "test"
    ]  # centres so far apart that the first feature tells the cluster
    wrong = ((part["inputs"][:, :, 0] > 0).long() != part["targets"]).float().mean(dim=1)
    assert ((wrong > 0.003) & (wrong < 0.008)).all()  # half of those drawn anew keep their label


def test_real_classes_are_whole_numbers_from_zero_and_the_test_part_is_used_by_the_test_split_alone():
    classes = datasets.load_classes(load_table("digits"))
    assert classes.dtype == np.int64
    assert sorted(set(classes)) == list(range(10))
    task = MLPClassification(dataset="breast_cancer")
    tests = {
        split: task.make_data(keys(1, split))["test"]["targets"][0]
        for split in ("train", "validation", "test")
    }
    expected = datasets.load_classes(load_table("breast_cancer"))[
        datasets.five_way_partition(569)["test"]
    ]
    np.testing.assert_array_equal(tests["test"], expected)
    assert len(tests["train"]) != len(tests["test"])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"dataset": "breast_cancr"}, "did you mean 'breast_cancer'"),
        ({"dataset": "diabetes"}, "unknown dataset 'diabetes'"),
        ({"target": "y"}, "no columns to choose from"),
        ({"assignment": "adjecent"}, "did you mean 'adjacent'"),
        ({"hidden_sizes": [8, 0]}, "expected a list, each element an integer of at least 1"),
        ({"dimension": 4}, "expected an integer of at least 5"),
        ({"side": -1.0}, "at least 0"),
    ],
)
def test_bad_arguments_are_one_line(arguments, expected):
    with pytest.raises(ValueError, match=expected) as caught:
        gymnasium.make(ID, **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (np.linspace(0, 1, 100), "expected classes"),
        (np.zeros(100), "the target is constant"),
        (np.arange(100) == 3, "class 1 has 1 rows, none of them in the"),
    ],
)
def test_a_target_that_is_no_set_of_classes_is_one_line_that_names_the_file(
    tmp_path, labels, expected
):
    np.savez(
        tmp_path / "x.npz",
        inputs=np.random.default_rng(0).normal(size=(100, 3)),
        targets=np.asarray(labels, float),
    )
    with pytest.raises(ValueError, match=expected) as caught:
        gymnasium.make(ID, dataset=str(tmp_path / "x.npz"))
    assert "x.npz" in str(caught.value)


def test_a_csv_with_class_numbers_trains(tmp_path):
    rows = np.random.default_rng(0).normal(size=(120, 2))
    lines = ["a,b,kind", *(f"{a},{b},{7 if a > b else 3}" for a, b in rows)]
    (tmp_path / "x.csv").write_text("\n".join(lines))
    env = gymnasium.make(ID, dataset=str(tmp_path / "x.csv"), max_steps=200)
    env.reset(seed=0)
    for _ in range(200):
        *_, info = env.step(0)
    assert env.unwrapped.task.layer_sizes == (2, 32, 2)
    assert info["best_score"] < 0.15
