"""GradNorm takes the norms of its gradients itself."""

import pytest
import torch
from torch import nn

from autoloss_gym.weightings import GradNorm

pytestmark = pytest.mark.usefixtures("unchecked")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.trunk = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4))
        self.heads = nn.ModuleList(nn.Linear(4, 1) for _ in range(2))

    def losses(self, factor=1.0):
        inputs = torch.linspace(-1, 1, 12).view(4, 3) * factor
        hidden = self.trunk(inputs)
        return [(index + 1) * head(hidden).square().mean() for index, head in enumerate(self.heads)]


def measured(losses, parameters):
    """The norms, as a user would take them."""
    parameters = list(parameters)
    gradients = (torch.autograd.grad(loss, parameters, retain_graph=True) for loss in losses)
    return [torch.cat([each.flatten() for each in gradient]).norm() for gradient in gradients]


@pytest.mark.parametrize(
    "shared",
    [
        lambda net: net.trunk,
        lambda net: net.trunk.parameters(),
        lambda net: list(net.trunk.parameters()),
        lambda net: [net.trunk[0], *net.trunk[2].parameters()],
        lambda net: {"a": net.trunk}.values(),
    ],
)
@pytest.mark.parametrize(
    "form", [list, tuple, iter, lambda losses: {"b": losses[0], "a": losses[1]}]
)
def test_weights_are_those_of_norms_that_a_user_measures(shared, form):
    net = Net()
    rule, other = GradNorm(shared=shared(net)), GradNorm()
    for factor in (1.0, 0.7, 0.9):
        losses = net.losses(factor)
        expected = other.update(losses, gradient_norms=measured(losses, net.trunk.parameters()))
        weights = rule.update(form(losses))
        weights = torch.stack([*weights.values()]) if isinstance(weights, dict) else weights
        torch.testing.assert_close(weights, expected)
    assert not torch.allclose(weights, torch.ones(2), atol=1e-3)


def test_losses_may_be_one_tensor():
    net = Net()
    one, rows, other = (GradNorm(shared=net.trunk) for _ in range(3))
    for factor in (1.0, 0.7, 0.9):
        expected = other.update(net.losses(factor))
        torch.testing.assert_close(one.update(torch.stack(net.losses(factor))), expected)
        torch.testing.assert_close(rows.update(torch.stack(net.losses(factor))[None])[0], expected)


def test_the_graph_is_kept_for_the_users_own_backward_and_no_gradient_is_left_behind():
    net, plain = Net(), Net()
    rule = GradNorm(shared=net.trunk)
    total = rule(net.losses())
    assert all(parameter.grad is None for parameter in net.parameters())
    total.backward()
    sum(plain.losses()).backward()
    assert torch.equal(net.trunk[0].weight.grad, plain.trunk[0].weight.grad)  # weights 1 at first


def test_norms_are_taken_only_when_they_are_due(monkeypatch):
    net = Net()
    rule, counts = GradNorm(shared=net.trunk, every=3), []
    take = torch.autograd.grad

    def counted(*arguments, **keywords):
        counts[-1] += 1
        return take(*arguments, **keywords)

    monkeypatch.setattr(torch.autograd, "grad", counted)
    for _ in range(8):
        counts.append(0)
        rule.update(net.losses())
    assert counts == [2, 0, 0, 2, 0, 0, 2, 0]
    with torch.no_grad():
        rule.update(net.losses())  # nor is a graph needed at the others


def test_a_loss_that_is_not_refreshed_is_not_differentiated():
    net = Net()
    rule, other = GradNorm(shared=net.trunk), GradNorm()
    for factor in (1.0, 0.7):
        losses = net.losses(factor)
        norms = measured(losses, net.trunk.parameters())
        rule.update(losses)
        other.update(losses, gradient_norms=norms)
    losses = net.losses(0.8)
    stale = losses[1].detach()
    weights = rule.update([losses[0], stale], refreshed=[True, False])
    norms = [measured(losses[:1], net.trunk.parameters())[0], 0.0]
    torch.testing.assert_close(weights, other.update(losses, [True, False], norms))


@pytest.mark.parametrize("unreached", [0.3, torch.tensor(0.3), "head"])
def test_a_loss_that_does_not_reach_the_shared_parameters_is_named_once(unreached):
    net = Net()
    rule = GradNorm(shared=net.trunk)
    for step in range(3):
        fit, *_ = net.losses()
        other = net.heads[0].weight.square().mean() if unreached == "head" else unreached
        losses = {"fit": fit, "penalty": other}
        if step == 0:
            expected = r"losses\['penalty'\] does not reach the shared parameters"
            with pytest.warns(RuntimeWarning, match=expected):
                total = rule(losses)
        else:
            total = rule(losses)
        total.backward()


def test_a_loss_in_a_tensor_is_named_by_its_place():
    net = Net()
    losses = torch.stack([net.losses()[0], torch.tensor(0.3)])
    with pytest.warns(RuntimeWarning, match=r"losses\[1\] does not reach the shared parameters"):
        GradNorm(shared=net.trunk)(losses).backward()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_norms_under_autocast(dtype):
    net, plain = Net(), Net()
    rule, exact = GradNorm(shared=net.trunk), GradNorm(shared=plain.trunk)
    for factor in (1.0, 0.7, 0.9):
        with torch.autocast("cpu", dtype=dtype):
            total = rule(net.losses(factor))
        total.backward()
        weights = exact.update(plain.losses(factor))
        torch.testing.assert_close(rule.state_dict()["weights"][0], weights, rtol=0.05, atol=0.05)
    assert net.trunk[0].weight.grad is not None


def test_norms_of_float16_losses_do_not_overflow():
    weight = torch.full((16,), 1e-3, dtype=torch.float16, requires_grad=True)
    rule = GradNorm(shared=[weight])
    weights = rule.update([(3e4 * weight).sum(), weight.sum()])
    assert weights.dtype == torch.float16
    norms = rule.state_dict()["norms"]
    torch.testing.assert_close(norms, torch.tensor([[1.2e5, 4.0]]), rtol=1e-3, atol=0.0)


def test_sparse_gradients_and_parameters_without_gradient():
    table, frozen = nn.Embedding(5, 3, sparse=True), nn.Parameter(torch.ones(2))
    frozen.requires_grad_(False)
    rule = GradNorm(shared=[table, frozen])
    rows = table(torch.tensor([1, 1, 2]))
    losses = [rows.sum(), 2 * rows.sum()]
    rule.update(losses)
    expected = torch.tensor([[3 * (4 + 1.0)] * 2]).sqrt() * torch.tensor([1.0, 2.0])
    torch.testing.assert_close(rule.state_dict()["norms"], expected)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda net: GradNorm(shared=[]), r"shared=\(\): expected at least one parameter"),
        (lambda net: GradNorm(shared=nn.Tanh()), r"shared=\(\): expected at least one parameter"),
        (lambda net: GradNorm(shared="trunk"), "shared='t': expected parameters, such as trunk"),
        (lambda net: GradNorm(shared=5), "shared=5: expected parameters"),
        (lambda net: GradNorm(shared=net.trunk).update([1.0, 2.0]), "losses without a graph"),
        (
            lambda net: GradNorm(shared=torch.ones(2)).update(net.losses()),
            "shared= without a parameter that requires gradients",
        ),
        (
            lambda net: GradNorm(shared=net.trunk).update(torch.stack([torch.stack(net.losses())] * 2)),
            "losses of 2 runs with shared=: expected those of one model",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_differentiated_is_one_line(call, expected):
    with pytest.raises(ValueError, match=expected) as caught:
        call(Net())
    assert "\n" not in str(caught.value)


def test_a_graph_that_is_gone_is_one_line():
    net = Net()
    losses = net.losses()
    sum(losses).backward()
    with pytest.raises(ValueError, match=r"losses\[0\] .*second time.*call the rule before backw"):
        GradNorm(shared=net.trunk).update(losses)
