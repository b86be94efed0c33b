import numpy as np
import pytest
import torch

from agents.learners.learned_optimizers.inner_runs import InnerRuns
from agents.learners.learned_optimizers.meta_training import MetaTraining
from agents.learners.learned_optimizers.options import LearnedOptimizerOptions
from agents.learners.learned_optimizers.posterior import deviation_of
from autoloss_gym.optimizers import LearnedOptimizer
from autoloss_gym.optimizers.learned_files import StoredWeights, write_weights
from autoloss_gym.optimizers.learned_network import num_weights
from autoloss_gym.tasks.images.image_classification import ImageClassification
from autoloss_gym.tasks.surfaces.rosenbrock import Rosenbrock

CPU = torch.device("cpu")
HIDDEN = 4


def digits(**changes):
    small = {"num_samples": 30, "batch_size": 8, "hidden_sizes": (4,), "num_held_out": 20}
    return ImageClassification(**(small | changes))


def training(num_runs=8, seed=0, task=None, **changes):
    options = {"unroll": 5, "horizon": 20, "hidden_size": HIDDEN, "loss_weights": (1.0, 0.0),
               "deviation": 0.3}  # fmt: skip
    chosen = LearnedOptimizerOptions(**(options | changes))
    return MetaTraining(task or digits(), chosen, num_runs, seed, CPU)


def on_rosenbrock(num_runs, **changes):
    """Trains on a surface whose steps are cheap."""
    task = Rosenbrock(max_steps=20)
    return training(num_runs, task=task, **{"loss_weights": (), "meta": "train"} | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "unroll"},
        {"method": "unroll", "posterior": True},
        {"method": "evolution"},
    ],
)
def test_the_meta_loss_falls(changes):
    trained = on_rosenbrock(8, learning_rate=0.3, **changes)
    losses = [trained.iterate()["meta_loss"] for _ in range(16)]
    assert np.mean(losses[-4:]) < 0.6 * np.mean(losses[:4])


@pytest.mark.parametrize("persistent", [True, False])
def test_a_run_keeps_its_perturbation_until_its_problem_ends_or_for_one_unroll(persistent):
    trained = on_rosenbrock(8, persistent=persistent)
    before = trained._noise()
    trained.iterate()  # the last of the four problems is over
    trained.runs.renew()
    kept = (trained._noise() == before).all(dim=1)
    assert kept.tolist() == [persistent] * 3 + [False]


def test_evolution_and_backpropagation_find_the_same_slope():
    found = {}
    for method, runs, more in (("unroll", 1, {}), ("evolution", 512, {"deviation": 1e-2})):
        trained = on_rosenbrock(runs, method=method, horizon=5, max_grad_norm=1e9, **more)
        trained.iterate()
        found[method] = trained.weights.mean.grad
    first, second = found["unroll"], found["evolution"]
    cosine = torch.dot(first, second) / (first.norm() * second.norm())
    # With p = 256 draws in d = 138 dimensions, √(p / (p + d)) = .81 is what is to be expected.
    assert 0.7 < cosine < 0.9


@pytest.mark.parametrize("flatness", ["hessian", "entropy"])
def test_flatness_adds_to_the_meta_loss_by_its_weight(flatness):
    losses = []
    for weight in (0.0, 1.0, 3.0):
        trained = on_rosenbrock(2, flatness=flatness, flatness_weight=weight, flatness_draws=2)
        losses.append(trained.iterate()["meta_loss"])
    assert losses[1] - losses[0] > 0.1
    assert losses[2] - losses[0] == pytest.approx(3 * (losses[1] - losses[0]), rel=1e-4)


def test_both_runs_of_a_pair_meet_the_same_problem_and_begin_alike():
    state = training(8).runs.state
    for part in (state.keys.problem, state.parameters["network"]):
        first, second = part.chunk(2)
        assert torch.equal(first, second)
        assert not torch.equal(first[0], first[1])


def test_runs_are_of_all_ages_and_begin_anew_at_the_horizon():
    trained = training(8)
    runs = trained.runs
    assert runs.ages == [0, 5, 10, 15]
    problems = [runs.state.keys.problem.clone()]
    for _ in range(2):
        trained.iterate()
        problems.append(runs.state.keys.problem.clone())
    assert runs.ages == [10, 15, 20, 5]
    changed = (problems[2] != problems[0]).tolist()
    assert changed == [False, False, False, True] * 2
    assert runs.state.steps.tolist() == [10, 10, 10, 5] * 2


def test_a_diverged_run_counts_for_the_cap_and_disturbs_no_other():
    options = LearnedOptimizerOptions(unroll=3, horizon=3, hidden_size=HIDDEN, loss_cap=2.0)
    row = torch.full((num_weights(HIDDEN),), 0.1)
    task = digits(optimizer=LearnedOptimizer(weights=row))
    losses = []
    for broken in (False, True):
        runs = InnerRuns(task, options, 3, 1, 0, CPU)
        if broken:
            runs.state.parameters["network"][1] = float("nan")
        weights = row.repeat(3, 1).requires_grad_()
        losses.append(runs.unroll(weights, differentiable=True).detach())
    assert torch.equal(losses[0][[0, 2]], losses[1][[0, 2]])
    assert losses[1][1] == 2 * runs.first_losses[1]


def test_a_posterior_without_evidence_becomes_the_prior_and_with_much_it_does_not():
    deviations = {}
    for evidence in (1e-3, 1e9):
        trained = on_rosenbrock(
            2, posterior=True, deviation=0.3, evidence=evidence, learning_rate=0.1,
            max_grad_norm=1e9, unroll=1, horizon=1, prior_deviation=0.6,
        )  # fmt: skip
        for _ in range(30):
            trained.iterate()
        deviations[evidence] = deviation_of(trained.weights.spread.detach())
    prior = torch.full_like(deviations[1e-3], 0.6)
    torch.testing.assert_close(deviations[1e-3], prior, rtol=0.2, atol=0.0)
    assert (deviations[1e9] - 0.6).abs().mean() > 0.15


def test_training_begins_with_the_weights_of_a_file(tmp_path):
    row = np.linspace(-1, 1, num_weights(3)).astype(np.float32)
    path = tmp_path / "optimizer.safetensors"
    write_weights(path, StoredWeights(row))
    assert training(start=str(path)).weights.mean.tolist() == row.tolist()


def test_a_task_without_a_validation_part_is_measured_by_its_objective():
    trained = on_rosenbrock(4, meta="validation")
    assert np.isfinite(trained.iterate()["meta_loss"])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"horizon": 21}, "horizon=21: expected a multiple of unroll=5"),
        ({"loss_weights": (1.0,)}, "expected 2 numbers, for cross_entropy, l2"),
        ({"loss_weights": (0.0, 0.0)}, "expected one above 0"),
        ({"method": "forward"}, "method='forward'"),
        ({"num_runs": 7}, "expected an even number"),
        ({"start": "nowhere"}, "there is no file 'nowhere'"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(changes, reason):
    with pytest.raises(ValueError, match=reason) as error:
        training(**changes)
    assert "\n" not in str(error.value)
