"""Placeholder until the branch of texts is merged."""


def corpus_bleu(hypotheses: list[str], references: list[str]) -> float:
    return 0.0
