"""Cross-entropy of sequences against hand-computed values."""

import torch

from autoloss_gym.losses.sequences import mean_cross_entropy


def test_what_stands_after_a_sentence_is_in_no_loss():
    logits = torch.zeros(1, 2, 4, 5)
    logits[0, :, 2:] = float("nan")
    target = torch.tensor([[[4, 2, 0, 0], [4, 2, 0, 0]]])
    torch.testing.assert_close(mean_cross_entropy(logits, target), torch.tensor([5.0]).log())


def test_words_of_all_sentences_count_the_same():
    logits = torch.zeros(1, 2, 3, 4)
    logits[0, 0, 0, 3] = 50.0  # this word is certain
    target = torch.tensor([[[3, 0, 0], [1, 2, 1]]])
    expected = 3 / 4 * torch.tensor([4.0]).log()
    torch.testing.assert_close(mean_cross_entropy(logits, target), expected)
