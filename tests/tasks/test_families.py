"""Families of problems: ranges are drawn for each problem, and nobody is told."""

import math
from dataclasses import replace

import gymnasium
import pytest
import torch

import autoloss_gym  # noqa: F401 (registers the environments)
from autoloss_gym import random
from autoloss_gym.core.task import Control
from autoloss_gym.losses.fitting import log_excess_error
from autoloss_gym.tasks.images.sparse_autoencoder import SparseAutoencoder
from autoloss_gym.tasks.supervised.mlp_classification import MLPClassification
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from autoloss_gym.tasks.surfaces.beale import Beale
from autoloss_gym.tasks.surfaces.rosenbrock import Rosenbrock
from autoloss_gym.tools import tree
from tests.support.toy_tasks import keys_of

MANY = range(400)
REGRESSION = QuadraticRegression(**QuadraticRegression.presets["mixture"])
CLASSIFICATION = MLPClassification(
    **{**MLPClassification.presets["mixture"], "num_held_out": 50, "hidden_sizes": (8,)}
)
MIXTURES = {"regression": REGRESSION, "classification": CLASSIFICATION}
AUTOENCODER = SparseAutoencoder(
    **{**SparseAutoencoder.presets["mixture"], "hidden_sizes": (20,), "code_size": 12}
)
SURFACES = {each.__name__: each(**each.presets["mixture"]) for each in (Beale, Rosenbrock)}
each_mixture = pytest.mark.parametrize("task", MIXTURES.values(), ids=MIXTURES)
ALL = {**MIXTURES, "autoencoder": AUTOENCODER, **SURFACES}


def plain(task, runs: int) -> Control:
    return Control(weights=torch.ones(runs, len(task.pairs)), step_size=torch.ones(runs))


def trained(task, numbers, steps=6):
    state = task.reset(keys_of(*numbers))
    for _ in range(steps):
        state, _ = task.update(state, plain(task, len(numbers)))
    return state


def test_draws_cover_their_range_uniformly_or_log_uniformly():
    keys = torch.arange(4000)
    uniform = random.ranged(keys, (0.5, 6.0))
    logarithmic = random.ranged(keys, (0.1, 4.0), logarithmic=True)
    assert 0.5 <= uniform.min() < 0.52
    assert 5.95 < uniform.max() <= 6.0
    assert uniform.mean() == pytest.approx(3.25, abs=0.1)
    assert logarithmic.min() >= 0.1
    assert logarithmic.max() <= 4.0
    assert logarithmic.log().mean() == pytest.approx(math.log(0.4) / 2, abs=0.1)
    counts = torch.bincount(random.ranged_integers(keys, (2, 5)))
    assert counts[:2].sum() == 0
    assert len(counts) == 6
    assert counts[2:].min() > 850


def test_problems_of_the_regression_are_as_the_mixture_says():
    data = REGRESSION.reset(keys_of(*MANY)).data
    samples = (data["training"]["weights"] > 0).sum(dim=1)
    active = (data["truth"] != 0).sum(dim=1)
    quadratic = (data["true_quadratic"] != 0).any(dim=2).any(dim=1)
    assert (samples.min(), samples.max()) == (30, 100)
    assert (active.min(), active.max()) == (1, 8)
    assert quadratic.float().mean() == pytest.approx(0.5, abs=0.1)
    assert torch.allclose(data["training"]["weights"].sum(dim=1), torch.ones(len(MANY)))


@pytest.mark.parametrize("task", ALL.values(), ids=ALL)
def test_a_run_of_a_mixture_alone_has_the_same_bits_as_in_a_batch(task):
    together = tree.leaves(trained(task, range(5)))
    for run in range(5):
        alone = tree.leaves(trained(task, [run]))
        assert all(
            torch.equal(one[0], all_[run]) for one, all_ in zip(alone, together, strict=True)
        )


@each_mixture
def test_a_masked_sample_changes_nothing(task):
    state = task.reset(keys_of(*range(4)))
    other = tree.clone(state)
    masked = other.data["training"]["weights"] == 0
    assert masked.any()
    other.data["training"]["inputs"][masked] = 3.0
    for _ in range(3):
        state, _ = task.update(state, plain(task, 4))
        other, _ = task.update(other, plain(task, 4))
    for name, block in state.parameters.items():
        assert torch.equal(block, other.parameters[name])


def test_the_score_is_the_logarithm_of_the_excess_risk():
    state = trained(REGRESSION, range(4))
    score = REGRESSION.score(state)
    assert torch.equal(score[:, 0], score[:, 1].log())
    truth = {"linear": state.data["truth"], "quadratic": state.data["true_quadratic"]}
    best = REGRESSION.score_values({"all": truth}, state.data)
    assert best[:, 0].tolist() == pytest.approx([math.log(1e-6)] * 4)


@pytest.mark.parametrize("task", SURFACES.values(), ids=SURFACES)
@pytest.mark.parametrize(
    ("shift", "distance", "counted"),
    [((3.0, -4.0), 5.0, 5.0), ((0.0, 0.0), 0.0, 1e-6), ((300.0, 400.0), 500.0, 100.0)],
)
def test_the_score_of_surfaces_is_the_logarithm_of_the_distance_within_bounds(
    task, shift, distance, counted
):
    point = tuple(sum(each) for each in zip(task.minimum, shift, strict=True))
    score = task.score(replace(task, start=point, start_width=0.0).reset(keys_of(1)))[0].tolist()
    assert [metric.name for metric in task.score_metrics] == [
        "log_distance",
        "distance",
        "objective",
    ]
    assert score[:2] == pytest.approx([math.log(counted), distance])


def test_the_excess_error_counts_disagreement_by_the_lead_of_the_likelier_class():
    logits = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]])
    second = torch.tensor([[0.1, 0.9, 0.3, 0.7]])
    assert log_excess_error(logits, second).item() == pytest.approx(math.log(0.2 + 0.005))


def test_bayes_rule_errs_least_on_the_drawn_classes():
    task = replace(CLASSIFICATION, dataset="make_classification", num_held_out=400)
    part = task.reset(keys_of(*range(20))).data["test"]
    wrong = (part["second_class"] > 0.5) != (part["targets"] == 1)
    expected = torch.minimum(part["second_class"], 1 - part["second_class"]).mean()
    # One label in a hundred is drawn anew.
    assert wrong.float().mean() == pytest.approx(float(expected) + 0.005, abs=0.01)


def test_the_hidden_factor_scales_every_step():
    plain_task, twice = Beale(max_steps=10), Beale(max_steps=10, learning_rate_factor=2.0)
    ones = Control(weights=torch.ones(3, 3), step_size=torch.ones(3))
    doubled = Control(weights=torch.ones(3, 3), step_size=torch.full((3,), 2.0))
    first, _ = plain_task.update(plain_task.reset(keys_of(1, 2, 3)), doubled)
    second, _ = twice.update(twice.reset(keys_of(1, 2, 3)), ones)
    assert torch.equal(first.parameters["point"], second.parameters["point"])
    assert plain_task.reset(keys_of(1)).learning_rate_factor is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("noise", (6.0, 0.5)),
        ("noise", (-1.0, 1.0)),
        ("num_samples", (0, 5)),
        ("active_features", (1, 17)),
        ("learning_rate_factor", (0.0, 1.0)),
        ("true_quadratic", 1.5),
    ],
)
def test_senseless_ranges_are_refused_in_one_line(name, value):
    with pytest.raises(ValueError, match=f"^{name}=.*: expected .*$"):
        QuadraticRegression(**{name: value})


@pytest.mark.parametrize("id", ["QuadraticRegression", "MLPClassification", "Beale", "Rosenbrock"])
def test_nothing_that_a_controller_sees_has_the_drawn_values(id):
    arguments = {"num_envs": 2, "max_steps": 10, "validate_every": 10, "preset": "mixture"}
    mixture = gymnasium.make_vec(f"AutoLoss/{id}-v1", **arguments)
    single = gymnasium.make_vec(f"AutoLoss/{id}-v1", **{**arguments, "preset": None})
    assert mixture.single_observation_space == single.single_observation_space
    assert mixture.reset(seed=0)[1].keys() == single.reset(seed=0)[1].keys()
