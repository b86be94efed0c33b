"""Loss-weighting rules as policies, in both action kinds."""

import gymnasium
import numpy as np
import pytest
import torch

from agents.evaluation.entrants import make_entrant
from agents.evaluation.rollout import rollout
from agents.policies.grammar import HELP, KINDS, parse_specification
from agents.policies.kinds import RuleKind
from agents.policies.weighting import weighting_policy
from autoloss_gym import weightings
from autoloss_gym.controllers.policies.weighting import WeightingPolicy
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.optimizers import Adam
from autoloss_gym.weightings import (
    FAMO,
    CoVWeighting,
    DynamicWeightAverage,
    Equal,
    Fixed,
    GradNorm,
    IMTLBalance,
    RandomLossWeighting,
    ReLoBRaLo,
    SelfAdaptiveWeights,
    SoftAdapt,
    TimeSchedule,
    UncertaintyWeighting,
    WeightingRule,
)
from tests.support.toy_tasks import SMALL, TwoBlocks

ID = "AutoLoss/QuadraticRegression-v1"
RULES = [name for name, kind in KINDS.items() if isinstance(kind, RuleKind)]
# The others read the gradients of the step, see test_gradient_weighting.
WEIGHTINGS = [name for name in RULES if name not in ("annealing", "ntk")]


def policy_of(text, task=SMALL):
    (policy,) = make_entrant(parse_specification(text), task, "").candidates
    return policy


def make_env(num_envs, **more):
    small = {"dimension": 4, "num_samples": 20, "max_steps": 40, "learning_rate": 0.03}
    return gymnasium.make_vec(ID, num_envs=num_envs, split="validation", **small, **more)


@pytest.mark.parametrize(
    ("text", "rule", "sample"),
    [
        ("softadapt", SoftAdapt(), False),
        ("softadapt:pair,beta=-2", SoftAdapt(beta=-2.0), True),
        (
            "softadapt:normalized,loss_weighted,order=3",
            SoftAdapt(normalized=True, loss_weighted=True, order=3),
            False,
        ),
        (
            "softadapt:least_squares=7,every=5",
            SoftAdapt(slope="least_squares", window=7, every=5),
            False,
        ),
        ("softadapt:scale=count", SoftAdapt(scale="count"), False),
        ("equal", Equal(), False),
        ("equal:scale=count", Equal(scale="count"), False),
        ("dwa:pair,temperature=1,window=3", DynamicWeightAverage(temperature=1.0, window=3), True),
        (
            "uncertainty:learning_rate=0.1",
            UncertaintyWeighting(optimizer=Adam(learning_rate=0.1)),
            False,
        ),
        (
            "gradnorm:alpha=0.5,learning_rate=1",
            GradNorm(alpha=0.5, optimizer=Adam(learning_rate=1.0)),
            False,
        ),
        ("random_weights:every=10", RandomLossWeighting(every=10), False),
        (
            "relobralo:alpha=0.9,temperature=0.1,rho=1",
            ReLoBRaLo(0.9, temperature=0.1, rho=1.0),
            False,
        ),
        (
            "famo:decay=0,learning_rate=1",
            FAMO(0.0, optimizer=Adam(learning_rate=1.0)),
            False,
        ),
        ("imtl:learning_rate=1", IMTLBalance(Adam(learning_rate=1.0)), False),
        ("cov:decay=0.9,pair", CoVWeighting(0.9), True),
        ("self_adaptive:power=3", SelfAdaptiveWeights(power=3), False),
        ("self_adaptive:mask=sigmoid", SelfAdaptiveWeights(mask="sigmoid"), False),
        (
            "time_schedule:delay=5,ramp=10,weight=3",
            TimeSchedule([1.0, [(5, 0.0), (15, 3.0)]]),
            False,
        ),
        ("time_schedule:every=2", TimeSchedule([1.0, [(0, 0.0), (1000, 1.0)]], every=2), False),
    ],
)
def test_a_name_with_options_is_a_rule_with_arguments(text, rule, sample):
    policy = policy_of(text)
    assert (policy.label, repr(policy.rule), policy.sample) == (text, repr(rule), sample)
    blind = Equal | RandomLossWeighting | TimeSchedule  # they look at nothing
    assert policy.static == isinstance(rule, blind)


@pytest.mark.parametrize(
    "text",
    ["softadapt:order=0", "softadapt:order=1.5", "softadapt:order=2,least_squares=3", "softadapt:least_squares=1",
     "softadapt:beta=inf", "softadapt:beta=nan", "softadapt:beta", "softadapt:pair=1", "softadapt:pair,pair",
     "softadapt:alpha=1", "dwa:temperature=0", "equal:beta=1", "equal:every=0", "gradnorm:scale=mean",
     "random_weights:normalized", "relobralo:rho=2", "famo:decay=-1", "imtl:power=2", "cov:decay=1.5",
     "self_adaptive:power=5", "self_adaptive:mask=soft", "time_schedule:ramp=0", "time_schedule:delay=-1"],
)  # fmt: skip
def test_options_that_a_rule_does_not_have_are_one_line(text):
    kind = text.partition(":")[0]
    with pytest.raises(
        ValueError,
        match=f"policy '{text}': expected {kind}, or {kind}: with some of .*pair.*every.* \\(",
    ) as caught:
        parse_specification(text)
    assert "\n" not in str(caught.value)


def test_every_rule_has_a_name_and_the_help_names_all_with_their_options():
    rules = {type(weighting_policy(parse_specification(kind)).rule) for kind in RULES}
    offered = [getattr(weightings, name) for name in weightings.__all__]
    assert rules == set(offered) - {Fixed, WeightingRule}  # fixed weights need no rule here
    shown = " ".join(HELP.split())
    for kind in RULES:
        assert f"{kind}, or {kind}: with some of {KINDS[kind].read} " in shown
        assert {"every", "scale"} <= KINDS[kind].read.known.keys()
        assert ("pair" in KINDS[kind].read.known) == (kind in WEIGHTINGS)


@pytest.mark.parametrize("pair", ["", "pair"])
@pytest.mark.parametrize("kind", WEIGHTINGS)
def test_a_rule_plays_the_same_in_company_and_with_other_problems_beside_it(kind, pair):
    text = f"{kind}:{pair}"
    together, _ = rollout([policy_of(text), policy_of("1:1")], make_env, np.arange(7))
    (alone,) = rollout([policy_of(text)], make_env, np.arange(7))
    (part,) = rollout([policy_of(text)], make_env, np.array([4]))
    np.testing.assert_array_equal(together.best_scores, alone.best_scores)
    np.testing.assert_array_equal(together.best_scores[4:5], part.best_scores)
    assert ((alone.shares > 0) & (alone.shares < 1)).any()


@pytest.mark.parametrize("kind", WEIGHTINGS)
def test_an_episode_begins_with_a_rule_that_knows_nothing(kind):
    policy = policy_of(kind)
    first, second = (rollout([policy], make_env, np.arange(3))[0] for _ in range(2))
    np.testing.assert_array_equal(first.best_scores, second.best_scores)
    np.testing.assert_array_equal(first.shares, second.shares)


def test_random_weights_differ_between_problems_and_steps():
    policy = policy_of("random_weights")
    policy.reset(np.arange(50))
    infos = {
        "losses": np.ones((50, 2), "f4"),
        "gradient_norms": np.ones((50, 2), "f4"),
        "losses_refreshed": np.ones((50, 2), "?"),
    }
    weights = torch.cat(
        [policy.act(np.zeros((50, 1), "f4"), infos).weights[:, 0] for _ in range(4)]
    )
    assert len(weights.unique()) == 200


def test_rules_are_told_the_losses_and_norms_of_the_infos_and_what_the_step_measured():
    told = []

    class Listener(WeightingRule):
        def _start(self, losses):
            return {}

        def _weigh(self, state, measured):
            told.append(measured)
            return torch.ones_like(measured.losses)

    Listener.needs_gradient_norms = True
    policy, envs = WeightingPolicy("listener", Listener(), sample=True), AutoLossVectorEnv(SMALL, 3)
    observations, infos = envs.reset(seed=0)
    policy.reset(np.arange(3))
    for _ in range(5):
        kept = {
            name: np.array(infos[name]) for name in ("losses", "gradient_norms", "losses_refreshed")
        }
        control = policy.act(observations, infos)
        assert np.array_equal(told[-1].losses, kept["losses"])
        assert np.array_equal(told[-1].gradient_norms, kept["gradient_norms"])
        assert np.array_equal(told[-1].refreshed, kept["losses_refreshed"])
        observations, _, _, _, infos = envs.step_control(control)
    assert not told[-1].refreshed.all()


@pytest.mark.parametrize(("kind", "rows"), [("softadapt", 1), ("softadapt:scale=count", 3)])
def test_a_loss_whose_weight_vanishes_goes_on_being_measured(kind, rows):
    """A weight of 0 would mean an unused pair: its slope would stay what it was, and its weight 0
    for good.
    """
    envs, policy = AutoLossVectorEnv(TwoBlocks(), 2), policy_of(kind, TwoBlocks())
    policy.rule.beta = 1e6
    observations, infos = envs.reset(seed=0)
    policy.reset(np.arange(2))
    lost = 0
    for _ in range(8):
        control = policy.act(observations, infos)
        assert (control.weights > 0).all()
        assert control.weights.sum(dim=1).tolist() == pytest.approx([rows, rows])
        lost += int((control.weights < 1e-20).sum())
        observations, _, _, _, infos = envs.step_control(control)
        assert infos["losses_refreshed"].all()
    assert lost > 0
