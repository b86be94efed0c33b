"""From what is written on the command line to policies."""

import dataclasses
import importlib
import itertools
import subprocess
import sys

import numpy as np
import pytest

from agents.evaluation.entrants import make_entrant
from agents.policies.balance import Balance
from agents.policies.grammar import HELP, KINDS, parse_specification
from agents.policies.threshold_rules import ThresholdRule, thresholds
from autoloss_gym.controllers.policies.open_loop import OpenLoop
from autoloss_gym.controllers.policies.static import FixedWeights, RandomPair, Ratio
from autoloss_gym.tasks.images.intro_vae import IntroVAE
from autoloss_gym.tasks.supervised.mlp_classification import MLPClassification
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from tests.support.paths import ROOT
from tests.support.toy_tasks import SMALL, Fragile, TwoBlocks

SPLIT = QuadraticRegression(penalty="split")
FOUR = MLPClassification(hidden_sizes=(2, 2), penalty="split")


class SinglePair(TwoBlocks):
    @property
    def pairs(self):
        return super().pairs[:1]


def entrant(text, task=SMALL):
    return make_entrant(parse_specification(text), task, "")


def only(text, task=SMALL):
    (policy,) = entrant(text, task).candidates
    return policy


# The table


def test_every_row_has_a_builder_and_stands_in_the_help():
    shown = " ".join(HELP.split())
    for name, kind in KINDS.items():
        module, _, function = kind.builder.partition(":")
        assert callable(getattr(importlib.import_module(f"agents.{module}"), function))
        assert kind.name == name
        assert f"{kind.form} {kind.help}" in shown
    assert all(len(line) <= 100 for line in HELP.splitlines())


def test_reading_policies_and_their_help_loads_nothing_slow():
    program = """
import sys
from agents.policies.grammar import HELP, KINDS, parse_specification
for text in ("1:2", "softadapt:order=2", "grid:3", "xml:Message"):
    parse_specification(text)
print({"torch", "stable_baselines3", "xml"} & sys.modules.keys())
"""
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_an_argument_is_read_once_and_its_value_is_kept(monkeypatch):
    read = []
    kind = KINDS["random"]
    counting = dataclasses.replace(kind, read=lambda text: read.append(text) or kind.read(text))
    monkeypatch.setitem(KINDS, "random", counting)
    specification = parse_specification("random:0.25")
    assert specification.value == (0.25,)
    make_entrant(specification, SMALL, "")
    assert read == ["0.25"]


# Grids


def probabilities(task):
    found = entrant("random", task)
    assert found.mode == "tuned"
    assert found.static
    assert all(isinstance(policy, RandomPair) for policy in found.candidates)
    return [policy.probabilities for policy in found.candidates]


def test_random_tries_the_19_inner_twentieths_of_two_pairs():
    np.testing.assert_allclose(probabilities(SMALL), [(k / 20, 1 - k / 20) for k in range(1, 20)])


@pytest.mark.parametrize(
    ("task", "pairs", "parts", "size"), [(SPLIT, 3, 20, 231), (FOUR, 4, 8, 165)]
)
def test_random_tries_every_distribution_of_more_pairs_in_equal_parts(task, pairs, parts, size):
    counts = [
        each for each in itertools.product(range(parts + 1), repeat=pairs) if sum(each) == parts
    ]
    assert len(counts) == size
    np.testing.assert_allclose(sorted(probabilities(task)), np.array(counts) / parts)


@pytest.mark.parametrize(("text", "mode"), [("grid", "tuned"), ("grid_each", "each")])
def test_a_grid_of_two_pairs_weighs_the_penalty_by_20_ratios_from_a_16th_to_16(text, mode):
    found = entrant(text)
    weights = np.array([policy.weights for policy in found.candidates])
    assert (found.mode, weights.shape) == (mode, (20, 2))
    assert (weights[:, 0] == 1).all()
    np.testing.assert_allclose(weights[[0, -1], 1], [1 / 16, 16])
    np.testing.assert_allclose(weights[1:, 1] / weights[:-1, 1], 256 ** (1 / 19))
    assert (entrant("grid:7").candidates[0].label, len(entrant("grid:7").candidates)) == (
        "fixed:0.0625",
        7,
    )


def test_a_grid_of_three_pairs_has_all_combinations_of_two_penalties_and_weighs_the_fit_by_1():
    found = entrant("grid:4", SPLIT).candidates
    levels = sorted({policy.weights[1] for policy in found})
    assert [policy.weights for policy in found] == [
        (1.0, first, second) for first in levels for second in levels
    ]
    assert len(levels) == 4
    np.testing.assert_allclose(np.diff(np.log(levels)), np.log(levels[-1] / levels[0]) / 3)
    assert all(isinstance(policy, FixedWeights) for policy in found)


def test_a_grid_of_the_introspective_vae_weighs_both_adversarial_parts_alike_and_the_divergence_by_1():
    task = IntroVAE(arms="parts")
    assert [pair.name for pair in task.pairs] == [
        "reconstruction",
        "divergence",
        "encoder_adversarial",
        "decoder_adversarial",
    ]
    found = entrant("grid:3", task).candidates
    levels = [1 / 16, 4.0, 256.0]
    expected = [(beta, 1.0, alpha, alpha) for alpha in levels for beta in levels]
    np.testing.assert_allclose([policy.weights for policy in found], expected)
    assert only(found[1].label, task).weights == pytest.approx(found[1].weights, rel=5e-3)
    whole = [policy.weights for policy in entrant("grid", task).candidates]
    assert len(whole) == 169
    assert (1.0, 1.0, 1.0, 1.0) in [tuple(np.round(each, 9)) for each in whole]  # the paper's


def test_the_default_grids_have_the_sizes_that_the_help_says():
    size = len(entrant("grid", SPLIT).candidates)
    shown = " ".join(HELP.split())
    side = round(size**0.5)
    assert f"default {len(entrant('grid').candidates)}, with three pairs {side} × {side}; " in shown
    assert f"the best of {len(entrant('s1').candidates)} on validation" in shown
    assert f"between K knots (default {entrant('open_loop').search.space.knots})" in shown


@pytest.mark.parametrize("text", ["grid", "random"])
@pytest.mark.parametrize("task", [SMALL, SPLIT], ids=["two", "three"])
def test_the_label_of_a_candidate_is_a_policy_that_does_about_the_same(text, task):
    """What a table says was chosen can be given to the next command."""
    for policy in entrant(text, task).candidates:
        again = only(policy.label, task)
        values = (
            each.weights if text == "grid" else each.probabilities for each in (again, policy)
        )
        assert next(values) == pytest.approx(next(values), rel=5e-3)


def test_ratios_are_the_eleven_of_one_pair_to_the_other_and_may_be_the_reference():
    found = entrant("ratios")
    assert (found.label, found.mode, found.static) == ("ratios", "tuned", True)
    assert all(isinstance(policy, Ratio) for policy in found.candidates)
    counts = [policy.counts for policy in found.candidates]
    assert sorted(counts) == [(1, k) for k in (1, 3, 5, 7, 9, 11)] + [
        (k, 1) for k in (3, 5, 7, 9, 11)
    ]
    assert [only(policy.label).counts for policy in found.candidates] == counts


# Single policies


def test_balance_takes_the_factor_of_the_first_loss_and_is_never_the_reference():
    for text, ratio in (
        ("balance", 1.0),
        ("balance:", 1.0),
        ("balance:0.5", 0.5),
        ("balance:3", 3.0),
    ):
        policy = only(text)
        assert isinstance(policy, Balance)
        assert (policy.label, policy.ratio, entrant(text).static) == (text, ratio, False)
    assert only("balance", SPLIT).ratio == 1.0


@pytest.mark.parametrize(
    ("text", "task", "expected", "label"),
    [
        ("random:0.3", SMALL, (0.3, 0.7), "random:0.3"),
        ("random:0.3,0.7", SMALL, (0.3, 0.7), "random:0.3"),
        ("random:1", SMALL, (1.0, 0.0), "random:1"),
        ("random:0.5", SPLIT, (0.5, 0.25, 0.25), "random:0.5,0.25,0.25"),
        ("random:0.5,0.2,0.3", SPLIT, (0.5, 0.2, 0.3), "random:0.5,0.2,0.3"),
    ],
)
def test_random_takes_the_first_or_all_probabilities(text, task, expected, label):
    assert only(text, task).probabilities == pytest.approx(expected)
    assert (only(text, task).label, entrant(text, task).label) == (label, text)


def test_without_penalty_fits_both_parts_alone_and_is_no_reference():
    for task, counts in ((SMALL, (1, 0)), (SPLIT, (1, 0, 0))):
        policy = only("without_penalty", task)
        assert isinstance(policy, Ratio)
        assert (policy.counts, policy.env_arguments) == (counts, {"train_on_validation": True})
        assert not entrant("without_penalty", task).static


def test_a_threshold_rule_has_its_threshold_or_a_grid_of_them_and_is_never_the_reference():
    for rule in ("s1", "s2", "s3"):
        policy, grid = only(f"{rule}:-0.5"), entrant(rule)
        assert isinstance(policy, ThresholdRule)
        assert (policy.rule, policy.threshold, policy.metric) == (rule, -0.5, 0)
        assert [each.threshold for each in grid.candidates] == thresholds(rule).tolist()
        assert {each.rule for each in grid.candidates} == {rule}
        assert (grid.mode, grid.static) == ("tuned", False)
        assert only(f"{rule}:1", MLPClassification()).metric == 1


def test_open_loop_leaves_its_candidates_to_a_search_over_its_knots():
    for text, knots in (("open_loop", 4), ("open_loop:2", 2), ("open_loop:7", 7)):
        found = entrant(text)
        assert (found.search.space.knots, found.candidates, found.mode, found.static) == (
            knots,
            [],
            "tuned",
            True,
        )
    assert OpenLoop("p", ((1.0, 0.0), (0.0, 1.0)), 10).static


# Errors


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("random:1.5", "P between 0 and 1"),
        ("random:-0.1", "P between 0 and 1"),
        ("random:nan", "P between 0 and 1"),
        ("random:0.5,0.6", "sum to 1"),
        ("random:0.2,0.2,0.2", "sum to 1"),
        ("random:0.5,", "random:P1,P2"),
        ("ratios:3", r"expected ratios \(it takes no argument\)"),
        ("balance:0", "R above 0 and below 1e6"),
        ("balance:-1", "R above 0 and below 1e6"),
        ("balance:nan", "R above 0 and below 1e6"),
        ("balance:much", "R above 0 and below 1e6"),
        ("balanc", "did you mean 'balance'"),
        ("grid:1", "N of at least 2"),
        ("grid:2.5", "N of at least 2"),
        ("grid:100000000000", "at most 1000 .100000000000 is not in the range 2 to 1000"),
        ("grid_each:1001", "at most 1000"),
        ("1:", "expected K:L.*'' is not a whole number"),
        ("0:0", "not all 0"),
        ("1:-1", "-1 is not in the range 0 to 1000000"),
        ("2:1000001", "is not in the range 0 to 1000000"),
        ("1", "unknown policy '1'"),
        ("always:", "the name is missing"),
        ("fixed:0,0", "all are 0"),
        ("fixed:1,nan", "'nan' is not a number"),
        ("fixed:1000000", "below 1e6"),
        ("softadapt:order=5", "order: 5 is not in the range 1 to 4"),
        ("softadapt:beta", "beta needs a value"),
        ("softadapt:pair=1", "pair stands alone"),
        ("softadapt:order=2,least_squares=3", "order and least_squares exclude each other"),
        ("equal:pair,pair", "pair is given twice"),
        ("dwa:alpha=1", "there is no option 'alpha'"),
        ("equal:scale=mean", "scale: 'mean' is not sum or count"),
        ("ppo:nowhere", "there is no folder 'nowhere'"),
        ("ppo:nowhere.zip", "there is no file 'nowhere.zip'"),
        ("reinforce:model.zip", "Stable-Baselines3 stores no such model"),
        ("tensor_ppo:model.zip", "Stable-Baselines3 stores no such model"),
        ("open_loop:1", "K of at least 2"),
        ("open_loop:many", "K of at least 2"),
        ("open_lop", "did you mean 'open_loop'"),
        ("without_penalty:1", r"expected without_penalty \(it takes no argument\)"),
        ("without_penaltys", "did you mean 'without_penalty'"),
        ("s1:high", "s1 or s1:T with a number T"),
        ("s2:nan", "s2 or s2:T with a number T"),
        ("s3:inf", "s3 or s3:T with a number T"),
    ],
)
def test_bad_arguments_are_one_line(text, expected):
    with pytest.raises(ValueError, match=expected) as caught:
        parse_specification(text)
    assert "\n" not in str(caught.value)
    assert repr(text.partition(":")[0])[:-1] in str(caught.value)


@pytest.mark.parametrize(
    ("text", "task", "expected"),
    [
        (
            "random:0.2,0.8",
            SPLIT,
            "has 2 parts, but the task has 3 pairs: mse, l1_linear, l1_quadratic",
        ),
        ("random:0.2,0.3,0.5", SMALL, "has 3 parts, but the task has 2 pairs: mse, l1"),
        ("random", SinglePair(), "a single pair, there is nothing to choose"),
        ("random:0.5", SinglePair(), "a single pair, there is nothing to choose"),
        ("ratios", SPLIT, "this task has 3 pairs; the ratios are for 2"),
        ("ratios", SinglePair(), "this task has 1 pairs; the ratios are for 2"),
        ("balance", SinglePair(), "a single pair, there is nothing to choose"),
        ("open_loop", SinglePair(), "a single pair, there is nothing to choose"),
        ("grid", FOUR, "this task has 4 pairs; the grid is for 2 or 3"),
        ("grid", SinglePair(), "this task has 1 pairs; the grid is for 2 or 3"),
        ("without_penalty", TwoBlocks(), "TwoBlocks has no argument train_on_validation"),
        ("s1", SPLIT, "this task has 3 pairs"),
        ("s1:0.5", Fragile(), "needs the loss 'safe' among the validation metrics"),
    ],
)
def test_what_a_task_does_not_have_is_one_line(text, task, expected):
    with pytest.raises(ValueError, match=expected) as caught:
        entrant(text, task)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["fixed:2", "grid", "grid_each", "softadapt", "dwa:temperature=3", "equal"]
)
def test_weights_are_refused_where_every_block_has_one_loss(text):
    with pytest.raises(
        ValueError, match="every parameter block of Fragile has one loss, and under Adam"
    ):
        entrant(text, Fragile())
    assert len(entrant(text).candidates) >= 1


def test_drawing_a_pair_with_weights_needs_no_shared_block():
    assert entrant("softadapt:pair", Fragile()).candidates[0].label == "softadapt:pair"


def test_a_rule_with_an_empty_argument_is_the_rule_without_one():
    bare, colon = (
        make_entrant(parse_specification(text), QuadraticRegression(), "") for text in ("s1", "s1:")
    )
    assert bare.candidates == colon.candidates
