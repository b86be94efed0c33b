"""The online controller, from what is written on the command line."""

import pytest

from agents.evaluation.entrants import make_entrant
from agents.policies.grammar import HELP, parse_specification
from autoloss_gym.controllers.online.settings import OnlineSettings
from autoloss_gym.controllers.policies.online_ppo import OnlinePPO
from autoloss_gym.tasks.supervised.mlp_classification import MLPClassification
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from tests.support.toy_tasks import SMALL, TwoBlocks

SPLIT = QuadraticRegression(penalty="split")


class SinglePair(TwoBlocks):
    @property
    def pairs(self):
        return super().pairs[:1]


def entrant(text, task=SMALL):
    return make_entrant(parse_specification(text), task, "")


def only(text, task=SMALL):
    (policy,) = entrant(text, task).candidates
    return policy


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("online_ppo", {}),
        ("online_ppo:", {}),
        ("online_ppo:buffer=2000,batch=64", {"buffer": 2000, "batch": 64}),
        ("online_ppo:epochs=4,window=3,floor=0.01", {"epochs": 4, "window": 3, "floor": 0.01}),
        ("online_ppo:learning_rate=1e-2,gamma=0.9", {"learning_rate": 0.01, "gamma": 0.9}),
        ("online_ppo:entropy=0,segment=10", {"entropy": 0.0, "segment": 10}),
    ],
)
def test_options_are_numbers_of_its_learning(text, expected):
    policy = only(text)  # it is validated every 5 updates
    assert isinstance(policy, OnlinePPO)
    assert policy.settings == OnlineSettings(**{"segment": 5, **expected})
    assert (policy.label, policy.static, entrant(text).static) == (text, False, False)


def test_it_goes_by_the_metric_that_decides_and_all_pairs():
    assert only("online_ppo", SPLIT).num_pairs == 3
    for task in (SMALL, MLPClassification()):
        assert only("online_ppo", task).metric == task.validation_metrics[0]


def test_the_default_buffer_and_that_of_the_paper_stand_in_the_help():
    shown = " ".join(HELP.split())
    assert (
        f"buffer decisions (default {OnlineSettings(segment=1).buffer}, the paper's 2000)" in shown
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("online_ppo:buffer=0", "buffer: 0 is not in the range 1 to 100000"),
        ("online_ppo:buffer", "buffer needs a value"),
        ("online_ppo:epochs=1.5", "epochs: '1.5' is not a whole number"),
        ("online_ppo:gamma=2", "gamma: 2 is not in the range 0 to 1"),
        ("online_ppo:floor=0", "floor: 0 is not in the range"),
        ("online_ppo:entropy=nan", "entropy: 'nan' is not a number"),
        ("online_ppo:clip=0.1", "there is no option 'clip'"),
        ("online_ppo:buffer=50,buffer=60", "buffer is given twice"),
        ("online_ppo:2000", "there is no option '2000'"),
        ("online_pp", "did you mean 'online_ppo'"),
    ],
)
def test_bad_options_are_one_line(text, expected):
    with pytest.raises(ValueError, match=expected) as caught:
        parse_specification(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "task", "expected"),
    [
        ("online_ppo", SinglePair(), "a single pair, there is nothing to choose"),
        ("online_ppo:segment=7", SMALL, "segment=7 ends between validations; give a multiple of "),
    ],
)
def test_what_does_not_suit_a_task_is_one_line(text, task, expected):
    with pytest.raises(ValueError, match=expected) as caught:
        entrant(text, task)
    assert "\n" not in str(caught.value)
