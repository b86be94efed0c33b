"""Metrics of multi-task translation, and its translations in words."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym.core.task import Metric
from autoloss_gym.core.text_task import Translation
from autoloss_gym.data.sentences.encoding import END, TASKS, Vocabularies
from autoloss_gym.data.sentences.source import SentenceSource
from autoloss_gym.scoring.sequences import ended, share_exact, tag_f1
from autoloss_gym.scoring.translations import corpus_bleu
from autoloss_gym.tools.compiling import graph_constant

_OUTSIDE = "O"  # the tag of words that are no entity
Decoded = list[tuple[Tensor, Tensor]]  # of each task, the right targets and those that were found


def perplexities(vocabularies: Vocabularies) -> tuple[Metric, ...]:
    """Of the three tasks; the worst is that of guessing any word."""
    translation, *tags = (float(len(words)) for words in vocabularies.targets)
    named = zip(TASKS[1:], tags, strict=True)
    others = [Metric(f"{task}_perplexity", worst=worst) for task, worst in named]
    return Metric("perplexity", worst=translation), *others


def decoded_metrics(is_text: bool) -> tuple[Metric, ...]:
    """Figures of what is decoded: of text also BLEU."""
    metrics = [Metric(f"{task}_f1", minimize=False, worst=0.0) for task in TASKS[1:]]
    metrics.append(Metric("exact", minimize=False, worst=0.0))
    if is_text:
        metrics.append(Metric("bleu", minimize=False, worst=0.0))
    return tuple(metrics)


def of_decoded(
    decoded: Decoded, source: SentenceSource, is_text: bool
) -> Float[Tensor, "num_envs metrics"]:
    """The columns that `decoded_metrics` names.

    Args:
        decoded: by task.
        source: of the sentences.
        is_text: whether BLEU is wanted.
    """
    (target, translation), *tags = decoded
    columns = []
    for (right, found), names in zip(tags, source.vocabularies.targets[1:], strict=True):
        outside = names.index(_OUTSIDE) if _OUTSIDE in names else None
        columns.append(tag_f1(found, right, outside))
    found, right = ended(translation, END), ended(target, END)
    columns.append(share_exact(found, right))
    if is_text:
        columns.append(_bleu(found, right, source))
    return torch.stack(columns, dim=1)


def _bleu(found: Tensor, right: Tensor, source: SentenceSource) -> Float[Tensor, " num_envs"]:
    """BLEU of each run, by sacreBLEU on the host; 0 on a device that keeps no numbers."""
    if found.device.type == "meta":
        return torch.zeros(len(found), dtype=torch.float32, device=found.device)
    words = source.vocabularies.targets[0]
    scores = []
    for hypotheses, references in zip(
        _texts(found, words, source), _texts(right, words, source), strict=True
    ):
        scores.append(corpus_bleu(hypotheses, references))
    return torch.tensor(scores, dtype=torch.float32, device=found.device)


def in_words(
    sentences: Int64[Tensor, "num_envs rows words"],
    targets: Int64[Tensor, "num_envs rows time"],
    found: Int64[Tensor, "num_envs rows time"],
    source: SentenceSource,
) -> list[list[Translation]]:
    """Sentences of each run with the right and the found translations."""
    vocabularies = source.vocabularies
    english = vocabularies.targets[0]
    sides = (
        _texts(sentences, vocabularies.source, source),
        _texts(ended(targets, END), english, source),
        _texts(ended(found, END), english, source),
    )
    by_run = zip(*sides, strict=True)
    return [[Translation(*each) for each in zip(*run, strict=True)] for run in by_run]


def _texts(ids: Tensor, words: tuple[str, ...], source: SentenceSource) -> list[list[str]]:
    """The sentences of each run as one writes them."""
    return [[source.join([words[id] for id in row if id]) for row in run] for run in ids.tolist()]


@graph_constant()
def counts_on(counts: tuple[int, ...], device: str) -> tuple[Tensor, Tensor]:
    """Numbers of training sentences of each task, and of the first of each, (tasks, 1), int64."""
    firsts = [sum(counts[:place]) for place in range(len(counts))]
    columns = []
    for numbers in (counts, firsts):
        columns.append(torch.tensor(numbers, dtype=torch.int64, device=device)[:, None])
    return columns[0], columns[1]
