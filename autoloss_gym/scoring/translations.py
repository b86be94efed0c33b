"""Scores of translations."""

from collections.abc import Sequence

from autoloss_gym.tools.names import shown


def corpus_bleu(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """BLEU of a set of translations (Papineni et al. 2002), from 0 to 100.

    It is that of sacrebleu (Post 2018) with its own division into words, "13a", which leaves text
    as it is that is already divided by blanks. Texts whose digits or capitals were changed do not
    compare with published figures.

    Args:
        hypotheses: the translations that are judged.
        references: one for each of them.

    Raises:
        ValueError: there are none, or not equally many; or `sacrebleu` is not installed.
    """
    for name, texts in (("hypotheses", hypotheses), ("references", references)):
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"{name}={shown(texts)}: expected a list of texts")
    if len(hypotheses) != len(references) or not hypotheses:
        raise ValueError(
            f"{len(hypotheses)} hypotheses and {len(references)} references: expected equally "
            "many, and at least one"
        )
    try:
        import sacrebleu  # noqa: PLC0415 (an extra)
    except ImportError:
        raise ValueError(
            "BLEU needs the library 'sacrebleu': pip install \"autoloss_gym[text]\""
        ) from None
    # Without `force` it warns that the texts are divided into words already.
    found = sacrebleu.corpus_bleu(list(hypotheses), [list(references)], force=True)
    return float(found.score)
