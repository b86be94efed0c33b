import gc
import io
import math

import numpy as np
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
    close(
        torch.cat([once, one_of_them_twice, both_twice]),
        [0.5] * 2,
        [0.5] * 2,
        [t / sum(terms) for t in terms],
    )


@pytest.mark.parametrize("slope", ["backward", "forward", "least_squares"])
@pytest.mark.parametrize("loss_value", ["latest", "mean"])
def test_with_a_flat_start_the_first_weights_are_those_of_slopes_of_zero(slope, loss_value):
    rule = SoftAdapt(
        beta=1.0, loss_weighted=True, flat_start=True, slope=slope, loss_value=loss_value
    )
    close(rule.update(torch.tensor([[3.0, 5.0]])), [3 / 8, 5 / 8])
    plain = SoftAdapt(beta=1.0, flat_start=True)
    close(plain.update(torch.tensor([[3.0, 5.0]])), [0.5, 0.5])


def test_a_flat_start_changes_no_weights_once_all_losses_were_measured_twice():
    given = torch.rand(6, 1, 2, generator=torch.Generator().manual_seed(0))
    rules = [SoftAdapt(beta=1.0, loss_weighted=True, flat_start=flat) for flat in (False, True)]
    weights = [torch.stack([rule.update(each) for each in given]) for rule in rules]
    assert torch.equal(weights[0][1:], weights[1][1:])
    assert not torch.equal(weights[0][0], weights[1][0])


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
    weights = rule.update(
        torch.tensor([[2.5, 7.0], [2.5, 7.0]]), torch.tensor([[True, False], [False, True]])
    )
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
    with pytest.warns(RuntimeWarning, match="SoftAdapt.* not finite.* equal weights"):
        weights = rule.update(torch.tensor([[bad, 1.0], [2.0, 1.0]]))
    close(weights, [0.5, 0.5], softmax(1.0, 0.0))
    weights = rule.update(
        torch.tensor([[bad, 2.0], [2.0, 4.0]])
    )  # said once: warnings are errors here
    close(weights, [0.5, 0.5], softmax(0.0, 3.0))
    close(
        rule.update(torch.tensor([[4.0, 1.0], [2.0, 4.0]])), softmax(3.0, -1.0), softmax(0.0, 0.0)
    )


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


# The authors' published values


def reference(histories, beta, order, *, factor=False, divisor=1.0, rounded=False):
    """Weights by the formulas of the authors' code of 2023, independently of the rule.

    The slope is the forward difference of accuracy `order` at the oldest of the last order + 1
    values; `factor` multiplies by the mean of each history. `rounded`: with what that code adds to
    the formulas: 1e-8 in the denominator, where the terms depend on that the greatest slope was
    subtracted from the slopes, and means rounded to single precision.
    """
    factors = [-sum(1 / k for k in range(1, order + 1))]
    factors += [(-1) ** (k + 1) * math.comb(order, k) / k for k in range(1, order + 1)]
    slopes = np.array([np.dot(factors, values[-order - 1 :]) for values in histories])
    slopes = slopes / divisor
    means = np.mean(histories, axis=1)
    means = means.astype(np.float32).astype(np.float64) if rounded else means
    terms = np.exp(beta * (slopes - slopes.max())) * (means if factor else 1.0)
    return terms / (terms.sum() + 1e-8 * rounded)


def follow(rule, histories):
    """The rule's weights after all values of these histories."""
    for losses in np.array(histories).T:
        weights = rule.update(torch.tensor(losses, dtype=torch.float64))
    return weights.numpy()


L1, L2, L3, L4 = (
    [1, 2, 3, 4, 5],
    [150, 100, 50, 10, 0.1],
    [1500, 1000, 500, 100, 1],
    [10, 20, 30, 40, 50],
)
A, B, C, D = [4, 3, 2], [1, 1.5, 2], [2, 1, 0.5], [8, 5, 4]
PUBLISHED = [  # histories, β, order, loss-weighted, signed sum of the slopes where they were normalised, weights
    ((L1, L2, L3), 0.1, 4, False, None, (0.993433363, 0.006566627, 3.8908e-22)),
    ((L1, L2, L3), 0.1, 4, True, None, (0.8797772005, 0.1202227966, 7.12335e-20)),
    ((L1, L2, L3), 0.1, 4, False, -540.1083333333333, (0.3220723086, 0.3250792407, 0.3528484472)),
    ((L1, L2, L3, L4), 0.1, 4, False, None, (0.288499279, 0.00190698969, 1.1299e-22, 0.7095937242)),
    (
        (L1, L2, L3, L4),
        0.1,
        4,
        True,
        None,
        (0.03886108643, 0.00531042233, 3.1465e-21, 0.9558284909),
    ),
    (
        (L1, L2, L3, L4),
        0.1,
        4,
        False,
        -530.1083333333333,
        (0.2435898616, 0.2459071699, 0.267326312, 0.2431766539),
    ),
    ((A, B), 0.1, 2, False, None, (0.4625701522, 0.5374298425)),
    ((A, B), 1.0, 2, False, None, (0.1824255223, 0.8175744695)),
    ((A, B), -1.0, 2, False, None, (0.8175744747, 0.1824255235)),
    ((A, B), 0.0, 2, False, None, (0.5, 0.5)),
    ((A, B), 0.1, 2, True, None, (0.6325442264, 0.3674557711)),
    ((A, B), 1.0, 2, True, None, (0.3085615445, 0.6914384508)),
    ((A, B), -1.0, 2, True, None, (0.8996324347, 0.1003675646)),
    ((A, B), 0.0, 2, True, None, (2 / 3, 1 / 3)),
    ((A, B), 0.1, 2, False, -0.5, (0.5744425135, 0.4255574807)),
    ((A, B), 1.0, 2, False, -0.5, (0.9525741177, 0.0474258727)),
    ((A, B), -1.0, 2, False, -0.5, (0.0474258732, 0.9525741264)),
    ((C, D), 1.0, 2, False, None, (0.9399133410, 0.0600866496)),
    ((C, D), 1.0, 2, True, None, (0.7630635925, 0.2369364010)),
    ((C, D), 1.0, 2, False, -5.25, (0.3719618696, 0.6280381241)),
    ((C, D), 1.0, 1, False, None, (0.6224593273, 0.3775406664)),
    ((C, D), 1.0, 1, True, None, (0.2534207950, 0.7465792028)),
]


@pytest.mark.parametrize(
    ("histories", "beta", "order", "factor", "signed_sum", "published"), PUBLISHED
)
def test_weights_are_those_of_the_authors_code(
    histories, beta, order, factor, signed_sum, published
):
    """Two links: its formulas, as it rounds them, give its digits to 1e-9, and without that
    rounding they give the rule's.

    The rounding moves weights by up to 1e-8; the 1e-8 in its denominator breaks where losses are
    small. Division by the signed sum of the slopes, which turns the order around where that is
    negative, is the original variant with another β.
    """
    divisor = 1.0 if signed_sum is None else signed_sum
    formula = reference(
        histories, beta, order, factor=factor, divisor=divisor, rounded=beta != 0
    )  # 1/2, 2/3: not rounded
    np.testing.assert_allclose(formula, published, rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        formula, published, rtol=5e-5
    )  # the least weights are published with five digits
    rule = SoftAdapt(
        beta=beta / divisor,
        slope="forward",
        order=order,
        loss_weighted=factor,
        loss_value="mean",
        window=len(histories[0]),
    )
    weights = follow(rule, histories)
    np.testing.assert_allclose(
        weights, reference(histories, beta, order, factor=factor, divisor=divisor), rtol=1e-12
    )
    np.testing.assert_allclose(weights, published, rtol=0, atol=1.1e-8)


@pytest.mark.parametrize(
    ("loss_weighted", "expected"),
    [(False, (0.26894142, 0.73105858)), (True, (0.42388312, 0.57611688))],
)
def test_slopes_divided_by_their_l1_norm_give_the_corrected_values(loss_weighted, expected):
    rule = SoftAdapt(
        beta=1.0,
        normalized=True,
        slope="forward",
        order=2,
        loss_weighted=loss_weighted,
        loss_value="mean",
        window=3,
    )
    np.testing.assert_allclose(follow(rule, (A, B)), expected, atol=6e-9)


def slope_of(values, **arguments):
    """The slope that the rule sees: that of the log ratio of its two weights, where the other loss
    is constant.
    """
    weights = follow(SoftAdapt(beta=1.0, **arguments), (values, [0.0] * len(values)))
    return math.log(weights[0] / weights[1])


@pytest.mark.parametrize(
    ("values", "arguments", "expected"),
    [
        (C, {"order": 2}, -0.25),
        (C, {"slope": "forward", "order": 2}, -1.25),
        (C, {"slope": "least_squares", "window": 3}, -0.75),
        (D, {"order": 2}, 0.0),
        (D, {"slope": "forward", "order": 2}, -4.0),
        (D, {"slope": "least_squares", "window": 3}, -2.0),
        (L2, {"order": 4}, 14.375),
        ([1, 4, 9], {"order": 2}, 6.0),
        ([1, 4, 9], {"slope": "forward", "order": 2}, 2.0),
        ([7, 0, 1, 8, 27, 64], {"order": 3}, 48.0),
        ([7, 7, 0, 1, 16, 81, 256], {"order": 4}, 256.0),
        ([1e3, 3, 5, 7, 9, 11], {"slope": "least_squares", "window": 5}, 2.0),
    ],
)
def test_slopes_are_those_of_each_scheme(values, arguments, expected):
    """Published for C, D, the falling l2 and the squares; exact for cubes at 4 (3·4²) and fourth
    powers at 4 (4·4³).
    """
    assert slope_of(values, **arguments) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("slope", ["backward", "least_squares", "forward"])
def test_a_short_history_gives_the_slope_of_as_many_values_as_there_are(slope):
    """0, 1, 4, 9: two values have the slope 1; three the parabola's 4 at its end, 0 at its
    beginning, their line 2.
    """
    rule = SoftAdapt(beta=1.0, slope=slope, order=3, window=4)
    slopes = []
    for value in (0.0, 1.0, 4.0, 9.0):
        first, second = rule.update(torch.tensor([value, 0.0], dtype=torch.float64)).tolist()
        slopes.append(math.log(first / second))
    expected = {"backward": [0, 1, 4, 6], "least_squares": [0, 1, 2, 3], "forward": [0, 1, 0, 0]}[
        slope
    ]
    assert slopes == pytest.approx(expected, abs=1e-12)


def test_the_mean_of_the_last_window_may_stand_for_the_loss():
    rule = SoftAdapt(beta=0.0, loss_weighted=True, loss_value="mean", window=3)
    np.testing.assert_allclose(
        follow(rule, ([100, 1, 2, 6], [100, 2, 2, 2])), [3 / 5, 2 / 5], rtol=1e-12
    )
    latest = SoftAdapt(beta=0.0, loss_weighted=True)
    np.testing.assert_allclose(
        follow(latest, ([100, 1, 2, 6], [100, 2, 2, 2])), [6 / 8, 2 / 8], rtol=1e-12
    )


# What the authors' code does not survive


def test_where_all_losses_fall_the_normalized_variant_favours_the_slowest():
    """Divided by the signed sum of the slopes, the fastest would have the largest weight."""
    weights = follow(SoftAdapt(beta=1.0, normalized=True, slope="forward", order=2), (C, D))
    np.testing.assert_allclose(weights, (0.62803813, 0.37196187), atol=6e-9)


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("loss_weighted", [False, True])
def test_constant_losses_and_slopes_that_cancel_give_numbers(normalized, loss_weighted):
    options = {"normalized": normalized, "loss_weighted": loss_weighted, "beta": 1.0}
    for order in (1, 2, 3, 4):
        rule = SoftAdapt(order=order, **options)
        np.testing.assert_allclose(follow(rule, ([1e30] * 9, [1e30] * 9)), [0.5, 0.5], rtol=1e-12)
    rising = math.exp(0.5 if normalized else 1.0) * (2.0 if loss_weighted else 1.0)
    falling = math.exp(-0.5 if normalized else -1.0)
    np.testing.assert_allclose(
        follow(SoftAdapt(**options), ([1, 2], [2, 1]))[0], rising / (rising + falling), rtol=1e-12
    )


def test_negative_beta_with_huge_losses_gives_numbers():
    weights = follow(SoftAdapt(beta=-0.1, slope="forward"), ([0, 1], [8000, 0]))
    assert weights.tolist() == [0.0, 1.0]  # exp(−800) is less than any float64


@pytest.mark.parametrize("options", [{}, {"order": 4}, {"slope": "least_squares", "window": 7}])
def test_a_history_of_any_length_takes_the_same_memory_and_only_its_end_counts(options):
    values = np.sin(np.arange(300.0))
    long, short = SoftAdapt(beta=1.0, **options), SoftAdapt(beta=1.0, **options)
    weights = follow(long, (values, -values))
    assert np.array_equal(weights, follow(short, (values[-7:], -values[-7:])))
    sizes = [
        {name: value.numel() for name, value in rule.state_dict().items()} for rule in (long, short)
    ]
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("count", range(1, 9))
def test_a_history_of_any_number_of_values_has_weights(count):
    """One point, and as many points as the order, are errors elsewhere."""
    weights = follow(SoftAdapt(beta=1.0, order=4), (np.arange(count), np.zeros(count)))
    np.testing.assert_allclose(weights, softmax(1.0 if count > 1 else 0.0, 0.0), rtol=1e-12)


class Traced(torch.autograd.Function):
    """Identity; an object that only its graph holds tells whether that still lives."""

    @staticmethod
    def forward(context, value, witness):
        context.witness = witness
        return value.clone()

    @staticmethod
    def backward(context, gradient):
        return gradient, None


class Witness:
    alive = 0

    def __init__(self):
        Witness.alive += 1

    def __del__(self):
        Witness.alive -= 1


@pytest.mark.parametrize("stack", [list, torch.stack], ids=["scalars", "tensor"])
def test_losses_with_a_graph_are_taken_and_no_graph_is_kept(stack):
    rule, parameter = SoftAdapt(beta=1.0, order=4), torch.ones((), requires_grad=True)
    for step in range(3):
        losses = stack(
            [Traced.apply(parameter * scale * (step + 1), Witness()) for scale in (1.0, 3.0)]
        )
        weights = rule.update(losses)
        assert not weights.requires_grad
    assert Witness.alive == 2  # of the last step: they are still in `losses`
    close(weights[None], softmax(1.0, 3.0))
    del losses
    gc.collect()
    assert Witness.alive == 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_weights_have_the_shape_and_dtype_of_the_losses(dtype):
    rule, values = SoftAdapt(beta=1.0), torch.tensor([1.0, 2.0, 4.0], dtype=dtype)
    rule.update(values)
    weights = rule.update(2 * values)
    assert (weights.shape, weights.dtype) == ((3,), dtype)
    tolerance = {torch.float64: 1e-15, torch.float32: 1e-6, torch.bfloat16: 1e-2}[dtype]
    torch.testing.assert_close(
        weights.double(),
        torch.tensor(softmax(1, 2, 4), dtype=torch.float64),
        rtol=tolerance,
        atol=0,
    )


def test_numbers_tensors_and_both_together_are_the_same_losses():
    answers = []
    for convert in (
        list,
        torch.tensor,
        lambda v: [torch.tensor(v[0]), v[1]],
        lambda v: (torch.tensor([v[0]]), v[1]),
    ):
        rule = SoftAdapt(beta=1.0)
        rule.update(convert([1.0, 5.0]))
        answers.append(rule.update(convert([2.0, 5.5])))
    close(torch.stack(answers), *[softmax(1.0, 0.5)] * 4)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0.0, 0.0), (0.5, 0.5)),
        ((-1.5, 1.5), (0.0, 1.0)),
        ((-1.0, -2.0), (0.5, 0.5)),
        ((1e-9, 3e-9), (0.25, 0.75)),
        ((1e30, 3e30), (0.25, 0.75)),
        ((3e38, 1e38), (0.75, 0.25)),
        ((1e-38, 3e38), (0.0, 1.0)),
    ],
)
@pytest.mark.parametrize("value", ["latest", "mean"])
def test_loss_weighted_takes_losses_of_any_sign_and_size(values, expected, value):
    """Where none is positive the weights are equal; they sum to 1 however small the losses are."""
    rule = SoftAdapt(loss_weighted=True, loss_value=value)
    for _ in range(6):
        weights = rule.update(torch.tensor(values))
    close(weights[None], expected)


def test_slopes_too_large_to_be_represented_still_have_weights():
    rule = SoftAdapt(beta=1e6)
    rule.update(torch.zeros(3))
    close(rule.update(torch.tensor([3e38, 1e38, -3e38]))[None], [0.5, 0.5, 0.0])


def test_prior_weights_multiply_and_are_never_forgotten():
    """Elsewhere the weights drift to equal ones, and what the user had chosen is lost."""
    rule = SoftAdapt(beta=0.5, prior=(1, 100))
    values = torch.tensor([2.0, 3.0], dtype=torch.float64)
    for _ in range(50):
        weights = rule.update(values)
    close(weights[None].float(), [1 / 101, 100 / 101])
    first, second = softmax(0.5, 0.0)
    total = first + 100 * second
    close(
        rule.update(values + torch.tensor([1.0, 0.0]))[None].float(),
        [first / total, 100 * second / total],
    )
    with pytest.warns(RuntimeWarning, match="gets the prior"):
        close(rule.update([math.nan, 3.0])[None], [1 / 101, 100 / 101])


@pytest.mark.parametrize("prior", [None, (1, 2, 1)])
def test_scale_count_multiplies_the_weights_by_the_number_of_losses(prior):
    histories = ([1, 3], [2, 1], [5, 5])
    one, three = (
        follow(SoftAdapt(beta=0.3, prior=prior, scale=scale), histories)
        for scale in ("sum", "count")
    )
    assert one.sum() == pytest.approx(1.0, rel=1e-14)
    np.testing.assert_allclose(three, 3 * one, rtol=1e-14)
    first_call = SoftAdapt(prior=prior, scale="count").update([1.0, 1.0, 1.0])
    close(first_call[None], [1.0, 1.0, 1.0] if prior is None else [0.75, 1.5, 0.75])


def test_weights_are_kept_for_so_many_calls():
    rule, all_calls = SoftAdapt(beta=1.0, every=3), SoftAdapt(beta=1.0)
    losses = torch.tensor(
        [[1.0, 2.0], [2.0, 2.0], [4.0, 2.0], [7.0, 2.0], [11.0, 2.0], [16.0, 2.0], [22.0, 2.0]]
    )
    kept, fresh = ([each.update(row) for row in losses] for each in (rule, all_calls))
    for call, last in enumerate((0, 0, 0, 3, 3, 3, 6)):
        assert torch.equal(kept[call], fresh[last])
    assert not torch.equal(kept[3], kept[6])


def test_a_rule_saved_in_the_middle_of_a_history_goes_on_from_there():
    losses = torch.rand(9, 2, 3, generator=torch.Generator().manual_seed(0))
    whole, second = (SoftAdapt(beta=5.0, order=3, every=2, loss_weighted=True) for _ in range(2))
    expected = [whole.update(row) for row in losses]
    first = SoftAdapt(beta=5.0, order=3, every=2, loss_weighted=True)
    for row in losses[:4]:
        first.update(row)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    first.update(losses[0])  # what was saved is a copy
    second.load_state_dict(torch.load(file, weights_only=True))
    for row, weights in zip(losses[4:], expected[4:], strict=True):
        assert torch.equal(second.update(row), weights)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"beta": math.inf}, "beta=inf: expected a finite number"),
        ({"order": 5}, "order=5: expected 1 to 4"),
        ({"window": 1}, "window=1: expected a whole number from 2"),
        (
            {"slope": "backwards"},
            "slope='backwards': expected 'backward', 'least_squares' or 'forward'",
        ),
        ({"loss_value": "average"}, "loss_value='average': expected 'latest' or 'mean'"),
        ({"every": 0}, "every=0: expected a whole number of at least 1"),
        ({"scale": "mean"}, "scale='mean': expected 'sum', 'count' or None"),
        ({"prior": (0, 0)}, "expected numbers of at least 0, .* the largest of them from 1e-30"),
        ({"prior": (1, -1)}, "expected numbers of at least 0, one for each loss"),
    ],
)
def test_bad_arguments_are_one_line(change, expected):
    rule = SoftAdapt()
    vars(rule).update(change)  # the constructor would meet the type checker of the tests first
    with pytest.raises(ValueError, match=expected) as caught:
        rule.__post_init__()
    assert "\n" not in str(caught.value)
