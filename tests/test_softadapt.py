import math

import pytest
import torch

from autoloss_gym.weightings.softadapt import SoftAdapt


def softmax(*exponents: float) -> list[float]:
    powers = [math.exp(exponent) for exponent in exponents]
    return [power / sum(powers) for power in powers]


def close(weights: torch.Tensor, *rows: list[float]) -> None:
    torch.testing.assert_close(weights, torch.tensor(rows), rtol=1e-5, atol=1e-7)


def test_weights_are_the_softmax_of_beta_times_the_slopes():
    rule = SoftAdapt(beta=0.1)
    rule.update(torch.tensor([[3.0, 5.0], [1.0, 1.0]]))
    weights = rule.update(torch.tensor([[1.0, 8.0], [1.0, 0.0]]))
    close(weights, softmax(-0.2, 0.3), softmax(0.0, -0.1))


def test_normalized_slopes_are_divided_by_their_l1_norm():
    rule = SoftAdapt(beta=2.0, normalized=True)
    rule.update(torch.tensor([[3.0, 5.0, 0.0]]))
    close(rule.update(torch.tensor([[1.0, 8.0, 5.0]])), softmax(-0.4, 0.6, 1.0))


def test_loss_weighted_multiplies_each_term_by_its_loss():
    rule = SoftAdapt(beta=0.5, loss_weighted=True)
    rule.update(torch.tensor([[3.0, 5.0]]))
    terms = [1.0 * math.exp(-1.0), 8.0 * math.exp(1.5)]
    close(rule.update(torch.tensor([[1.0, 8.0]])), [term / sum(terms) for term in terms])


@pytest.mark.parametrize("loss_weighted", [False, True])
def test_weights_are_equal_until_every_loss_has_been_seen_twice(loss_weighted):
    rule = SoftAdapt(beta=1.0, loss_weighted=loss_weighted)
    once = rule.update(torch.tensor([[3.0, 5.0]]))
    one_of_them_twice = rule.update(torch.tensor([[1.0, 5.0]]), torch.tensor([[True, False]]))
    both_twice = rule.update(torch.tensor([[1.0, 6.0]]), torch.tensor([[False, True]]))
    terms = [1.0**loss_weighted * math.exp(-2.0), 6.0**loss_weighted * math.exp(1.0)]
    close(torch.cat([once, one_of_them_twice, both_twice]), [0.5] * 2, [0.5] * 2, [t / sum(terms) for t in terms])


def test_a_loss_that_is_not_refreshed_keeps_its_last_slope():
    rule = SoftAdapt(beta=1.0)
    rule.update(torch.tensor([[3.0, 5.0]]))
    rule.update(torch.tensor([[2.0, 4.5]]))
    weights = rule.update(torch.tensor([[1.5, 99.0]]), torch.tensor([[True, False]]))
    close(weights, softmax(-0.5, -0.5))
    weights = rule.update(torch.tensor([[99.0, 4.0]]), torch.tensor([[False, True]]))
    close(weights, softmax(-0.5, -0.5))


def test_refreshing_is_a_matter_of_each_run():
    rule = SoftAdapt(beta=1.0)
    rule.update(torch.tensor([[1.0, 1.0], [1.0, 1.0]]))
    rule.update(torch.tensor([[2.0, 3.0], [2.0, 3.0]]))
    weights = rule.update(torch.tensor([[2.5, 7.0], [2.5, 7.0]]), torch.tensor([[True, False], [False, True]]))
    close(weights, softmax(0.5, 2.0), softmax(1.0, 4.0))


def test_negative_beta_favours_the_loss_that_falls_fastest():
    for beta, favourite in ((1.0, 1), (-1.0, 0)):
        rule = SoftAdapt(beta=beta)
        rule.update(torch.tensor([[5.0, 5.0]]))
        assert rule.update(torch.tensor([[1.0, 4.0]])).argmax() == favourite


def test_slopes_of_any_size_give_finite_weights():
    rule = SoftAdapt(beta=1.0)
    rule.update(torch.tensor([[0.0, 0.0]]))
    close(rule.update(torch.tensor([[1e30, -1e30]])), [1.0, 0.0])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_gives_its_run_equal_weights_and_leaves_the_neighbour(bad):
    rule = SoftAdapt(beta=1.0)
    rule.update(torch.tensor([[1.0, 1.0], [1.0, 1.0]]))
    close(rule.update(torch.tensor([[bad, 1.0], [2.0, 1.0]])), [0.5, 0.5], softmax(1.0, 0.0))


def test_reset_forgets_all_losses():
    rule = SoftAdapt(beta=1.0)
    rule.update(torch.tensor([[1.0, 1.0]]))
    rule.update(torch.tensor([[2.0, 1.0]]))
    rule.reset()
    close(rule.update(torch.tensor([[7.0, 1.0], [7.0, 1.0]])), [0.5, 0.5], [0.5, 0.5])


def test_no_gradient_flows_and_the_given_losses_are_neither_kept_nor_changed():
    rule, losses = SoftAdapt(beta=1.0), torch.tensor([[1.0, 1.0]], requires_grad=True)
    assert not rule.update(losses).requires_grad
    with torch.no_grad():
        losses.fill_(50.0)
    close(rule.update(torch.tensor([[2.0, 1.0]])), softmax(1.0, 0.0))


def test_a_run_that_is_reset_forgets_its_losses_and_no_other_does():
    rule = SoftAdapt(beta=1.0)
    for losses in ([[1.0, 1.0], [1.0, 1.0]], [[2.0, 1.0], [2.0, 1.0]]):
        rule.update(torch.tensor(losses))
    rule.reset(torch.tensor([True, False]))
    weights = rule.update(torch.tensor([[9.0, 1.0], [3.0, 1.0]]))
    torch.testing.assert_close(weights[0], torch.tensor([0.5, 0.5]))
    assert weights[1, 0] > 0.7
    after = rule.update(torch.tensor([[9.0, 2.0], [3.0, 2.0]]))
    torch.testing.assert_close(after[0], torch.softmax(torch.tensor([0.0, 1.0]), dim=0))
