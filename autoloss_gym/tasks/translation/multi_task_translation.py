"""Translation, learned together with tags of entities and of parts of speech (AutoLoss §5.1.3)."""

import functools
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.draws import DrawsAhead
from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.loss import Loss
from autoloss_gym.core.task import Keys, Metric, Pair, Split, State
from autoloss_gym.core.text_task import TextTask, Translation
from autoloss_gym.data.sentences.encoding import TASKS
from autoloss_gym.data.sentences.source import SentenceSource
from autoloss_gym.data.sentences.text_source import TextSource
from autoloss_gym.optimizers import Adam, Optimizer
from autoloss_gym.tasks.translation import figures
from autoloss_gym.tasks.translation.encoder_decoder import EncoderDecoder
from autoloss_gym.tasks.translation.presets import MULTI30K_SMALL, PAPER
from autoloss_gym.tasks.translation.readers import DECODERS, ENCODER, Readers
from autoloss_gym.tasks.translation.sources import SYNTHETIC, build_source
from autoloss_gym.tools.bounds import BelowOne, NonNegativeFloat, NonNegativeInt, PositiveInt
from autoloss_gym.tools.tree import Parameters

_LARGEST_DRAW = 1 << 31


@dataclass(frozen=True, kw_only=True)
class MultiTaskTranslation(DrawsAhead, GradientTask, TextTask):
    """Learn to translate from few sentence pairs, with help from two other tasks.

    ## Description
    One encoder reads German sentences; three decoders with attention say what they mean in English,
    which words name persons, places or other entities, and which part of speech every word is.
    Only the translation counts. The other two have more sentences, and what the encoder learns from
    them may help: which of them, when and for how long is the controller's choice.

    ## Losses
    `translation`, `entities`, `parts_of_speech`: cross-entropy of the target's words or tags, given
    those before them, in nats; mean over all of a mini-batch. Each updates the block `encoder` and
    its own decoder: `translator`, `entity_tagger`, `word_tagger`. Padding is in no loss. The three
    share the Adam of the encoder. Gradients are clipped for each run over both blocks together.

    ## Action Space
    `control="pair"`: Discrete(3), 0 = a step on `translation`, 1 = on `entities`, 2 = on
    `parts_of_speech`.
    `control="weights"`: Box(-1, 1) with three entries; a step then costs as much as three.

    ## Observation Space
    Box, the feature groups of `autoloss_gym.signals.features.Features`: 19 numbers, 20 with
    `patience`. The validation metrics are perplexities, exp of the mean cross-entropy of a word:
    `perplexity` of translations (decides), `entities_perplexity`, `parts_of_speech_perplexity`. The
    worst is the number of words of the target vocabulary, that of guessing.

    ## Rewards
    `shaped` (default) is the decrease of the validation cross-entropy of translations since the
    last validation; `final` pays −10 · the best perplexity at the end; `improvement` is the online
    reward of AutoLoss §4.4, for segments of 50 steps.

    ## Starting State
    Weights as PyTorch draws those of `Embedding`, `LSTM` and `Linear`. Every episode draws these,
    its mini-batches and its problem: with `dataset="synthetic"` a new lexicon with sentences of its
    own, otherwise the sentences that it trains on.

    ## Episode End
    Terminates after `max_steps` updates, after `patience` validations without a new best, or when
    training diverges.

    ## Arguments
    dataset, data_dir: "synthetic", sentences of a German-like grammar in which every second word is
        of two word classes (see `autoloss_gym.data.sentences.grammar`); "multi30k" with GermEval
        2014 and UD German GSD from `data_dir`; or the path of a file that names your own.
    stems: open-class words of the grammar.
    source_words, target_words: sizes of the subword vocabularies of text.
    translation_length, tag_length: longer sentences of text are left out: subwords of a sentence
        pair, and of a sentence with tags.
    num_sentences: that a run trains on, of each task; 0 for four fifths of a text's training part.
    num_held_out, num_test: sentences of each task in the validation and in the test part; of text,
        at most.
    embedding_size, hidden_size, layers, bidirectional, residual, dropout: see
        `autoloss_gym.tasks.translation.encoder_decoder.EncoderDecoder`.
    batch_size: sentences of a step, drawn with replacement.
    optimizer, learning_rate_factor, clip_norm, max_steps, validate_every, patience,
        collapse_repeats, collapse_share: see `GradientTask` and `Task`.
    preset: "multi30k_small" for few captions and the networks of the default; "paper" for the sizes
        of AutoLoss A.3, which need a GPU.

    The scores are on the test part: the three perplexities; `entities_f1` and `parts_of_speech_f1`
    of greedy decoding, micro-averaged over words, without the tag O; `exact`, the share of the
    sentences that are translated rightly in every word; and of text `bleu` (0 to 100).

    ## References
    Xu, Zhang, Hu, Liang, Salakhutdinov, Xing: "AutoLoss: Learning Discrete Schedules for Alternate
        Optimization", ICLR 2019.
    Luong, Pham, Manning: "Effective approaches to attention-based neural machine translation",
        EMNLP 2015.
    Elliott, Frank, Sima'an, Specia: "Multi30K: multilingual English-German image descriptions",
        2016 (multi30k).
    Benikova, Biemann, Reznicek: "NoSta-D named entity annotation for German", LREC 2014 (GermEval).
    McDonald et al.: "Universal dependency annotation for multilingual parsing", ACL 2013 (UD).

    ## Version History
    v0: initial version.
    """

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "synthetic": {},
        "multi30k_small": MULTI30K_SMALL,
        "paper": PAPER,
    }
    reward_arguments: ClassVar[dict[str, dict[str, Any]]] = {"final": {"formula": "negative"}}
    # What fits into the caches with its gradients.
    runs_at_once: ClassVar[int] = 8
    pairs: ClassVar[tuple[Pair, ...]] = tuple(
        Pair(task, (ENCODER, decoder), cheap=False) for task, decoder in DECODERS.items()
    )

    dataset: str = "synthetic"
    data_dir: str | None = None
    stems: PositiveInt = 12
    source_words: PositiveInt = 2000
    target_words: PositiveInt = 1000
    translation_length: PositiveInt = 25
    tag_length: PositiveInt = 30
    num_sentences: tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt] = (200, 500, 2000)
    num_held_out: PositiveInt = 100
    num_test: PositiveInt = 200
    embedding_size: PositiveInt = 32
    hidden_size: PositiveInt = 64
    layers: PositiveInt = 1
    bidirectional: bool = True
    residual: bool = False
    dropout: BelowOne = 0.0
    batch_size: PositiveInt = 16
    max_steps: PositiveInt = 600
    validate_every: PositiveInt = 50
    clip_norm: NonNegativeFloat = 1.0
    optimizer: Optimizer = field(default_factory=lambda: Adam(learning_rate=5e-3))

    def __post_init__(self) -> None:
        super().__post_init__()
        # Text that cannot be read is an error here, not at the first reset.
        _ = self.source.counts

    @functools.cached_property
    def source(self) -> SentenceSource:
        """The sentences."""
        sizes = (self.num_sentences, self.num_held_out, self.num_test)
        if not self._is_text:
            return build_source(None, self.stems, *sizes)
        words = (self.source_words, self.target_words)
        lengths = (self.translation_length, self.tag_length)
        text = TextSource(self.dataset, self.data_dir, *words, *lengths)
        return build_source(text, self.stems, *sizes)

    @property
    def _is_text(self) -> bool:
        return self.dataset != SYNTHETIC

    @functools.cached_property
    def readers(self) -> Readers:
        """The networks on these sentences."""
        model = EncoderDecoder(
            embedding_size=self.embedding_size,
            hidden_size=self.hidden_size,
            layers=self.layers,
            bidirectional=self.bidirectional,
            residual=self.residual,
            dropout=self.dropout,
        )
        return Readers(model, self.source)

    @property
    def data_digest(self) -> str:
        return self.source.digest

    def remarks(self, split: Split) -> tuple[str, ...]:
        return self.source.remarks

    @functools.cached_property
    def validation_metrics(self) -> tuple[Metric, ...]:
        return figures.perplexities(self.source.vocabularies)

    @functools.cached_property
    def score_metrics(self) -> tuple[Metric, ...]:
        return self.validation_metrics + figures.decoded_metrics(self._is_text)

    def make_data(self, keys: Keys) -> Any:
        return self.source.draw(keys)

    def initial_parameters(self, keys: Keys) -> dict[str, Any]:
        return self.readers.initial_parameters(keys.run)

    def draws(self, data: Any, keys: Int64[Tensor, " rows"]) -> dict[str, Tensor]:
        counts, firsts = figures.counts_on(self.source.counts, str(keys.device))
        drawn = random.integers(keys, (len(TASKS), self.batch_size), _LARGEST_DRAW)
        return {"index": (drawn * counts >> 31) + firsts, "keys": keys}

    def batch_of(self, data: Any, draws: dict[str, Tensor]) -> dict[str, Tensor]:
        index, keys = draws["index"], draws["keys"]
        sentences = self.source.training(data, index.flatten(1))
        shape = (len(keys), len(TASKS), self.batch_size, -1)
        return {"sentences": sentences.view(shape), "keys": keys}

    def losses(self) -> dict[str, Loss]:
        return {task: functools.partial(self._loss, task) for task in TASKS}

    def _loss(
        self, task: str, parameters: Parameters, batch: dict[str, Tensor]
    ) -> Float[Tensor, " num_envs"]:
        sentences = batch["sentences"][:, TASKS.index(task)]
        return self.readers.cross_entropy(parameters, task, sentences, batch["keys"])

    def validation_values(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs 3"]:
        parts = self.source.held_out(data, "validation")
        return self.readers.perplexities(parameters, parts, self.validation_metrics)

    def score_values(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs _"]:
        parts = self.source.held_out(data, "test")
        perplexities = self.readers.perplexities(parameters, parts, self.validation_metrics)
        decoded = self.readers.decoded_figures(parameters, parts, self._is_text)
        return torch.cat([perplexities, decoded], dim=1)

    def translations(self, state: State, count: int) -> list[list[Translation]]:
        sentences = self.source.held_out(state.data, "validation")[0][:, :count]
        return self.readers.translations(self.unpack(state.parameters), sentences)
