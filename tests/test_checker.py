"""`check_task` finds each way in which a custom task breaks its promises."""

import dataclasses

import pytest
import torch

import autoloss_gym
from autoloss_gym import ClosedForm, GradientTask, Metric, Pair, random
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression


@dataclasses.dataclass(frozen=True, kw_only=True)
class Good(GradientTask):
    """Two blocks, each with a loss of its own. The broken tasks below are this one with one thing
    changed.
    """

    max_steps: int = 10
    pairs = (Pair("left", ("a",)), Pair("right", ("b",)))
    validation_metrics = (Metric("error"),)
    score_metrics = (Metric("error", worst=9.0),)
    break_: str = ""

    def make_data(self, keys):
        target = random.normal(random.fold_in(keys.problem, "target"), (3,))
        return {"target": torch.randn_like(target) if self.break_ == "global generator" else target}

    def initial_parameters(self, keys):
        return {
            "a": random.normal(keys.run, (3,)),
            "b": random.normal(random.fold_in(keys.run, "b"), (3,)),
        }

    def batch(self, data, keys):
        return data

    def losses(self):
        return {"left": self.left, "right": lambda p, d: (p["b"] - 1).square().sum(1)}

    def left(self, parameters, data):
        a = parameters["a"]
        if self.break_ == "mixes runs":
            a = a - a.mean(dim=0)
        if self.break_ == "one value":
            return a.square().sum()[None]
        if self.break_ == "not finite":
            return torch.log(-a.square()).sum(1)
        if self.break_ == "no gradient":
            return (a * 0).sum(1)
        return (a - data["target"]).square().sum(1)

    def validation_values(self, parameters, data):
        error = (parameters["a"] - data["target"]).square().sum(1)
        return error if self.break_ == "flat metric" else error[:, None]

    def score_values(self, parameters, data):
        return (parameters["a"] - data["target"]).square().sum(1)[:, None]


@pytest.mark.parametrize(
    "task", [Good(), QuadraticRegression(), QuadraticRegression(dataset="diabetes", constant=True)]
)
def test_good_tasks_pass(task):
    autoloss_gym.check_task(task)


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        ("global generator", "draw with autoloss_gym.random"),
        ("mixes runs", "losses must not mix the runs"),
        ("one value", r"loss 'left' returned shape \(1,\), expected \(3,\)"),
        ("not finite", "not finite at the initial parameters"),
        ("no gradient", "has no gradient there"),
        ("flat metric", r"validation_values\(\) returned shape \(3,\), expected \(3, 1\)"),
    ],
)
def test_each_broken_promise_is_one_line_that_says_what_to_do(broken, expected):
    with pytest.raises(ValueError, match=expected) as caught:
        autoloss_gym.check_task(Good(break_=broken))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"pairs": ()}, "pairs is empty"),
        ({"pairs": (Pair("left", ("a",)), Pair("left", ("b",)))}, "share a name"),
        ({"pairs": (Pair("middle", ("a",)),)}, "has no 'middle'"),
        ({"pairs": (Pair("left", ("c",)),)}, "there is no block 'c'"),
        ({"pairs": (Pair("left", ("b",)),)}, "does each loss use its blocks"),
        ({"score_metrics": (Metric("error"),)}, "finite worst value"),
        ({"weight_groups": (("left",),)}, r"weight_groups has \['left'\]: expected each of"),
    ],
)
def test_each_bad_declaration_is_named(change, expected):
    task = type("Changed", (Good,), change)()
    with pytest.raises(ValueError, match=expected):
        autoloss_gym.check_task(task)


def test_an_argument_that_is_not_hashable_is_named():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Changed(Good):
        levels: object = None

    with pytest.raises(ValueError, match="not hashable: make every argument hashable"):
        autoloss_gym.check_task(Changed(levels=[1, 2]))


def test_data_that_all_runs_share_may_be_expanded_but_needs_the_run_dimension():
    class Shared(Good):
        def make_data(self, keys):
            target = torch.ones(3)
            return {
                "target": target
                if self.break_ == "no run dimension"
                else target.expand(len(keys.run), 3)
            }

    autoloss_gym.check_task(Shared())
    with pytest.raises(ValueError, match="first dimension of all data must be the run"):
        autoloss_gym.check_task(Shared(break_="no run dimension"))


@pytest.mark.parametrize("factor", [2.0, 2.0001])
def test_a_closed_form_is_compared_with_automatic_differentiation(factor):
    class Written(Good):
        def losses(self):
            def value_and_gradient(p, d):
                return self.left(p, d), {"a": factor * (p["a"] - d["target"])}

            return {**super().losses(), "left": ClosedForm(self.left, value_and_gradient)}

    if factor == 2:
        autoloss_gym.check_task(Written())
        return
    with pytest.raises(
        ValueError, match="loss 'left': value_and_gradient differs from automatic differentiation"
    ):
        autoloss_gym.check_task(Written())


@pytest.mark.parametrize("factor", [1.0, 1.0001])
def test_a_packed_closed_form_is_compared_with_automatic_differentiation(factor):
    class Penalised(Good):
        def losses(self):
            def loss(p, d):
                return (p["a"] * p["a"]).sum(dim=1) / 2

            def value_and_gradient(p, d):
                return loss(p, d), {"a": p["a"]}

            def packed(p, d):
                return loss(p, d), {"a": factor * p["a"]}

            return {**super().losses(), "left": ClosedForm(loss, value_and_gradient, packed)}

    if factor == 1:
        autoloss_gym.check_task(Penalised())
        return
    with pytest.raises(ValueError, match="loss 'left': packed differs from automatic"):
        autoloss_gym.check_task(Penalised())


def test_a_batch_that_depends_on_its_keys_is_not_full():
    class Drawn(Good):
        full_batch = True

        def batch(self, data, keys):
            return {"target": data["target"] + random.normal(keys, (3,))}

    with pytest.raises(ValueError, match="full_batch is declared, but"):
        autoloss_gym.check_task(Drawn())


def test_a_forgotten_dataclass_decorator_is_noticed():
    class Forgetful(Good):
        max_steps = 20

    with pytest.raises(ValueError, match="sets max_steps in vain: decorate it"):
        autoloss_gym.check_task(Forgetful())
