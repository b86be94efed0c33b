"""Problems of translation and tagging drawn at random: a German-like grammar with new lexicons."""

from dataclasses import dataclass

import torch
from jaxtyping import Int32, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.data.sentences import templates
from autoloss_gym.data.sentences.encoding import END, PADDING, TASKS, Vocabularies
from autoloss_gym.data.sentences.lexicon import Lexicon, choices, draw_lexicon, entries
from autoloss_gym.data.sentences.wording import MOST_STEMS, vocabularies
from autoloss_gym.tools.compiling import graph_constant

_PARTS = ("training", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class GrammarProblems:
    """Sentences of a German-like language with their translations, entities or parts of speech.

    Each problem has a lexicon of its own: which form is a noun, a verb, an adjective or, as half of
    the forms, two of these; what it means in each class; the nouns' genders, with which articles
    agree; which names are persons, places, or either. Names are copied into the translation. The
    source language has the verb second or last, English always subject, verb and object.

    Args:
        stems: forms of nouns, verbs and adjectives.
        num_sentences: training sentences of the three tasks, in the order of `TASKS`.
        num_held_out: sentences of each task in the validation part.
        num_test: sentences of each task in the test part.

    Raises:
        ValueError: a number is out of its range.
    """

    stems: int = 12
    num_sentences: tuple[int, int, int] = (200, 500, 2000)
    num_held_out: int = 100
    num_test: int = 200

    def __post_init__(self) -> None:
        if not 6 <= self.stems <= MOST_STEMS:
            raise ValueError(f"stems={self.stems}: expected 6 to {MOST_STEMS}; choose one of these")
        if len(self.num_sentences) != len(TASKS) or min(self.num_sentences) < 1:
            raise ValueError(
                f"num_sentences={self.num_sentences}: expected a positive number for each of "
                f"{', '.join(TASKS)}; give three"
            )
        for name in ("num_held_out", "num_test"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: expected at least 1; raise it")

    @property
    def source_length(self) -> int:
        """Words of the longest sentence."""
        return templates.SOURCE_LENGTH

    @property
    def target_length(self) -> int:
        """Words of the longest translation, its end included."""
        return templates.TARGET_LENGTH

    @property
    def vocabularies(self) -> Vocabularies:
        """The words of both languages and the tags."""
        return vocabularies(self.stems)

    def draw(self, keys: Int64[Tensor, " num_envs"]) -> dict[str, Int32[Tensor, "num_envs ..."]]:
        """Problems with their sentences.

        Returns:
            `training` (num_envs, rows, source length + target length) with the sentences of the
            three tasks one after another, `validation` and `test` (num_envs, 3, rows, the same
            length), int32. A row has the ids of the source words, then those of the target: words
            and the end, or one tag for each source word. Each is padded with 0.
        """
        lexicon = draw_lexicon(random.fold_in(keys, "lexicon"), self.stems)
        sizes = [(size, self.num_held_out, self.num_test) for size in self.num_sentences]
        by_task = [
            self._sentences(keys, lexicon, task, sizes[number]).split(sizes[number], dim=1)
            for number, task in enumerate(TASKS)
        ]
        training, validation, test = zip(*by_task, strict=True)
        return {
            "training": torch.cat(training, dim=1),
            "validation": torch.stack(validation, dim=1),
            "test": torch.stack(test, dim=1),
        }

    def _sentences(
        self, keys: Int64[Tensor, " num_envs"], lexicon: Lexicon, task: str, sizes: tuple[int, ...]
    ) -> Int32[Tensor, "num_envs rows length"]:
        """The sentences of one task, all parts one after another."""
        grammar = _grammar(self.stems, keys.device)
        length = self.source_length
        draws = torch.cat(
            [
                # 31 bits, which times a count fit into 63.
                random.integers(
                    random.fold_in(random.fold_in(keys, part), task), (size, length + 1), 2**31
                )
                for part, size in zip(_PARTS, sizes, strict=True)
            ],
            dim=1,
        )
        runs, rows = draws.shape[:2]
        template = ((draws[:, :, 0] * len(templates.TEMPLATES)) >> 31).flatten()
        slots = grammar["slots"].index_select(0, template).view(runs, rows, 4, length)
        first, counts, nouns, articles = slots.unbind(dim=2)
        entry = first + ((draws[:, :, 1:] * counts) >> 31)
        # The entries of articles stand by gender, of which this is the noun's.
        gender = _looked_up(lexicon.gender, entry).gather(2, nouns)
        entry = entry + gender * articles
        source = _looked_up(lexicon.source, entry)
        if task == "translation":
            target = _looked_up(lexicon.target, entry)
            target = torch.cat([target, grammar["ends"].expand(runs, rows, 2)], dim=2)
            alignment = grammar["alignment"].index_select(0, template)
            target = target.gather(2, alignment.view(runs, rows, -1))
        else:
            target = grammar[task].index_select(0, entry.flatten()).view_as(source)
        return torch.cat([source, target], dim=2)


def _looked_up(values: Tensor, entry: Int64[Tensor, "num_envs rows length"]) -> Tensor:
    """What each run's lexicon says of the entries."""
    return values.gather(1, entry.flatten(1)).view_as(entry)


@graph_constant()
def _grammar(stems: int, device: torch.device) -> dict[str, Tensor]:
    """The templates as tensors on a device.

    Returns:
        `slots` (templates, 4 · source length), of each position the first entry and the number of
        entries, the position of an article's noun, and the entries from one gender of articles to
        the next; `alignment` (templates, target length), positions, then those of the end and of
        padding; tags of entries by the names of the tasks.
    """
    length, target_length = templates.SOURCE_LENGTH, templates.TARGET_LENGTH
    rows, alignment = [], []
    for template in templates.TEMPLATES:
        words = template.slots + (templates.NOTHING,) * (length - len(template.slots))
        first, counts = zip(*(choices(stems, word) for word in words), strict=True)
        articles = [word in templates.ARTICLES for word in words]
        nouns = [
            words.index(templates.NOUN, position) if article else position
            for position, article in enumerate(articles)
        ]
        rows.append([*first, *counts, *nouns, *(2 * article for article in articles)])
        order = [*template.alignment, length]
        alignment.append(order + [length + 1] * (target_length - len(order)))

    def tensor(values: list, dtype: torch.dtype = torch.int64) -> Tensor:
        return torch.tensor(values, dtype=dtype, device=device)

    return {
        "slots": tensor(rows),
        "alignment": tensor(alignment),
        "ends": tensor([END, PADDING], torch.int32),
        "entities": tensor([entry.entity for entry in entries(stems)], torch.int32),
        "parts_of_speech": tensor([entry.part for entry in entries(stems)], torch.int32),
    }
