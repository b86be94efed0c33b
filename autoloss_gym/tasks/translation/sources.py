"""Which sentences a task is about, by the name of its data set."""

from autoloss_gym.data.sentences.corpus_source import CorpusSource
from autoloss_gym.data.sentences.grammar import GrammarProblems
from autoloss_gym.data.sentences.grammar_source import GrammarSource
from autoloss_gym.data.sentences.source import SentenceSource
from autoloss_gym.data.sentences.text_source import TextSource

SYNTHETIC = "synthetic"


def build_source(
    text: TextSource | None,
    stems: int,
    num_sentences: tuple[int, int, int],
    num_held_out: int,
    num_test: int,
) -> SentenceSource:
    """Sentences of text, or where there is none of a grammar.

    Raises:
        ValueError: a number cannot be had.
    """
    if text is not None:
        return CorpusSource(text, num_sentences, num_held_out, num_test)
    problems = GrammarProblems(
        stems=stems, num_sentences=num_sentences, num_held_out=num_held_out, num_test=num_test
    )
    return GrammarSource(problems)
