"""Runs that collapse end, and the images of tasks that make some."""

import math

import gymnasium
import jaxtyping
import numpy as np
import pytest
import torch

from autoloss_gym.core.task import Control, Evaluation
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.signals.history import History
from tests.support.recording import play
from tests.support.toy_tasks import SMALL, Painter, TwoBlocks

RAISE, LOWER = 0, 1
each_mode = pytest.mark.parametrize("mode", ["SameStep", "NextStep"])


@pytest.fixture
def as_users_have_it(monkeypatch):
    """Without the checks of annotations that `conftest` installs, which would refuse bad types
    before the package.
    """
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def ends(task, actions, mode="SameStep", **arguments) -> dict[int, bool]:
    """The steps at which a single run ends, and whether it had collapsed; `actions` are pairs, or
    weights of both.
    """
    envs = AutoLossVectorEnv(task, 1, autoreset_mode=mode, **arguments)
    envs.reset(seed=0)
    found = {}
    for step, action in enumerate(actions, start=1):
        weights = torch.eye(2)[action] if isinstance(action, int) else torch.tensor(action)
        control = Control(weights=weights[None], step_size=torch.ones(1))
        _, _, ended, _, infos = envs.step_control(control)
        if ended[0]:
            found[step] = bool(infos.get("final_info", infos)["collapsed"][0])
    return found


# One pair alone


@each_mode
@pytest.mark.parametrize(("repeats", "end"), [(1, 4), (4, 4), (5, 8), (8, 8), (9, 12)])
def test_one_pair_alone_for_too_long_ends_the_run_at_the_next_validation(repeats, end, mode):
    for pair in (RAISE, LOWER):
        assert ends(Painter(collapse_repeats=repeats), [pair] * end, mode) == {end: True}


def test_a_run_that_has_collapsed_ends_also_where_another_pair_follows():
    assert ends(Painter(collapse_repeats=5), [RAISE] * 5 + [LOWER] * 3) == {8: True}


def test_without_the_rule_a_single_pair_ends_nothing_before_the_budget():
    assert ends(Painter(), [RAISE] * 24) == {24: False}


@each_mode
def test_alternating_pairs_never_collapse(mode):
    assert ends(Painter(collapse_repeats=2), [RAISE, LOWER] * 12, mode) == {24: False}
    assert ends(Painter(collapse_repeats=3), [RAISE, RAISE, LOWER, LOWER] * 6, mode) == {24: False}


@pytest.mark.parametrize("both", [(1.0, 1.0), (1.0, 1e-6)])
def test_weights_on_several_pairs_do_not_count_and_break_a_row(both):
    assert ends(Painter(collapse_repeats=1), [both] * 24) == {24: False}
    assert ends(Painter(collapse_repeats=4), [*[RAISE] * 3, both, *[RAISE] * 3, both] * 3) == {
        24: False
    }


def test_the_size_of_a_weight_does_not_matter():
    assert ends(Painter(collapse_repeats=4), [(2.0, 0.0), (0.5, 0.0), (1.0, 0.0), (3.0, 0.0)]) == {
        4: True
    }


def test_updates_that_use_no_pair_neither_count_nor_break_a_row():
    nothing = (0.0, 0.0)
    assert (
        ends(
            Painter(collapse_repeats=4),
            [RAISE, RAISE, nothing, nothing, RAISE, LOWER, nothing, nothing],
        )
        == {}
    )
    assert ends(
        Painter(collapse_repeats=4), [RAISE, RAISE, nothing, nothing, RAISE, RAISE, nothing, LOWER]
    ) == {8: True}


def test_a_repeated_control_counts_every_update():
    assert ends(Painter(collapse_repeats=4), [RAISE] * 2, repeat=2) == {2: True}
    assert ends(Painter(collapse_repeats=5), [RAISE, RAISE, LOWER, RAISE], repeat=2) == {}
    assert ends(Painter(collapse_repeats=5), [RAISE] * 4, repeat=2) == {4: True}


@each_mode
def test_the_next_episode_counts_from_its_beginning(mode):
    """In NextStep mode a step between the two is ignored: it only resets."""
    between = [RAISE] if mode == "NextStep" else []
    first, last = [RAISE] * 4, 8 + len(between)
    assert ends(Painter(collapse_repeats=4), [*first, *between, *[RAISE] * 3, LOWER], mode) == {
        4: True
    }
    assert ends(Painter(collapse_repeats=4), [*first, *between, *[RAISE] * 4], mode) == {
        4: True,
        last: True,
    }


def test_a_reset_of_one_run_clears_its_row_and_leaves_its_neighbours():
    envs = AutoLossVectorEnv(Painter(collapse_repeats=4), 2)
    play(envs, [[RAISE, RAISE]] * 3)
    envs.reset(options={"reset_mask": np.array([True, False])})
    ended = [
        envs.step(np.array([pair, RAISE]))[2].tolist() for pair in (RAISE, LOWER, LOWER, LOWER)
    ]
    assert ended == [[False, True], [False, False], [False, False], [False, False]]


def test_idle_runs_are_not_counted():
    measured = Evaluation(
        losses=torch.zeros(3, 2), gradient_norms=torch.zeros(3, 2), measured=torch.ones(3, 2).bool()
    )
    history = History.start(measured, torch.zeros(3, 1), memory=0)
    for weights in (
        [[1, 0], [0, 1], [1, 0]],
        [[1, 0], [0, 1], [0, 0]],
        [[1, 0], [1, 0], [1, 0]],
        [[0, 0], [1, 1], [0, 0]],
    ):
        history.record_repeats(torch.tensor(weights, dtype=torch.float32), limit=3)
    assert history.repeats.tolist() == [3, 0, 2]
    assert history.alone.tolist() == [[True, False], [False, False], [True, False]]
    assert history.collapsed.tolist() == [True, False, False]


# A metric that falls behind its best

UP, DOWN, REST = (
    [RAISE] * 4,
    [LOWER] * 4,
    [RAISE, LOWER, RAISE, LOWER],
)  # from one validation to the next


@each_mode
@pytest.mark.parametrize(
    ("share", "minimize", "rises", "end"),
    [
        (0.7, False, [UP, REST, DOWN, UP], 12),  # 12, 12, 8
        (0.6, False, [UP, DOWN], None),  # 12, 8: two thirds are left
        (0.6, False, [UP, DOWN, DOWN], 12),  # 12, 8, 4
        (0.6, False, [DOWN], 4),  # 8 at the start, then 4
        (0.4, False, [DOWN, UP, UP, DOWN], None),  # 4, 8, 12, 8
        (0.7, True, [UP], 4),  # 8 at the start, then 12
        (0.6, True, [UP, REST], None),  # the best, 8, is two thirds of 12
        (0.6, True, [DOWN, UP], 8),  # 4, 8
        (0.4, True, [UP, DOWN, DOWN, UP], None),  # 12, 8, 4, 8
    ],
)
def test_a_metric_that_falls_behind_a_share_of_its_best_ends_the_run(
    share, minimize, rises, end, mode
):
    actions = [pair for rise in rises for pair in rise]
    assert ends(Painter(minimize=minimize, collapse_share=share), actions[:end], mode) == (
        {end: True} if end else {}
    )


def test_either_rule_is_enough():
    both = Painter(collapse_repeats=6, collapse_share=0.7)
    assert ends(both, [*UP, *DOWN]) == {8: True}
    assert ends(both, [*UP, *REST, *UP[:2], LOWER, *UP]) == {}
    both = Painter(collapse_repeats=6, collapse_share=0.1)
    assert ends(both, [*REST, *DOWN, *DOWN]) == {12: True}


def test_the_figures_of_a_collapsed_run_are_those_of_its_last_step_and_its_best_validation():
    envs = AutoLossVectorEnv(Painter(collapse_share=0.7), 2)
    *_, last = play(envs, [*[[RAISE, RAISE]] * 4, *[[LOWER, RAISE]] * 4])
    assert last["terminations"].tolist() == [True, False]
    assert last["final collapsed"][0]
    assert (last["final score"][0], last["final best_score"][0], last["final steps"][0]) == (
        8,
        12,
        8,
    )
    assert not last["final diverged"][0]
    assert last["steps"].tolist() == [0, 8]


def test_a_run_that_diverges_has_not_collapsed():
    class Breaks(Painter):
        def validation_values(self, parameters, data):
            return torch.where(parameters["brightness"] > 11, math.nan, parameters["brightness"])

    *_, last = play(AutoLossVectorEnv(Breaks(collapse_repeats=2), 2), [[RAISE, LOWER]] * 4)
    assert last["final diverged"].tolist() == [True, False]
    assert last["final collapsed"].tolist() == [False, True]


def test_a_single_environment_says_that_it_has_collapsed():
    env = gymnasium.make("Toy/Painter-v0", collapse_repeats=4)
    env.reset(seed=0)
    infos = [env.step(RAISE)[4] for _ in range(4)]
    assert [info.get("collapsed") for info in infos] == [None, None, None, True]


def test_runs_that_collapse_get_the_same_bits_as_alone():
    actions = np.random.default_rng(0).integers(2, size=(60, 5))
    task = Painter(collapse_repeats=4, collapse_share=0.8)
    together = play(AutoLossVectorEnv(task, 5), actions)
    assert sum(record["terminations"].sum() for record in together[1:]) > 10
    for i in range(5):
        alone = play(AutoLossVectorEnv(task, 1), actions[:, i : i + 1])
        for one, other in zip(together[1:], alone[1:], strict=True):
            for name in ("terminations", "rewards", "steps"):
                assert one[name][i] == other[name][0], name


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"collapse_repeats": -1}, "collapse_repeats=-1: expected an integer of at least 0"),
        ({"collapse_repeats": 2.5}, "collapse_repeats=2.5: expected an integer"),
        ({"collapse_share": "high"}, "collapse_share='high': expected a number"),
        (
            {"collapse_share": float("nan")},
            r"collapse_share=nan: expected a number of at least 0 and below 1",
        ),
        (
            {"collapse_share": 1.5},
            r"collapse_share=1.5: expected a number of at least 0 and below 1",
        ),
    ],
)
def test_bad_rules_are_refused_in_one_line(arguments, expected, as_users_have_it):
    with pytest.raises(ValueError, match=expected) as caught:
        gymnasium.make("Toy/Painter-v0", **arguments)
    assert "\n" not in str(caught.value)


# Images


@pytest.mark.parametrize("array", ["numpy", "torch"])
def test_samples_are_the_images_of_the_models_as_they_are(array):
    envs = AutoLossVectorEnv(Painter(), 2, array=array)
    envs.reset(seed=0)
    for _ in range(2):
        envs.step(np.array([RAISE, LOWER]))  # brightnesses 10 and 6
    images = torch.as_tensor(envs.samples(3)).numpy()
    assert (images.shape, images.dtype) == ((2, 3, 2, 3, 1), np.float32)
    assert (images[0, 1, :, :, 0] * 32).tolist() == [[11, 12, 13], [12, 13, 14]]
    assert (images[1, 0, :, :, 0] * 32).tolist() == [[6, 7, 8], [7, 8, 9]]
    assert tuple(envs.samples().shape) == (2, 16, 2, 3, 1)


def test_samples_change_nothing_and_may_be_overwritten():
    first, twin = (AutoLossVectorEnv(Painter(), 2) for _ in range(2))
    for envs in (first, twin):
        envs.reset(seed=0)
    for action in np.random.default_rng(0).integers(2, size=(30, 2)):
        first.samples(4)[:] = -1
        for one, other in zip(first.step(action)[:3], twin.step(action)[:3], strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(first.samples(4), twin.samples(4))


@pytest.mark.parametrize("task", [SMALL, TwoBlocks()])
def test_a_task_without_images_has_no_samples(task):
    with pytest.raises(
        ValueError, match=r"makes neither images nor translations: .* an ImageTask or a TextTask$"
    ):
        AutoLossVectorEnv(task, 1).samples()


@pytest.mark.parametrize("count", [0, -1, 2.5, "4"])
def test_a_bad_number_of_samples_is_refused_in_one_line(count, as_users_have_it):
    with pytest.raises(
        ValueError, match=rf"^count={count!r}: expected an integer of at least 1 and"
    ):
        AutoLossVectorEnv(Painter(), 1).samples(count)
