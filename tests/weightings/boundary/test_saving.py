"""Saved states: what they hold, and which rule takes them."""

import io
import json
from dataclasses import dataclass

import pytest
import torch

from autoloss_gym.optimizers import SGD, Adam
from autoloss_gym.tools import tree
from autoloss_gym.weightings import (
    DynamicWeightAverage,
    Equal,
    Fixed,
    GradNorm,
    RandomLossWeighting,
    SoftAdapt,
    UncertaintyWeighting,
    WeightingRule,
)

pytestmark = pytest.mark.usefixtures("unchecked")
RULES = [
    SoftAdapt(),
    DynamicWeightAverage(),
    UncertaintyWeighting(),
    GradNorm(),
    RandomLossWeighting(),
    Equal(),
    Fixed((1, 2)),
]


def used(rule, calls=3):
    """The rule after some calls."""
    for step in range(calls):
        losses = torch.tensor([1.0 / (step + 1), 2.0])
        rule.update(losses, gradient_norms=losses)
    return rule


def about(state):
    return json.loads(bytes(state["about"].tolist()))


def with_about(state, **changes):
    text = json.dumps(about(state) | changes).encode()
    return state | {"about": torch.tensor(list(text), dtype=torch.uint8)}


def as_version_1(rule):
    """What `state_dict` returned before states were flat."""
    said = about(rule.state_dict())
    kept = {name: said[name] for name in ("rule", "arguments", "names")}
    return {"version": 1, **kept, "tensors": tree.clone(rule._runs.tensors)}


def refused(rule, state, expected):
    """The rule refuses the state in one line, and is what it was."""
    before = rule.state_dict()
    with pytest.raises(ValueError, match=expected) as caught:
        rule.load_state_dict(state)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    pairs = zip(tree.leaves(before), tree.leaves(rule.state_dict()), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)


@pytest.mark.parametrize("calls", [0, 3])
def test_no_rule_takes_the_state_of_another(calls):
    for source in RULES:
        source.reset()
        state = used(source, calls).state_dict()
        for target in RULES:
            if target is not source:
                name = type(target).__name__
                refused(target, state, f"state of rule '.*': expected that of {name}")
            else:
                target.load_state_dict(state)


@pytest.mark.parametrize(
    ("saved", "loading", "expected"),
    [
        (SoftAdapt(0.1), SoftAdapt(-5.0), "with beta=0.1: expected beta=-5.0, as this rule"),
        (SoftAdapt(window=7), SoftAdapt(window=5), "with window=7: expected window=5"),
        (SoftAdapt(), SoftAdapt(prior=(1, 2)), r"with prior=None: expected prior=\[1.0, 2.0\]"),
        (Equal(every=2), Equal(), "with every=2: expected every=1"),
        (Equal(scale=None), Equal(), "with scale=None: expected scale='sum'"),
        (Fixed((1, 2)), Fixed((1, 3)), r"with weights=\[1.0, 2.0\]: expected weights=\[1.0, 3.0\]"),
        (
            UncertaintyWeighting(Adam(learning_rate=0.1)),
            UncertaintyWeighting(),
            "with optimizer.learning_rate=0.1: expected optimizer.learning_rate=0.01",
        ),
        (
            GradNorm(optimizer=SGD(learning_rate=0.1)),
            GradNorm(optimizer=Adam(learning_rate=0.1)),
            "with optimizer.type='SGD': expected optimizer.type='Adam'",
        ),
    ],
)
@pytest.mark.parametrize("calls", [0, 3])
def test_a_state_of_other_arguments_is_refused_and_the_line_names_the_argument(
    saved, loading, expected, calls
):
    refused(loading, used(saved, calls).state_dict(), expected)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (None, "state=None: expected the result of state_dict"),
        ([1], r"state=\[1\]: expected the result of state_dict"),
        ({"version": 2}, "state of version 2: expected at most 2"),
        ({"version": torch.ones(3)}, r"state of version tensor\(.*: expected at most 2"),
        ({"about": None}, r"state\['about'\]=None: expected the bytes of state_dict"),
        ({"about": torch.ones(3)}, r"state\['about'\]=tensor.*: expected the bytes"),
        ({"about": torch.ones(3, dtype=torch.uint8)}, r"state\['about'\]=tensor.*: expected the"),
        ({"version": 1}, "state without 'rule': expected the result of state_dict"),
    ],
)
def test_what_is_no_state_is_one_line(state, expected):
    refused(used(SoftAdapt()), state, expected)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"arguments": None}, r"state\['arguments'\]=None: expected a dict"),
        ({"arguments": {"gamma": 1}}, "with gamma=1: expected no gamma"),
        ({"names": ["a", "a"]}, "expected 2 names"),
        ({"names": 5}, "expected 2 names"),
        ({"rule": 5}, "state of rule 5: expected that of SoftAdapt"),
    ],
)
def test_a_damaged_state_is_one_line(change, expected):
    rule = used(SoftAdapt())
    refused(rule, with_about(rule.state_dict(), **change), expected)
    refused(rule, as_version_1(rule) | change, expected)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"tensors": []}, r"state\['tensors'\]=\[\]: expected a dict of tensors"),
        ({"tensors": {}, "names": ["a"]}, r"state\['names'\]=\['a'\]: expected 0 names"),
    ],
)
def test_a_damaged_state_of_version_1_is_one_line(change, expected):
    rule = used(SoftAdapt())
    refused(rule, as_version_1(rule) | change, expected)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"history": None}, "state without a tensor 'history': expected the state of SoftAdapt"),
        ({"more": 1}, "state with 'more': expected the state of SoftAdapt"),
        ({"seen": torch.zeros(1, 2)}, r"'seen' in the state, \(1, 2\) of torch.float32: expected"),
        ({"calls": torch.zeros(2, dtype=torch.int64)}, r"'calls' in the state, \(2,\) of .*int64"),
        ({"weights": torch.ones(1, 0)}, "state with"),
        ({"weights": torch.ones(1, 2).half()}, "state with"),
    ],
)
def test_damaged_tensors_are_one_line(change, expected):
    rule = used(SoftAdapt())
    refused(rule, rule.state_dict() | change, expected)
    first = as_version_1(rule)
    refused(rule, first | {"tensors": first["tensors"] | change}, expected)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
@pytest.mark.parametrize("versioned", [True, False])
def test_a_nested_state_of_earlier_versions_goes_on(rule, versioned):
    """At first it was the tensors alone."""
    rule.reset()
    state = as_version_1(used(rule))
    other = type(rule)((1, 2)) if isinstance(rule, Fixed) else type(rule)()
    other.load_state_dict(state if versioned else state["tensors"])
    losses = torch.tensor([0.3, 0.4])
    expected = rule.update(losses, gradient_norms=losses)
    assert torch.equal(other.update(losses, gradient_norms=losses), expected)


def test_an_argument_that_a_rule_got_later_was_its_default():
    state = used(SoftAdapt(0.5)).state_dict()
    arguments = about(state)["arguments"]
    del arguments["loss_value"]
    state = with_about(state, arguments=arguments)
    SoftAdapt(0.5).load_state_dict(state)
    refused(SoftAdapt(0.5, loss_value="mean"), state, "with loss_value='latest': expected")


def test_a_state_holds_the_names_of_the_losses_and_is_read_without_running_code():
    rule, other = SoftAdapt(1.0), SoftAdapt(1.0)
    rule.update({"b": 3.0, "a": 1.0})
    file = io.BytesIO()
    torch.save(rule.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert rule.update({"b": 1.0, "a": 2.0}) == other.update({"a": 2.0, "b": 1.0})
    with pytest.raises(ValueError, match=r"named \['a'\]: expected \['b', 'a'\]"):
        other.update({"a": 1.0})


def test_a_loaded_state_shares_no_memory_with_what_was_loaded():
    rule = used(UncertaintyWeighting())
    state = rule.state_dict()
    rule.load_state_dict(state)
    expected = rule.state_dict()
    for leaf in tree.leaves(state):
        leaf.fill_(7)
    pairs = zip(tree.leaves(expected), tree.leaves(rule.state_dict()), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)


def test_a_rule_of_the_users_own_saves_its_arguments_whatever_they_are():
    @dataclass
    class Own(WeightingRule):
        power: float = 1.0
        table: object = None

        def _start(self, losses):
            return {"latest": torch.ones_like(losses)}

        def _weigh(self, state, measured):
            state["latest"] = measured.losses
            return measured.losses * self.power

    rule = used(Own(2.0, table={1: object()}))
    state = rule.state_dict()
    assert about(state)["arguments"]["table"] == {"type": "dict"}
    Own(2.0, table={}).load_state_dict(state)
    refused(Own(2.5, table={}), state, "state of Own with power=2.0: expected power=2.5")
