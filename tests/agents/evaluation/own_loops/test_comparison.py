"""Rules on a function of the user's: paired, kept run by run, and no failure unseen."""

import contextlib
import json
import random
import warnings

import numpy as np
import pytest
import torch

import autoloss_gym
from agents.evaluation.own_loops.comparison import compare
from agents.evaluation.own_loops.runs import TrainError, seeded
from autoloss_gym.weightings import Fixed, GradNorm, RandomLossWeighting, SoftAdapt

RULES = ["equal", "fixed:1,3", "softadapt"]


def train(rule, seed):
    """Three calls of the rule; the score is its first weight, and what the generators draw."""
    drawn = torch.rand(()) + np.random.rand() + random.random()  # first: beartype draws as well
    for step in range(3):
        weights = rule.update([1.0 + step, 2.0])
    return float(weights[0]) + drawn


def weight(rule, seed):
    return rule.update([1.0, 2.0])[0]


def falling(rule, seed):
    """All rules are alike but for the fixed one, which is better by 1 and a little."""
    return 5.0 + 0.1 * seed - (1.0 + 0.01 * seed) * isinstance(rule, Fixed)


def lines_of(folder):
    return (folder / "runs.jsonl").read_text().splitlines()


def test_it_is_the_one_that_the_package_gives():
    assert autoloss_gym.compare is compare


def test_all_rules_of_a_seed_draw_the_same():
    first = compare(train, ["equal", {"again": "equal"}], seeds=4)
    np.testing.assert_array_equal(first.scores["equal"], first.scores["again"])
    assert len(set(first.scores["equal"])) == 4


def test_the_three_generators_are_left_as_they_were_also_by_what_fails():
    def draws():
        return [float(torch.rand(())), np.random.rand(), random.random()]

    def begin():
        torch.manual_seed(5), np.random.seed(5), random.seed(5)

    begin()
    expected = draws()
    begin()
    with seeded(3):
        inside = draws()
    assert draws() == expected
    begin()
    with contextlib.suppress(KeyError), seeded(3):
        assert draws() == inside
        raise KeyError
    assert draws() == expected


def test_every_call_has_a_rule_that_has_learned_nothing_and_the_given_one_stays_as_it_was():
    def second(rule, seed=0):
        rule.update([1.0, 2.0])
        return rule.update([1.5, 1.0])[0]

    given, twin = SoftAdapt(), SoftAdapt()
    for rule in (given, twin):
        rule.update([3.0, 1.0])
    scores = compare(second, [given], seeds=3).scores["SoftAdapt"]
    assert set(scores) == {float(second(SoftAdapt()))}
    assert given.update([0.5, 1.5])[0] == twin.update([0.5, 1.5])[0]


def test_a_rule_that_draws_does_so_by_the_seed():
    scores = compare(weight, ["random_weights"], seeds=[3, 8, 3 + 10]).scores["random_weights"]
    assert len(set(scores)) == 3
    again = compare(weight, [RandomLossWeighting()], seeds=[8])
    assert again.scores["RandomLossWeighting"] == scores[1]


def test_the_table_compares_with_the_best_rule_that_reads_no_loss_and_ends_with_a_verdict():
    result = compare(falling, RULES, seeds=20)
    assert result.reference == "fixed:1,3"
    header, _, first, second, _, *under = str(result).splitlines()
    assert header.split() == (
        [
            "rule",
            "n",
            "mean",
            "[95",
            "%",
            "interval]",
            "IQM",
            "difference",
            "to",
            "fixed:1,3",
            "[95",
            "%]",
            "P(better)",
            "[95",
            "%]",
        ]
    )
    assert first.split()[:2] == ["fixed:1,3", "20"]
    assert second.split()[:2] == ["equal", "20"]
    difference = result.benchmark.rows[2].difference
    assert difference.value == pytest.approx(1.095)
    assert under[-1].startswith("Verdict: softadapt is worse than fixed:1,3 by 1.095 [")
    assert under[-1].endswith("(n = 20): use fixed:1,3.")


def test_the_better_score_may_be_the_higher_one_and_the_reference_a_rule_of_choice():
    result = compare(falling, RULES, seeds=20, minimize=False, reference="fixed:1,3")
    assert [row.label for row in result.benchmark.rows] == ["equal", "softadapt", "fixed:1,3"]
    assert "equal, the best of 2 rules, is better than fixed:1,3" in result.verdict
    assert "confirm it with other seeds" in result.verdict


def test_the_reference_may_read_losses():
    result = compare(falling, RULES, seeds=20, reference="softadapt")
    assert result.reference == "softadapt"
    assert "fixed:1,3, the best of 2 rules, is better than softadapt by 1.095" in result.verdict


def test_other_figures_are_shown_by_their_means():
    def several(rule, seed):
        return {
            "score": torch.tensor(seed / 3, requires_grad=True),
            "accuracy": np.float32(seed),
            "loss": 1,
        }

    result = compare(several, ["equal"], seeds=[2, 4])
    header, _, row, *_ = str(result).splitlines()
    assert header.split()[-2:] == ["accuracy", "loss"]
    assert row.split()[-2:] == ["3", "1"]


@pytest.mark.parametrize("kept", [True, False])
def test_the_error_of_a_call_is_one_line_with_rule_and_seed_and_finished_runs_stay(tmp_path, kept):
    def fails(rule, seed):
        if seed == 1 and isinstance(rule, SoftAdapt):
            raise ZeroDivisionError("the batch\nis empty")
        return seed

    output = tmp_path / "out" if kept else None
    with pytest.raises(TrainError) as caught:
        compare(fails, RULES, seeds=3, output=output)
    assert str(caught.value) == (
        "train failed with rule 'softadapt' and seed 1: ZeroDivisionError: the batch is empty"
    )
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    if kept:
        assert len(lines_of(output)) == 1 + 5
        assert "5 finished runs are kept in" in caught.value.__notes__[0]


@pytest.mark.parametrize("returned", [None, "0.5 %", {"loss": 1.0}, {"score": "x"}, torch.ones(2)])
def test_what_is_no_score_is_refused_in_one_line(returned):
    def gives(rule, seed):
        return returned

    with pytest.raises(
        TrainError, match=r"^train failed with rule 'equal' and seed 0: it"
    ) as error:
        compare(gives, ["equal"], seeds=1)
    assert "\n" not in str(error.value)
    assert "expected" in str(error.value)


def diverging(rule, seed):
    if isinstance(rule, SoftAdapt) and seed in (1, 3):
        return {"score": float("nan"), "steps": float("inf")}
    return {"score": falling(rule, seed), "steps": 7}


@pytest.mark.parametrize(("worst", "counts", "words"), [(None, 6.9, "any run"), (9.0, 9.0, "says")])
def test_failed_runs_are_counted_shown_and_worse_than_all_others(tmp_path, worst, counts, words):
    result = compare(diverging, RULES, seeds=20, output=tmp_path, worst=worst)
    row = result.benchmark.rows[-1]
    assert row.label == "softadapt"
    expected = [counts if seed in (1, 3) else falling(None, seed) for seed in range(20)]
    assert row.mean.value == pytest.approx(np.mean(expected))
    assert row.difference.value == pytest.approx(
        np.mean([value - falling(Fixed([1, 3]), seed) for seed, value in enumerate(expected)])
    )
    assert "20 (2 failed)" in str(result)
    (line,) = [line for line in str(result).splitlines() if line.startswith("Failed runs")]
    assert "softadapt 2 of 20" in line
    assert words in line
    stored = json.loads((tmp_path / "results.json").read_text(), parse_constant=pytest.fail)
    found = {each["rule"]: each for each in stored["rows"]}["softadapt"]
    assert found["failed"] == 2
    assert found["scores"].count(None) == 2
    assert np.isnan(result.scores["softadapt"]).sum() == 2
    again = compare(diverging, RULES, seeds=20, output=tmp_path, worst=worst)
    assert str(again) == str(result)


@pytest.mark.parametrize("minimize", [True, False])
def test_a_failed_run_is_worse_than_the_worst_score(minimize):
    def one_fails(rule, seed):
        return float("nan") if isinstance(rule, SoftAdapt) and seed == 1 else 2.0

    row = compare(one_fails, ["equal", "softadapt"], seeds=2, minimize=minimize).benchmark.rows[1]
    assert row.difference.value == 0  # it counts as 2, the worst score here
    assert row.improvement.value == 0.25  # a tie, and the one that failed


def test_with_no_finite_score_at_all_or_one_below_the_worst_there_is_no_table():
    with pytest.raises(ValueError, match="every run failed"):
        compare(lambda rule, seed: float("inf"), ["equal"], seeds=2)
    with pytest.raises(ValueError, match=r"worst=2.0: a run has the score 5.1, which is worse"):
        compare(falling, ["equal"], seeds=2, worst=2.0)


def test_few_seeds_are_said_to_be_few():
    assert "4 seeds: intervals of fewer than 5 are not to be trusted." in str(
        compare(falling, RULES, seeds=4)
    )
    assert "not to be trusted" not in str(compare(falling, RULES, seeds=5))
    assert "give more seeds" in compare(falling, RULES, seeds=1).verdict


def test_small_scores_have_the_decimals_that_tell_them_apart():
    result = compare(lambda rule, seed: falling(rule, seed) * 1e-6, RULES, seeds=20)
    assert "0.0000059" in str(result)


def test_rules_without_a_reference_are_ranked_and_the_verdict_says_how_to_get_one():
    result = compare(falling, ["softadapt", "dwa"], seeds=3)
    assert result.reference is None
    assert "add 'equal' to rules, or say reference=" in result.verdict


def test_anything_may_stand_under_a_name():
    given = {"steps": [1, 2]}

    def look(rule, seed):
        if rule is None:
            return 1.0
        rule["steps"].append(3)
        return len(rule["steps"])

    result = compare(look, {"plain": None, "mine": given}, seeds=2)
    assert result.reference == "plain"
    np.testing.assert_array_equal(result.scores["mine"], [3, 3])
    assert given == {"steps": [1, 2]}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"rules": []}, "at least one"),
        ({"rules": "equal"}, "a list"),
        ({"rules": ["eqal"]}, "did you mean 'equal'"),
        ({"rules": ["1:3"]}, "a policy of environments"),
        ({"rules": ["softadapt:pair"]}, "draws pairs"),
        ({"rules": [GradNorm]}, r"an object, GradNorm\(\)"),
        ({"rules": [3]}, "has no name"),
        ({"rules": ["equal", "equal"]}, "two are named 'equal'"),
        ({"rules": [{"": "equal"}]}, "no text"),
        ({"rules": ["equal"], "seeds": 0}, "expected how many"),
        ({"rules": ["equal"], "seeds": [1, 1]}, "different whole numbers"),
        ({"rules": ["equal"], "seeds": 2.5}, "expected how many"),
        ({"rules": ["equal"], "seeds": [-1]}, "from 0 to"),
        ({"rules": ["equal"], "reference": "equl"}, "did you mean 'equal'"),
        ({"rules": ["equal"], "num_workers": 0}, "num_workers=0"),
        ({"rules": ["equal"], "worst": float("inf")}, "a finite number"),
        ({"rules": [{"a": (each for each in ())}]}, "cannot be copied"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line_before_anything_runs(arguments, expected):
    with pytest.raises(ValueError, match=expected) as error:
        compare(lambda rule, seed: pytest.fail("it was run"), **arguments)
    assert "\n" not in str(error.value)


def test_what_cannot_be_sent_to_other_processes_is_refused_in_one_line():
    with pytest.raises(ValueError, match=r"train cannot be sent to other processes .*in a module"):
        compare(lambda rule, seed: 1.0, ["equal"], num_workers=2)


def train_until_three(rule, seed):
    if seed == 3:
        raise KeyError("no such part")
    return train(rule, seed)


def test_two_processes_give_the_scores_of_one_and_errors_of_theirs_are_chained(tmp_path):
    alone = compare(train, RULES, seeds=3)
    with pytest.raises(TrainError, match="seed 3: KeyError: 'no such part'") as caught:
        compare(train_until_three, RULES, seeds=4, num_workers=2, output=tmp_path)
    assert "in train_until_three" in str(caught.value.__cause__)
    together = compare(train_until_three, RULES, seeds=3, output=tmp_path)
    for label in RULES:
        np.testing.assert_array_equal(alone.scores[label], together.scores[label])
    assert len(lines_of(tmp_path)) == 1 + 9


def test_without_matplotlib_the_figure_alone_is_missing(tmp_path, monkeypatch):
    result = compare(falling, RULES, seeds=3)
    assert result.save(tmp_path / "all")[-1].stat().st_size > 10_000
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        paths = result.save(tmp_path / "none")
    assert "pip install 'autoloss_gym[agents]'" in str(caught[0].message)
    assert [path.name for path in paths] == ["table.txt", "table.md", "results.json", "results.csv"]
    assert str(result) in (tmp_path / "none" / "table.txt").read_text()
