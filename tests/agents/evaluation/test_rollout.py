"""Paired rollouts and the benchmark built on them."""

import gymnasium
import numpy as np
import pytest

from agents.environments import EnvironmentMaker
from agents.evaluation import batches
from agents.evaluation.comparison import _best_of_each, run_benchmark
from agents.evaluation.entrants import Entrant, make_entrants
from agents.evaluation.rollout import Episodes, in_processes, rollout
from agents.evaluation.store import EpisodeStore
from agents.evaluation.workers import worker_processes
from agents.policies import search_plan
from agents.policies.grammar import parse_specification
from autoloss_gym.controllers.policies.loss_schedule import LossSchedule
from autoloss_gym.controllers.policies.open_loop import OpenLoop
from autoloss_gym.controllers.policies.static import FixedWeights, RandomPair, Ratio
from autoloss_gym.controls.schedule import Schedule

ID = "AutoLoss/QuadraticRegression-v1"
SMALL = {"dimension": 4, "num_samples": 20, "max_steps": 40, "learning_rate": 0.03}


def make_env(split="validation", **task):
    return lambda num_envs, **more: gymnasium.make_vec(
        ID, num_envs=num_envs, split=split, **(SMALL | task | more)
    )


def policies():
    return [
        Ratio("1:1", (1, 1)),
        RandomPair("random", (0.3, 0.7)),
        FixedWeights("fixed", (1.0, 2.0)),
    ]


def test_every_policy_meets_the_same_problems_and_seeds_decide_which():
    first, second, third = rollout(policies(), make_env(), np.arange(5))
    np.testing.assert_array_equal(first.figures["instance"], second.figures["instance"])
    np.testing.assert_array_equal(first.figures["instance"], third.figures["instance"])
    (moved,) = rollout(policies()[:1], make_env(), np.arange(1, 6))
    np.testing.assert_array_equal(first.figures["instance"][1:], moved.figures["instance"][:-1])
    assert len(set(first.figures["instance"])) == 5


def test_results_do_not_depend_on_the_company_or_the_size_of_the_batch():
    together = rollout(policies(), make_env(), np.arange(7))
    alone = [rollout([policy], make_env(), np.arange(7))[0] for policy in policies()]
    pieces = rollout(policies(), make_env(), np.arange(7), most_runs=6)  # two problems a batch
    for one, other, piece in zip(together, alone, pieces, strict=True):
        np.testing.assert_array_equal(one.best_scores, other.best_scores)
        np.testing.assert_array_equal(one.best_scores, piece.best_scores)
        np.testing.assert_allclose(one.shares, piece.shares)


@pytest.mark.parametrize("patience", [0, 2])
def test_policies_that_are_known_in_advance_give_the_same_bits_as_step_by_step(
    monkeypatch, patience
):
    schedule = Schedule(weights=((1.0, 2.0), (3.0, 1.0)), step_size=(3.0, 0.3))
    known = [
        *policies(),
        OpenLoop("open", ((0.2, 0.8), (0.9, 0.1)), 40),
        LossSchedule("weights", schedule, 40),
        LossSchedule("draws", schedule, 40, draw=True),
    ]
    env = make_env(patience=patience)
    at_once = rollout(known, env, np.arange(3))
    monkeypatch.setattr(batches, "is_known", lambda policy, envs: False)
    assert_same_episodes(at_once, rollout(known, env, np.arange(3)))


def test_two_processes_play_what_one_plays():
    maker = EnvironmentMaker(ID, {**SMALL, "split": "validation"})
    alone = rollout(policies(), maker, np.arange(7))
    with worker_processes(2) as pool:
        together = rollout(
            policies(), maker, np.arange(7), play_batches=in_processes(pool), most_runs=12
        )
    for one, other in zip(alone, together, strict=True):
        for name, figures in one.figures.items():
            np.testing.assert_array_equal(figures, other.figures[name])
        np.testing.assert_allclose(one.shares, other.shares)


def test_only_the_first_episode_counts_where_runs_end_early():
    seeds = np.arange(6)
    early, late = rollout(
        [Ratio("fit", (1, 0)), Ratio("1:1", (1, 1))],
        make_env(patience=2, max_steps=200, learning_rate=0.3),
        seeds,
    )
    assert (early.figures["steps"] < 200).all()
    np.testing.assert_array_equal(early.figures["instance"], late.figures["instance"])
    assert early.shares[0, 0] == 1.0


def test_shares_are_the_mean_choices_at_every_step():
    (episodes,) = rollout([Ratio("3:1", (3, 1))], make_env(), np.arange(3))
    np.testing.assert_array_equal(episodes.shares[:8, 0], [1, 1, 1, 0, 1, 1, 1, 0])
    assert episodes.shares.shape == (40, 2)


def test_a_policy_that_needs_other_features_gets_an_environment_of_its_own():
    seen = []

    class Probe(Ratio):
        def act(self, observations, infos):
            seen.append(observations.shape[1])
            return super().act(observations, infos)

    rollout(
        [Probe("all", (1, 1)), Probe("few", (1, 1), env_arguments={"drop": ["losses"]})],
        make_env(),
        np.arange(2),
    )
    assert len(set(seen)) == 2


def benchmark(texts, episodes=8, split="test"):
    task = make_env()(num_envs=1).task
    entrants = make_entrants([parse_specification(text) for text in texts], task, ID)
    return run_benchmark(entrants, make_env, split, episodes, seed=0)


def test_the_tuned_grid_plays_its_best_candidate_of_the_validation_split():
    result = benchmark(["grid:5", "1:1"])
    row = next(row for row in result.rows if row.label == "grid:5")
    candidates = make_entrants([parse_specification("grid:5")], make_env()(num_envs=1).task, ID)[
        0
    ].candidates
    scores = [
        episodes.best_scores.mean()
        for episodes in rollout(candidates, make_env("validation"), np.arange(8))
    ]
    assert row.chosen == candidates[int(np.argmin(scores))].label
    (replayed,) = rollout([candidates[int(np.argmin(scores))]], make_env("test"), np.arange(8))
    np.testing.assert_allclose(row.figures[0], replayed.best_scores)


def test_the_reference_is_the_static_schedule_that_validation_prefers_and_never_an_adaptive_one():
    result = benchmark(["always:mse", "1:1", "softadapt", "grid_each:3"])
    scores = rollout(
        [Ratio("m", (1, 0)), Ratio("1:1", (1, 1))], make_env("validation"), np.arange(8)
    )
    expected = ("always:mse", "1:1")[
        int(np.argmin([episodes.best_scores.mean() for episodes in scores]))
    ]
    assert result.reference == expected
    assert next(row for row in result.rows if row.label == expected).difference is None


def test_differences_are_paired():
    result = benchmark(["always:mse", "1:1"])
    reference, other = sorted(result.rows, key=lambda row: row.difference is not None)
    assert other.difference.value == pytest.approx((other.figures - reference.figures).mean())


def test_grid_each_takes_for_every_problem_the_candidate_with_the_best_validation():
    result = benchmark(["grid_each:4"])
    candidates = make_entrants(
        [parse_specification("grid_each:4")], make_env()(num_envs=1).task, ID
    )[0].candidates
    played = rollout(candidates, make_env("test"), np.arange(8))
    winners = np.argmin([episodes.figures["best_validation"] for episodes in played], axis=0)
    expected = [played[winner].best_scores[problem] for problem, winner in enumerate(winners)]
    np.testing.assert_allclose(result.rows[0].figures[0], expected)
    assert len(set(winners)) > 1


def test_entrants_with_equal_labels_are_told_apart():
    labels = [entrant.label for entrant in make_entrants(
        [parse_specification(text) for text in ("random:0.3", "random:0.4")], make_env()(num_envs=1).task, ID
    )]  # fmt: skip
    assert labels == ["random:0.3", "random:0.4"]
    assert Entrant("a", [Ratio("1:1", (1, 1))]).static


def test_the_choice_is_never_made_on_the_problems_of_the_table():
    seen = []

    def recording(split):
        def make(num_envs, **more):
            envs = make_env(split)(num_envs, **more)
            reset = envs.reset
            envs.reset = lambda **arguments: (
                seen.append((split, tuple(arguments["seed"]))),
                reset(**arguments),
            )[1]
            return envs

        return make

    task = make_env()(num_envs=1).task
    entrants = make_entrants(
        [parse_specification(text) for text in ("1:1", "always:mse")], task, ID
    )
    run_benchmark(entrants, recording, "validation", 4, seed=0)
    (_, tuning), (_, table) = seen
    assert set(tuning).isdisjoint(table)


def test_grid_each_never_takes_a_run_that_diverged_for_its_validation():
    figures = {
        "best_validation": np.array([0.1]),
        "diverged": np.array([True]),
        "best_score": np.array([100.0]),
    }
    healthy = {
        "best_validation": np.array([5.0]),
        "diverged": np.array([False]),
        "best_score": np.array([7.0]),
    }
    runs = [Episodes(figures, np.zeros((1, 2))), Episodes(healthy, np.zeros((1, 2)))]
    assert _best_of_each(runs, minimize=True).best_scores == [7.0]


def test_grid_each_takes_the_greatest_metric_where_it_is_maximised():
    runs = [
        Episodes(
            {
                "best_validation": np.array([v]),
                "diverged": np.array([False]),
                "best_score": np.array([v]),
            },
            np.zeros((1, 2)),
        )
        for v in (0.2, 0.9, 0.5)
    ]
    assert _best_of_each(runs, minimize=False).best_scores == [0.9]


def test_runs_of_one_problem_are_not_called_problems():
    def fixed(split):
        return make_env(split, num_instances=1)

    task = make_env()(num_envs=1).task
    entrants = make_entrants([parse_specification("1:1")], task, ID)
    assert run_benchmark(entrants, fixed, "test", 5, seed=0).noun == "runs of 1 problems"
    assert benchmark(["1:1"]).noun == "problems"


# Episodes on disk

SHORT = make_env(max_steps=10)
TASK = SHORT(num_envs=1).task


def must_not_play(num_envs, **more):
    raise AssertionError("this batch is on disk")


def assert_same_episodes(one, other):
    for first, second in zip(one, other, strict=True):
        assert first.figures.keys() == second.figures.keys()
        for name, value in {**first.figures, "shares": first.shares}.items():
            got = {**second.figures, "shares": second.shares}[name]
            assert got.dtype == value.dtype, name
            np.testing.assert_array_equal(got, value, err_msg=name)


def test_episodes_on_disk_are_given_back_without_being_played(tmp_path):
    most = {"most_runs": 6}  # batches of two problems, and of one
    mixed = [
        *policies(),
        FixedWeights("elsewhere", (1.0, 0.0), env_arguments={"train_on_validation": True}),
    ]
    store, expected = (
        EpisodeStore(tmp_path, "validation", TASK),
        rollout(mixed, SHORT, np.arange(3)),
    )
    assert_same_episodes(rollout(mixed, SHORT, np.arange(3), store=store, **most), expected)
    done = []
    seeds = np.arange(3)
    again = rollout(mixed, must_not_play, seeds, lambda *counts: done.append(counts), store, **most)
    assert_same_episodes(again, expected)
    assert done[-1] == (12, 12)


@pytest.mark.parametrize(
    ("other", "seeds", "split"),
    [
        (FixedWeights("fixed", (1.0, 2.0)), np.arange(1, 4), "validation"),
        (FixedWeights("fixed", (1.0, 2.5)), np.arange(3), "validation"),
        (FixedWeights("fixed", (1.0, 2.0)), np.arange(3), "test"),
    ],
    ids=["seeds", "policy", "split"],
)
def test_episodes_of_other_policies_problems_or_splits_are_played(tmp_path, other, seeds, split):
    rollout(
        [FixedWeights("fixed", (1.0, 2.0))],
        SHORT,
        np.arange(3),
        store=EpisodeStore(tmp_path, "validation", TASK),
    )
    with pytest.raises(AssertionError, match="on disk"):
        rollout([other], must_not_play, seeds, store=EpisodeStore(tmp_path, split, TASK))


def test_after_a_kill_only_the_batches_that_are_not_on_disk_are_played(tmp_path):
    store, played = EpisodeStore(tmp_path, "validation", TASK), []

    def dies_in_the_third_batch(num_envs, **more):
        if len(played) == 2:
            raise KeyboardInterrupt
        played.append(num_envs)
        return SHORT(num_envs, **more)

    with pytest.raises(KeyboardInterrupt):
        rollout(policies(), dies_in_the_third_batch, np.arange(7), store=store, most_runs=6)

    def counted(num_envs, **more):
        played.append(num_envs)
        return SHORT(num_envs, **more)

    resumed = rollout(policies(), counted, np.arange(7), store=store, most_runs=6)
    assert played == [6, 6, 6, 3]
    expected = rollout(policies(), SHORT, np.arange(7))
    for one, other in zip(resumed, expected, strict=True):
        np.testing.assert_array_equal(one.best_scores, other.best_scores)


def test_a_policy_that_needs_diagnostics_gets_them_and_the_others_do_not():
    seen = []

    class Probe(Ratio):
        def act(self, observations, infos):
            seen.append((self.label, "fresh_losses" in infos, "fresh_validation" in infos))
            return super().act(observations, infos)

    rollout([Probe("a", (1, 1)), Probe("b", (1, 1), diagnostics=True)], SHORT, np.arange(2))
    assert set(seen) == {("a", False, False), ("b", True, True)}


def test_an_open_loop_schedule_is_searched_on_training_problems_and_chosen_on_validation_problems(
    monkeypatch,
):
    monkeypatch.setattr(search_plan, "_POPULATION", 8)
    monkeypatch.setattr(search_plan, "_FEWEST_PROBLEMS", 2)
    played = []

    def recording(split):
        def make(num_envs, **more):
            envs = make_env(split, max_steps=20)(num_envs, **more)
            reset = envs.reset
            envs.reset = lambda **given: (
                played.append((split, len(given["seed"]), set(given["seed"]))),
                reset(**given),
            )[1]
            return envs

        return make

    task = make_env(max_steps=20)(num_envs=1).task
    entrants = make_entrants(
        [parse_specification(text) for text in ("open_loop:2,48", "1:1")], task, ID
    )
    result = run_benchmark(entrants, recording, "test", 4, seed=0)
    assert [each[:2] for each in played] == [("train", 16)] * 3 + [
        ("validation", 4 * 3),
        ("test", 4 * 2),
    ]
    assert len(set.union(*(seeds for split, _, seeds in played if split == "train"))) == 6
    found = entrants[0].candidates
    assert [type(policy) for policy in found] == [OpenLoop] * 2
    scores = [
        each.best_scores.mean()
        for each in rollout(found, make_env(max_steps=20), np.array(sorted(played[3][2])))
    ]
    row = next(row for row in result.rows if row.label == "open_loop:2,48")
    assert row.chosen == found[int(np.argmin(scores))].label
    assert (row.training_runs, row.training_runs_each) == (48 + 2 * 4, 1)


def test_finished_batches_of_a_benchmark_are_kept_in_its_folder_and_taken_up_again(tmp_path):
    def play(make):
        task = make_env()(num_envs=1).task
        entrants = make_entrants(
            [parse_specification(text) for text in ("grid:3", "s1:1", "random:0.5")], task, ID
        )
        return run_benchmark(entrants, make, "test", 4, seed=0, folder=tmp_path / "episodes")

    def only_for_its_task(split):
        return lambda num_envs, **more: (
            make_env(split)(num_envs, **more) if num_envs == 1 else must_not_play(num_envs)
        )

    first, again = play(make_env), play(only_for_its_task)
    assert [(row.label, row.chosen, row.mean) for row in again.rows] == [
        (row.label, row.chosen, row.mean) for row in first.rows
    ]
    assert (
        len(list((tmp_path / "episodes").iterdir())) == 3
    )  # the choice, and the table without and with diagnostics
