"""Named sets of arguments of multi-task translation."""

from typing import Any

from autoloss_gym.optimizers import Adam

# 2,000 of 29,000 captions: what a CPU trains in half a minute, and few enough to overfit.
MULTI30K_SMALL: dict[str, Any] = {
    "dataset": "multi30k",
    "source_words": 2000,
    "target_words": 1000,
    "tag_length": 50,
    "num_sentences": (2000, 0, 0),
    "dropout": 0.2,
    "max_steps": 2400,
}
# AutoLoss A.3. Its corpora are not free: these are Multi30k, GermEval and UD German.
PAPER: dict[str, Any] = {
    "dataset": "multi30k",
    "source_words": 10_000,
    "target_words": 10_000,
    "translation_length": 60,
    "tag_length": 60,
    "num_sentences": (0, 0, 0),
    "embedding_size": 128,
    "hidden_size": 256,
    "layers": 2,
    "residual": True,
    "dropout": 0.3,
    "batch_size": 128,
    "optimizer": Adam(learning_rate=5e-4),
    "max_steps": 100_000,
    "patience": 50,
}
