"""The losses of two players against values computed by hand."""

import numpy as np
import torch

from autoloss_gym.losses.adversarial import (
    ADVERSARIAL_LOSSES,
    classification_error,
    discriminator_loss,
    generator_loss,
)


def test_adversarial_losses_are_those_computed_by_hand():
    real, generated = torch.tensor([[0.0, 2.0]]), torch.tensor([[0.0, -1.0]])
    log = np.log
    expected = {
        "minimax": -(log(2) + log(1 + np.exp(-1))) / 2,
        "non_saturating": (log(2) + log(1 + np.exp(1))) / 2,
        "hinge": (0 + 1) / 2,
    }
    on_real, on_generated = (log(2) + log(1 + np.exp(-2))) / 2, (log(2) + log(1 + np.exp(-1))) / 2
    discriminator = {
        "minimax": (on_real + on_generated) / 2,
        "hinge": ((1 + 0) / 2 + (1 + 0) / 2) / 2,
    }
    discriminator["non_saturating"] = discriminator["minimax"]
    for name in ADVERSARIAL_LOSSES:
        torch.testing.assert_close(
            generator_loss(name, generated), torch.tensor([expected[name]], dtype=torch.float32)
        )
        found = discriminator_loss(name, real, generated)
        torch.testing.assert_close(found, torch.tensor([discriminator[name]], dtype=torch.float32))


def test_the_classification_error_counts_both_kinds_of_mistakes():
    real, generated = torch.tensor([[1.0, -1.0, 2.0, 0.5]]), torch.tensor([[-1.0, 3.0]])
    assert classification_error(real, generated).tolist() == [(1 / 4 + 1 / 2) / 2]


def test_a_discriminator_whose_odds_are_not_numbers_makes_no_error_of_zero():
    real, generated = (
        torch.tensor([[1.0], [torch.nan], [1.0]]),
        torch.tensor([[-1.0], [-1.0], [torch.nan]]),
    )
    np.testing.assert_array_equal(classification_error(real, generated), [0, np.nan, np.nan])
