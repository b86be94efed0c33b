"""The losses of an introspective VAE against values computed by hand."""

import pytest
import torch

from autoloss_gym.losses import variational

# Of two runs with three images each; the margin of the tests is 4.
RECONSTRUCTIONS = torch.tensor([[1.0, 4.0, 9.0], [5.0, 5.0, 5.0]])
SAMPLES = torch.tensor([[0.0, 2.0, 3.0], [4.0, 6.0, 8.0]])
MARGIN = 4.0


def test_the_hinge_of_the_paper_is_of_each_image_and_the_released_one_of_the_mean():
    # (3 + 0 + 0) / 3, 0; and 4 − 14 / 3 < 0, 4 − 5 < 0; 4 − 5 / 3.
    paper = variational.margin_loss("paper", RECONSTRUCTIONS, MARGIN)
    assert paper.tolist() == [1.0, 0.0]
    assert variational.margin_loss("released", RECONSTRUCTIONS, MARGIN).tolist() == [0.0, 0.0]
    released = variational.margin_loss("released", SAMPLES, MARGIN)
    torch.testing.assert_close(released, torch.tensor([4 - 5 / 3, 0.0]))


def test_a_dead_hinge_has_no_gradient_and_a_live_one_that_of_the_images_within_the_margin():
    divergences = RECONSTRUCTIONS.clone().requires_grad_()
    losses = variational.margin_loss("paper", divergences, MARGIN)
    (gradient,) = torch.autograd.grad(losses.sum(), divergences)
    torch.testing.assert_close(gradient, torch.tensor([[-1 / 3, 0.0, 0.0], [0.0, 0.0, 0.0]]))


def test_the_encoder_loses_alpha_times_the_hinges_of_both_kinds():
    kinds = (RECONSTRUCTIONS, SAMPLES)
    found = variational.encoder_adversarial("paper", kinds, MARGIN, 0.25)
    torch.testing.assert_close(found, torch.tensor([0.25 * (1 + (4 + 2 + 1) / 3), 0.0]))


def test_the_decoder_loses_alpha_times_the_divergences_or_half_of_them_as_released():
    kinds = (RECONSTRUCTIONS, SAMPLES)
    sums = torch.tensor([14 / 3 + 5 / 3, 5.0 + 6.0])
    found = variational.decoder_adversarial("paper", kinds, 0.25)
    torch.testing.assert_close(found, 0.25 * sums)
    found = variational.decoder_adversarial("released", kinds, 0.25)
    torch.testing.assert_close(found, 0.5 * sums)


def test_the_reconstruction_is_half_the_sum_of_squares_of_an_image_and_the_whole_as_released():
    made, images = (
        torch.zeros(1, 2, 2, 1, 1),
        torch.tensor([[[[[1.0]], [[2.0]]], [[[3.0]], [[0.0]]]]]),
    )
    # ½ · ((1 + 4) + 9) / 2
    assert variational.reconstruction_loss("paper", made, images).tolist() == [3.5]
    assert variational.reconstruction_loss("released", made, images).tolist() == [7.0]


def test_shares_beyond_the_margin_count_images_whose_hinge_is_0():
    shares = variational.share_beyond(RECONSTRUCTIONS, MARGIN)
    torch.testing.assert_close(shares, torch.tensor([2 / 3, 1.0]))


def test_an_unknown_form_is_one_clear_line():
    with pytest.raises(ValueError, match=r"^unknown form 'papers'; did you mean 'paper'\?"):
        variational.check_form("papers")
