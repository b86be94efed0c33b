"""Mixtures of pairs in given proportions, and mixtures that end with the first pair alone."""

import numpy as np
import pytest

from agents.evaluation.entrants import make_entrant
from agents.evaluation.rollout import rollout
from agents.policies.grammar import parse_specification
from autoloss_gym.controllers.policies.fine_tuned import FineTuned
from autoloss_gym.controllers.policies.static import RandomPair
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from tests.support.toy_tasks import SMALL, TwoBlocks

SPLIT = QuadraticRegression(penalty="split")


def entrant(text, task=SMALL):
    return make_entrant(parse_specification(text), task, "")


def choices(policy, step, runs=20_000):
    """The choices of many runs at that step."""
    policy.reset(np.arange(runs))
    return policy.act(np.zeros((runs, 1), np.float32), {"steps": np.full(runs, step)}).choice


def test_numbers_in_proportion_are_probabilities_and_the_label_stays_what_was_written():
    text = "random:102736:23999:40175"  # of sentences in the paper, 166,910 together
    (policy,) = entrant(text, SPLIT).candidates
    assert isinstance(policy, RandomPair)
    assert policy.probabilities == pytest.approx((0.615517, 0.143784, 0.240699), abs=1e-6)
    assert (policy.label, entrant(text, SPLIT).label, policy.static) == (text, text, True)


def test_numbers_in_proportion_draw_as_their_probabilities_do():
    (written,), (same,) = (entrant(text).candidates for text in ("random:1:3", "random:0.25"))
    assert (choices(written, 0) == choices(same, 0)).all()


def test_a_fine_tuned_mixture_is_drawn_for_its_share_of_the_training_and_ends_with_the_first_pair():
    (policy,) = entrant("fine_tuned:1:1:2,0.3", TwoBlocks(max_steps=21)).candidates
    assert (policy.label, policy.static) == ("fine_tuned:1:1:2,0.3", True)
    for step in (0, 5):
        counts = np.bincount(choices(policy, step), minlength=3)
        np.testing.assert_allclose(counts / 20_000, [0.25, 0.25, 0.5], atol=0.015)
    for step in (6, 19, 100):
        assert not choices(policy, step).any()


@pytest.mark.parametrize(("share", "mixed"), [("0", 0), ("1", 12), ("0.5", 6)])
def test_the_share_is_of_the_updates_of_the_task(share, mixed):
    """Of the two blocks, b alone is trained by `right`: its share is 0 where none is drawn."""
    (policy,) = entrant(f"fine_tuned:1e-9:1e9:1e-9,{share}", TwoBlocks()).candidates
    (episodes,) = rollout(
        [policy], lambda num_envs, **more: AutoLossVectorEnv(TwoBlocks(), num_envs), np.arange(2)
    )
    np.testing.assert_array_equal(episodes.shares[:, 1], [1] * mixed + [0] * (12 - mixed))
    np.testing.assert_array_equal(episodes.shares[:, 0], [0] * mixed + [1] * (12 - mixed))


def test_without_a_share_five_are_tried_on_validation_problems_and_each_label_can_be_given_again():
    found = entrant("fine_tuned:3:1")
    assert (found.mode, found.static, found.label) == ("tuned", True, "fine_tuned:3:1")
    assert [policy.share for policy in found.candidates] == [0.2, 0.4, 0.5, 0.6, 0.8]
    for policy in found.candidates:
        assert entrant(policy.label).candidates == [policy]


def test_choices_are_a_function_of_the_seed_not_of_the_batch_and_go_on_from_a_stored_state():
    together, alone, later = (FineTuned("f", (0.5, 0.5), 0.5, 100) for _ in range(3))
    together.reset(np.arange(8))
    alone.reset(np.array([5]))
    later.reset(np.array([5]))
    drawn = []
    for step in range(50):
        if step == 20:
            later.load_state_dict(alone.state_dict())
        infos = {"steps": np.full(1, step)}
        one = alone.act(np.zeros((1, 1)), infos).choice[0]
        assert together.act(np.zeros((8, 1)), {"steps": np.full(8, step)}).choice[5] == one
        if step >= 20:
            assert later.act(np.zeros((1, 1)), infos).choice[0] == one
        drawn.append(int(one))
    assert set(drawn) == {0, 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("random:1:0", "random:R1:R2:… with a positive number for each pair .0 is not in"),
        ("random:1:-2", "-2 is not in the range"),
        ("random:1:", "'' is not a number"),
        ("random:1:nan", "'nan' is not a number"),
        ("random:1:inf", "inf is not in the range"),
        ("random:1:2,3", "'2,3' is not a number"),
        ("fine_tuned", "expected fine_tuned:R1:R2:…"),
        ("fine_tuned:2", "a number for each of at least two pairs"),
        ("fine_tuned:1:2,", "SHARE from 0 to 1 .'' is not a number"),
        ("fine_tuned:1:2,1.5", "1.5 is not in the range 0 to 1"),
        ("fine_tuned:1:0,0.5", "0 is not in the range"),
        ("fine_tune:1:2", "did you mean 'fine_tuned'"),
    ],
)
def test_bad_numbers_are_one_line(text, expected):
    with pytest.raises(ValueError, match=expected) as caught:
        parse_specification(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["random:1:2", "fine_tuned:1:2", "fine_tuned:1:2,0.5"])
def test_there_is_a_number_for_each_pair_of_the_task(text):
    with pytest.raises(ValueError, match="has 2 parts, but the task has 3 pairs: mse, l1_linear"):
        entrant(text, SPLIT)
    assert len(entrant(text).candidates) in (1, 5)
