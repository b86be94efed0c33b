"""Figures of decoded sequences against hand-computed values."""

import torch

from autoloss_gym.scoring.sequences import ended, share_exact, tag_f1


def test_words_after_an_end_do_not_count():
    sequences = torch.tensor([[[5, 2, 6], [2, 5, 5], [5, 6, 7]]])
    assert ended(sequences, 2).tolist() == [[[5, 0, 0], [0, 0, 0], [5, 6, 7]]]


def test_a_sequence_is_exact_if_every_word_is_right():
    found = torch.tensor([[[5, 0], [5, 6]], [[5, 6], [5, 6]]])
    targets = torch.tensor([[[5, 0], [5, 7]], [[5, 0], [5, 7]]])
    assert share_exact(found, targets).tolist() == [0.5, 0.0]


def test_f1_counts_tags_that_are_not_outside():
    # Tags are 5 and 6, 4 is outside, 0 padding. There are 3 tags; 3 are found, and 2 of them right.
    targets = torch.tensor([[[4, 5, 6, 5, 0]]])
    found = torch.tensor([[[5, 5, 6, 4, 5]]])
    torch.testing.assert_close(tag_f1(found, targets, 4), torch.tensor([4 / 6]))
    # Without an outside, 2 of 4 words are right.
    torch.testing.assert_close(tag_f1(found, targets, None), torch.tensor([0.5]))


def test_f1_is_0_where_there_is_no_tag():
    outside = torch.full((1, 1, 3), 4)
    assert tag_f1(outside, outside, 4).tolist() == [0.0]
