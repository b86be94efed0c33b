"""A rule as a part of a model: saved, loaded, copied, moved and compiled with it."""

import copy
import io
import pickle

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from autoloss_gym.weightings import Equal, GradNorm, SoftAdapt, UncertaintyWeighting
from tests.support.prepared import run_python
from tests.weightings.test_weightings import every_rule

pytestmark = pytest.mark.usefixtures("unchecked")


class Net(nn.Module):
    def __init__(self, rule):
        super().__init__()
        self.rule = rule
        self.trunk = nn.Linear(3, 4)
        self.heads = nn.ModuleList(nn.Linear(4, 1) for _ in range(3))

    def losses(self, inputs):
        hidden = torch.tanh(self.trunk(inputs))
        return [head(hidden).square().mean() for head in self.heads]

    def forward(self, inputs):
        return self.rule(self.losses(inputs))


def told(rule, steps=4, start=0):
    """The weights at some calls."""
    generator = torch.Generator().manual_seed(0)
    draws = torch.rand(8, 3, generator=generator) + 0.1
    calls = draws[start : start + steps]
    return torch.stack([rule.update(losses, gradient_norms=losses) for losses in calls])


@every_rule
def test_the_state_of_a_model_holds_that_of_its_rule_as_flat_tensors(make):
    net, other = Net(make()), Net(make())
    told(net.rule)
    saved = save(net.state_dict())  # safetensors takes nothing but tensors
    assert other.load_state_dict(load(saved)) == ([], [])
    assert torch.equal(told(net.rule, start=4), told(other.rule, start=4))
    own = {name for name in net.state_dict() if name.startswith("rule.")}
    assert own == {f"rule.{name}" for name in net.rule.state_dict()}
    assert not list(net.rule.parameters()) + list(net.rule.buffers())


@every_rule
def test_a_rule_that_was_never_called_is_saved_and_loaded_too(make):
    net, other = Net(make()), Net(make())
    told(other.rule)
    other.load_state_dict(net.state_dict())
    assert torch.equal(told(net.rule), told(other.rule))


def test_a_state_without_the_rule_misses_a_key():
    net = Net(SoftAdapt(2.0))
    told(net.rule)
    before = {name: part for name, part in net.state_dict().items() if "rule" not in name}
    with pytest.raises(RuntimeError, match=r'Missing key.*"rule\.about"'):
        net.load_state_dict(before)
    expected = net.rule.state_dict()
    assert net.load_state_dict(before, strict=False) == (["rule.about"], [])
    assert all(torch.equal(net.rule.state_dict()[name], expected[name]) for name in expected)


def test_a_tensor_too_many_is_an_unexpected_key():
    net = Net(SoftAdapt(2.0))
    told(net.rule)
    state = net.state_dict() | {"rule.more": torch.ones(1)}
    with pytest.raises(RuntimeError, match=r'Unexpected key.*"rule\.more"'):
        net.load_state_dict(state)
    assert net.load_state_dict(state, strict=False) == ([], ["rule.more"])
    assert net.rule.load_state_dict({}, strict=False) == (["about"], [])
    state = net.rule.state_dict() | {"more": torch.ones(1)}
    assert net.rule.load_state_dict(state, strict=False) == ([], ["more"])


@pytest.mark.parametrize("strict", [True, False])
def test_a_model_refuses_the_state_of_another_rule_and_says_which(strict):
    net, other = Net(SoftAdapt(2.0)), Net(SoftAdapt(1.0))
    told(other.rule)
    expected = "rule: state of SoftAdapt with beta=1.0: expected beta=2.0, as this rule has it"
    with pytest.raises(RuntimeError, match=expected):
        net.load_state_dict(other.state_dict(), strict=strict)
    assert list(net.rule.state_dict()) == ["about"]  # as it was


def test_what_a_rule_of_the_users_keeps_beside_tensors_is_saved_as_well():
    class Own(Equal):
        def _start(self, losses):
            return {"pair": [torch.ones_like(losses), torch.zeros_like(losses)], "seen": "none"}

        def _weigh(self, state, measured):
            state["pair"][1] = state["pair"][1] + measured.losses
            state["seen"] = "some"
            return state["pair"][1]

    rule, other = Own(), Own()
    told(rule)
    assert {"pair[0]", "pair[1]"} < set(rule.state_dict())
    other.load_state_dict(load(save(rule.state_dict())))
    assert other._runs.tensors["seen"] == "some"
    assert torch.equal(told(rule, start=4), told(other, start=4))
    rule._runs.tensors["seen"] = object()
    with pytest.raises(
        ValueError, match=r"seen=<object .*>? in the state of Own: expected tensors"
    ):
        rule.state_dict()


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copy_of_a_model_has_a_rule_of_its_own_that_shares_its_own_trunk(duplicate):
    net = Net(GradNorm())
    net.rule = GradNorm(shared=net.trunk)
    inputs = torch.ones(5, 3)
    net(inputs)
    other = duplicate(net)
    assert [id(each) for each in other.rule.shared] == [
        id(each) for each in other.trunk.parameters()
    ]
    assert [torch.equal(net(inputs), other(inputs)) for _ in range(3)] == [True] * 3
    assert torch.equal(net.rule.state_dict()["learned"], other.rule.state_dict()["learned"])


def test_a_whole_model_goes_through_a_file():
    net = Net(UncertaintyWeighting())
    told(net.rule)
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    other = torch.load(file, weights_only=False)
    assert torch.equal(told(net.rule, start=4), told(other.rule, start=4))


def test_shared_parameters_are_no_part_of_the_rule():
    net = Net(GradNorm())
    names = set(net.state_dict())
    for shared in (net.trunk, net.trunk.parameters(), net.trunk.weight):
        net.rule = GradNorm(shared=shared)
        assert set(net.state_dict()) == names
        assert len(list(net.parameters())) == 8
    GradNorm().load_state_dict(net.rule.state_dict())
    assert "shared" not in repr(net.rule)


def test_a_rule_goes_where_its_model_goes_and_keeps_its_dtypes():
    net = Net(GradNorm())
    told(net.rule)
    before = {name: part.dtype for name, part in net.rule.state_dict().items()}
    net.half().to("meta")
    after = net.rule.state_dict()
    assert {name: part.dtype for name, part in after.items()} == before
    assert {part.device.type for name, part in after.items() if name != "about"} == {"meta"}


def test_rules_are_told_apart_by_identity():
    one, two = SoftAdapt(), SoftAdapt()
    assert one != two
    assert len({one, two}) == 2
    assert nn.ModuleList([one, two])[1] is two
    assert repr(Net(one)).count("SoftAdapt(prior=None, scale='sum'") == 1


COMPILED = """
import copy, torch
from autoloss_gym.weightings import GradNorm, SoftAdapt
from tests.weightings.boundary.test_module import Net

torch.manual_seed(0)
inputs = torch.linspace(-1, 1, 12).view(4, 3)
for rule in (SoftAdapt(5.0), GradNorm(every=2)):
    net = Net(rule)
    if isinstance(rule, GradNorm):
        rule.shared = net.trunk
    other = copy.deepcopy(net)
    program = torch.compile(net, backend="eager")
    for scale in (1.0, 0.8, 0.9):
        totals = [program(inputs * scale), other(inputs * scale)]
        assert torch.equal(*totals)
        for total in totals:
            total.backward()
    assert torch.equal(net.trunk.weight.grad, other.trunk.weight.grad)
    state = program.state_dict()
    assert torch.equal(state["_orig_mod.rule.weights"], other.rule.state_dict()["weights"])
print("as it is")
"""


def test_a_compiled_model_calls_its_rule_as_it_is():
    """In a process of its own: checks of annotations cannot be compiled."""
    done = run_python("-W", "error::RuntimeWarning", "-c", COMPILED)
    assert done.stdout.strip() == "as it is", done.stderr
