"""The sentence that says what to use."""

import numpy as np
import pytest

from agents.evaluation.reports.verdict import verdict
from agents.evaluation.rows import Benchmark, Row
from agents.evaluation.statistics import bootstrap, interquartile_mean, paired_difference
from autoloss_gym.core.task import Metric

PROBLEMS = np.linspace(0, 1, 40)
REFERENCE = 10 + PROBLEMS


def row(label, scores, kind="rule", seeds=1, chosen=None, training_runs=0, constants=0):
    """A row of a "static" schedule, a "rule", a "trained" policy, or what is none of them."""
    figures = np.tile(np.asarray(scores, dtype=float), (seeds, 1))
    return Row(
        label=label,
        static=kind == "static",
        reactive=kind in ("rule", "trained"),
        trained=kind == "trained",
        figures=figures,
        last_scores=figures,
        others={},
        mean=bootstrap(figures),
        interquartile_mean=bootstrap(figures, interquartile_mean),
        difference=None,
        improvement=None,
        chosen=chosen,
        shares=np.full((5, 2), 0.5),
        diverged=0.0,
        collapsed=0.0,
        training_runs=training_runs,
        constants=constants,
    )


def judge(*rows, reference="fixed:2", minimize=True, noun="problems"):
    baseline = [each.figures for each in rows if each.label == reference]
    for each in rows:
        if baseline and each.label != reference:
            each.difference = paired_difference(each.figures, baseline[0])
    ordered = sorted(rows, key=lambda each: each.mean.value * (1 if minimize else -1))
    instances = np.arange(rows[0].figures.shape[1])
    reference = reference if baseline else None
    return verdict(
        Benchmark(ordered, Metric("risk", minimize), reference, instances, ["a", "b"], noun)
    )


def fixed(scores=REFERENCE, constants=20, **more):
    """The best of several constants."""
    return row("fixed:2", scores, "static", constants=constants, **more)


@pytest.mark.parametrize("minimize", [True, False])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_trained_policy_that_is_clearly_apart_is_used_or_not_in_the_metrics_direction(
    sign, minimize
):
    ppo = row("ppo", REFERENCE + sign * (0.1 + 0.1 * PROBLEMS), "trained", seeds=5)
    better = (sign < 0) == minimize
    sentence = judge(fixed(), ppo, minimize=minimize)
    low, high = sorted([abs(ppo.difference.low), abs(ppo.difference.high)])
    word, used = ("better", "ppo") if better else ("worse", "fixed:2")
    assert sentence == (
        f"ppo is {word} than fixed:2 by 0.150 [{low:.3f}, {high:.3f}] (n = 5×40): use {used}."
    )


def test_what_cannot_be_told_apart_is_said_with_its_interval_and_the_simpler_one_is_used():
    noise = np.random.default_rng(0).normal(size=40)
    ppo = row("ppo", REFERENCE + noise - noise.mean() + 0.01, "trained", seeds=5)
    sentence = judge(fixed(), ppo)
    low, high = ppo.difference.low, ppo.difference.high
    assert low < 0 < high
    assert sentence == (
        f"ppo shows no clear difference from fixed:2 (difference +0.010 [{low:+.3f}, {high:+.3f}], n = 5×40): "
        "use the simpler one, fixed:2."
    )


def test_equal_scores_cannot_be_told_apart():
    assert "shows no clear difference from fixed:2" in judge(fixed(), row("dwa", REFERENCE))


def test_trained_policies_are_judged_first_and_by_their_best():
    rows = [
        row("softadapt", REFERENCE + 0.1),
        row("ppo", REFERENCE + 0.3, "trained", 5),
        row("dqn", REFERENCE + 0.2, "trained", 5),
    ]
    sentence = judge(fixed(), *rows)
    assert sentence.startswith(
        "dqn, the best of 2 trained policies, is worse than fixed:2 by 0.200"
    )
    assert sentence.endswith(": use fixed:2.")


def test_the_winner_of_several_was_picked_by_the_scores_that_judge_it():
    rules = [row("softadapt", REFERENCE - 0.1), row("dwa", REFERENCE + 0.1)]
    sentence = judge(fixed(), *rules)
    assert sentence.startswith("softadapt, the best of 2 rules, is better than fixed:2 by 0.100")
    assert sentence.endswith(
        "use softadapt, but it was picked by these scores: confirm it with another --seed."
    )
    assert "picked" not in judge(fixed(), rules[0])


def test_a_rule_that_beats_the_reference_is_used_where_no_trained_policy_does():
    sentence = judge(
        fixed(), row("ppo", REFERENCE + 0.1, "trained", 5), row("dwa", REFERENCE - 0.2)
    )
    assert sentence.startswith("ppo is worse than fixed:2 by 0.100")
    assert "and dwa is better than it by 0.200" in sentence
    assert "use dwa," in sentence


def test_of_two_that_beat_the_reference_the_better_is_used():
    ppo = row("ppo", REFERENCE - 0.3, "trained", 5)
    assert judge(fixed(), ppo, row("dwa", REFERENCE - 0.2)).endswith(": use ppo.")
    assert "use dwa," in judge(fixed(), ppo, row("dwa", REFERENCE - 0.4))


def test_a_rule_that_is_not_clearly_better_than_the_reference_is_not_recommended():
    noise = np.random.default_rng(0).normal(size=40)
    rule = row("dwa", REFERENCE + noise - noise.mean() - 0.01)
    sentence = judge(fixed(), row("ppo", REFERENCE + 0.1, "trained", 5), rule)
    assert sentence.endswith(": use fixed:2.")


def test_too_few_training_seeds_or_problems_make_a_verdict_preliminary():
    ppo = row("ppo", REFERENCE[:8] + 0.1, "trained", seeds=2)
    sentence = judge(fixed(REFERENCE[:8]), ppo, noun="resamples")
    assert sentence.endswith(
        "use fixed:2 (preliminary: 2 training seeds, at least 5 are needed; "
        "8 resamples, at least 20 are needed)."
    )
    assert "(preliminary: 1 training seed, " in judge(fixed(), row("ppo", REFERENCE, "trained"))


def test_a_single_problem_has_no_verdict():
    sentence = judge(fixed(REFERENCE[:1]), row("dwa", REFERENCE[:1] - 1))
    assert sentence == "A single problem has no interval: give more --episodes for a verdict."


def test_where_nothing_was_compared_there_is_no_sentence():
    assert judge(fixed()) is None
    assert judge(row("dwa", REFERENCE)) is None


def test_without_a_static_schedule_one_is_asked_for():
    sentence = judge(row("dwa", REFERENCE), row("softadapt", REFERENCE))
    assert "add a static schedule" in sentence


def test_static_schedules_alone_leave_the_choice_to_validation():
    sentence = judge(fixed(chosen="fixed:4"), row("1:1", REFERENCE - 5, "static"))
    assert "use fixed:2 (fixed:4), which did best on validation problems." in sentence


def test_many_trainings_a_problem_or_more_data_are_no_fair_winner():
    sentence = judge(fixed(), row("grid_each", REFERENCE - 1, "other"))
    assert "use fixed:2" in sentence
    assert "grid_each" not in sentence


def test_small_differences_keep_two_digits():
    sentence = judge(fixed(), row("dwa", REFERENCE + 0.00012))
    assert "by 0.00012 [0.00012, 0.00012]" in sentence


def test_what_both_sides_cost_is_said_where_something_was_trained():
    ppo = row("ppo", REFERENCE + 1, "trained", seeds=5, training_runs=1280)
    sentence = judge(fixed(training_runs=1075, chosen="fixed:4"), ppo)
    assert sentence == (
        "ppo is worse than fixed:2 (fixed:4) by 1.000 [1.000, 1.000] "
        "(n = 5×40; training runs: ppo 1,280 a seed, fixed:2 1,075): use fixed:2 (fixed:4)."
    )
    assert "ppo 1,280, fixed:2 0)" in judge(
        fixed(), row("ppo", REFERENCE - 1, "trained", training_runs=1280)
    )
    assert "training runs" not in judge(fixed(training_runs=9), row("dwa", REFERENCE + 1))


def test_a_trained_policy_is_not_recommended_before_it_has_met_several_constants():
    ppo = row("ppo", REFERENCE - 1, "trained", seeds=5)
    sentence = judge(fixed(constants=0), ppo)
    assert sentence.startswith("ppo is better than fixed:2 by 1.000")
    assert sentence.endswith(
        "but met no search of constants: add constant:20 to --policies before you use it."
    )
    assert "use ppo" in judge(
        fixed(constants=0), ppo, row("grid", REFERENCE, "static", constants=20)
    )
    assert "add constant:20" in judge(fixed(constants=2), ppo)


def test_a_loss_against_what_is_no_search_says_that_constants_are_missing():
    sentence = judge(fixed(constants=0), row("ppo", REFERENCE + 1, "trained", seeds=5))
    assert sentence.endswith(
        "use fixed:2 (preliminary: no constants were searched, add constant:20 to --policies)."
    )


def test_rules_need_no_search_of_constants():
    assert "constant:20" not in judge(fixed(constants=0), row("dwa", REFERENCE - 1))
