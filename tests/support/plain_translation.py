"""The networks of multi-task translation as one would write them for a single model."""

import torch
from torch import Tensor, nn

from autoloss_gym.data.sentences.encoding import START, TASKS
from autoloss_gym.tasks.translation.multi_task_translation import MultiTaskTranslation
from autoloss_gym.tasks.translation.readers import DECODERS


class PlainEncoder(nn.Module):
    """A bidirectional LSTM over packed sequences."""

    def __init__(self, words: int, embedding: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, embedding)
        self.lstm = nn.LSTM(embedding, hidden, batch_first=True, bidirectional=True)

    def forward(self, source: Tensor) -> tuple[Tensor, Tensor]:
        lengths = (source != 0).sum(dim=1)
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embedding(source), lengths, batch_first=True, enforce_sorted=False
        )
        outputs, (last, _) = self.lstm(packed)
        states, _ = nn.utils.rnn.pad_packed_sequence(
            outputs, batch_first=True, total_length=source.shape[1]
        )
        return states, torch.cat([last[0], last[1]], dim=1)


class PlainDecoder(nn.Module):
    """An LSTM with Luong's general attention."""

    def __init__(self, words: int, embedding: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, embedding)
        self.start = nn.Linear(2 * hidden, 2 * hidden)
        self.lstm = nn.LSTM(embedding, hidden, batch_first=True)
        self.keys = nn.Linear(2 * hidden, hidden, bias=False)
        self.combined = nn.Linear(3 * hidden, hidden)
        self.output = nn.Linear(hidden, words)

    def begin(self, last: Tensor) -> tuple[Tensor, Tensor]:
        hidden, cell = self.start(last).chunk(2, dim=1)
        return torch.tanh(hidden)[None], cell.contiguous()[None]

    def logits(self, values: Tensor, states: Tensor, seen: Tensor) -> Tensor:
        scores = values @ self.keys(states).transpose(1, 2)
        scores = scores.masked_fill(~seen[:, None, :], float("-inf"))
        context = scores.softmax(dim=2) @ states
        return self.output(torch.tanh(self.combined(torch.cat([context, values], dim=2))))

    def forward(self, target: Tensor, states: Tensor, last: Tensor, seen: Tensor) -> Tensor:
        before = torch.cat([torch.full_like(target[:, :1], START), target[:, :-1]], dim=1)
        values, _ = self.lstm(self.embedding(before), self.begin(last))
        return self.logits(values, states, seen)

    def greedy(self, length: int, states: Tensor, last: Tensor, seen: Tensor) -> Tensor:
        memory = self.begin(last)
        word = torch.full((len(states), 1), START)
        words = []
        for _ in range(length):
            values, memory = self.lstm(self.embedding(word), memory)
            word = self.logits(values, states, seen).argmax(dim=2)
            words.append(word)
        return torch.cat(words, dim=1)


class PlainTranslation(nn.Module):
    """The encoder with a decoder for each task; for one layer in both directions."""

    def __init__(self, task: MultiTaskTranslation) -> None:
        super().__init__()
        vocabularies = task.source.vocabularies
        sizes = (task.embedding_size, task.hidden_size)
        self.encoder = PlainEncoder(len(vocabularies.source), *sizes)
        for name, words in zip(TASKS, vocabularies.targets, strict=True):
            self.add_module(DECODERS[name], PlainDecoder(len(words), *sizes))

    def decoder(self, task: str) -> PlainDecoder:
        return self.get_submodule(DECODERS[task])  # type: ignore[return-value]

    def loss(self, task: str, source: Tensor, target: Tensor) -> Tensor:
        states, last = self.encoder(source)
        logits = self.decoder(task)(target, states, last, source != 0)
        return nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=0)

    def greedy(self, task: str, source: Tensor, length: int) -> Tensor:
        states, last = self.encoder(source)
        return self.decoder(task).greedy(length, states, last, source != 0)

    @torch.no_grad()
    def load(self, blocks: dict[str, dict[str, Tensor]], run: int) -> None:
        """Take the parameters of one run of the batch."""
        for block, tensors in blocks.items():
            own = self.get_submodule(block)
            for name, values in tensors.items():
                _own_parameter(own, name).copy_(_as_plain(name, values[run]))

    def named(self, block: str, tensor: str) -> Tensor:
        """The parameter that stands for a tensor of the batched model."""
        return _own_parameter(self.get_submodule(block), tensor)


def _own_parameter(module: nn.Module, name: str) -> Tensor:
    layer, _, kind = name.partition(".")
    if layer == "embedding":
        return module.get_parameter("embedding.weight")
    if kind.startswith(("weight_", "bias_")):
        ending = "_l0_reverse" if layer.startswith("backward") else "_l0"
        return module.get_parameter(f"lstm.{kind}{ending}")
    return module.get_parameter(f"{layer.removesuffix('_0')}.{kind}")


def _as_plain(name: str, values: Tensor) -> Tensor:
    """A linear layer is transposed in PyTorch; everything else is the same."""
    is_linear = name.endswith(".weight")
    return values.T if is_linear else values


def as_batched(name: str, values: Tensor) -> Tensor:
    """What `PlainTranslation` calls so, in the shape of the batched model."""
    return _as_plain(name, values)
