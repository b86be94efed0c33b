"""An encoder of sentences and decoders with attention (AutoLoss §5.1.3 and A.3), batched over runs.

The decoders are those of Luong et al. (see `autoloss_gym.networks.attention`), without input
feeding: at every word h̃ = tanh(W [context; h]), where h is the state of the last layer.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.data.sentences.encoding import START
from autoloss_gym.networks.attention import attend, initial_linear, linear
from autoloss_gym.networks.recurrent import (
    Memory,
    embed,
    initial_embedding,
    initial_lstm,
    last_place,
    lstm,
    lstm_cell,
    placed,
    reversal,
    within_lengths,
)

Block = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class EncoderDecoder:
    """Sizes of the networks, and what they compute.

    Args:
        embedding_size: numbers of a word's vector.
        hidden_size: units of each LSTM.
        layers: LSTMs above each other, in the encoder and in every decoder.
        bidirectional: whether the encoder reads backwards too.
        residual: whether layers after the first add their inputs to their outputs.
        dropout: probability with which a number of a word's vector, and of the state before the
            output layer, is dropped for a whole sentence of an update.
    """

    embedding_size: int
    hidden_size: int
    layers: int
    bidirectional: bool
    residual: bool
    dropout: float

    @property
    def directions(self) -> tuple[str, ...]:
        """In which the encoder reads."""
        return ("forward", "backward") if self.bidirectional else ("forward",)

    @property
    def state_size(self) -> int:
        """Numbers that the encoder says of each word."""
        return self.hidden_size * len(self.directions)

    def initial_encoder(self, keys: Int64[Tensor, " num_envs"], words: int) -> dict[str, Tensor]:
        """Parameters of the encoder, drawn with the key of each run.

        Args:
            keys: one for each run.
            words: of the source vocabulary.
        """
        block = initial_embedding(keys, "embedding", words, self.embedding_size)
        inputs = self.embedding_size
        for layer in range(self.layers):
            for direction in self.directions:
                block |= initial_lstm(keys, f"{direction}_{layer}", inputs, self.hidden_size)
            inputs = self.state_size
        return block

    def initial_decoder(self, keys: Int64[Tensor, " num_envs"], words: int) -> dict[str, Tensor]:
        """Parameters of a decoder, drawn with the key of each run.

        Args:
            keys: one for each run.
            words: of the target vocabulary.
        """
        hidden, state = self.hidden_size, self.state_size
        block = initial_embedding(keys, "embedding", words, self.embedding_size)
        inputs = self.embedding_size
        for layer in range(self.layers):
            block |= initial_linear(keys, f"start_{layer}", state, 2 * hidden)
            block |= initial_lstm(keys, f"layer_{layer}", inputs, hidden)
            inputs = hidden
        block |= initial_linear(keys, "keys", state, hidden, bias=False)
        block |= initial_linear(keys, "combined", state + hidden, hidden)
        return block | initial_linear(keys, "output", hidden, words)

    def encode(
        self,
        encoder: Block,
        ids: Int64[Tensor, "num_envs rows places"],
        dropout_keys: Int64[Tensor, " num_envs"] | None = None,
    ) -> "Encoded":
        """The states of the encoder at each word of the sources.

        Args:
            encoder: its parameters.
            ids: words, padded with 0 at the end.
            dropout_keys: of this update; None drops nothing.
        """
        seen = within_lengths(ids)
        lengths = seen.sum(dim=2)
        values = self._dropped(embed(encoder["embedding"], ids), dropout_keys, "source")
        time = ids.shape[2]
        turned = reversal(lengths, time) if self.bidirectional else None
        for layer in range(self.layers):
            outputs, _ = lstm(values, encoder, f"forward_{layer}")
            if turned is not None:
                backward, _ = lstm(placed(turned, values), encoder, f"backward_{layer}")
                outputs = torch.cat([outputs, placed(turned, backward)], dim=3)
            values = outputs + values if self.residual and layer else outputs
        # Of each direction the state after the whole sentence.
        last = placed(last_place(lengths, time), values)[:, :, 0]
        if self.bidirectional:
            hidden = self.hidden_size
            last = torch.cat([last[..., :hidden], values[:, :, 0, hidden:]], dim=2)
        return Encoded(states=values, seen=seen, last=last)

    def decode(
        self,
        decoder: Block,
        encoded: "Encoded",
        targets: Int64[Tensor, "num_envs rows time"],
        dropout_keys: Int64[Tensor, " num_envs"] | None = None,
    ) -> Float[Tensor, "num_envs rows time words"]:
        """Logits of every target word, given those before it.

        Args:
            decoder: its parameters.
            encoded: the sources.
            targets: words, padded with 0 at the end.
            dropout_keys: of this update; None drops nothing.
        """
        start = torch.full_like(targets[:, :, :1], START)
        before = torch.cat([start, targets[:, :, :-1]], dim=2)
        values = self._dropped(embed(decoder["embedding"], before), dropout_keys, "target")
        for layer in range(self.layers):
            memory = self._start(decoder, encoded, layer)
            outputs, _ = lstm(values, decoder, f"layer_{layer}", memory)
            values = outputs + values if self.residual and layer else outputs
        keys = linear(encoded.states, decoder, "keys")
        return self._logits(decoder, encoded, keys, values, dropout_keys)

    def greedy(
        self, decoder: Block, encoded: "Encoded", length: int
    ) -> Int64[Tensor, "num_envs rows {length}"]:
        """The most probable word after the most probable words before it, `length` times.

        Words after an end mean nothing.
        """
        keys = linear(encoded.states, decoder, "keys")
        memories = [self._start(decoder, encoded, layer) for layer in range(self.layers)]
        words = torch.full_like(encoded.seen[:, :, 0], START, dtype=torch.int64)
        found = []
        for _ in range(length):
            values = embed(decoder["embedding"], words[:, :, None])[:, :, 0]
            for layer in range(self.layers):
                memories[layer] = lstm_cell(values, decoder, f"layer_{layer}", memories[layer])
                hidden = memories[layer][0]
                values = hidden + values if self.residual and layer else hidden
            logits = self._logits(decoder, encoded, keys, values[:, :, None], None)
            words = logits[:, :, 0].argmax(dim=2)
            found.append(words)
        return torch.stack(found, dim=2)

    def _start(self, decoder: Block, encoded: "Encoded", layer: int) -> Memory:
        """The state of a layer before the first word."""
        hidden, cell = linear(encoded.last, decoder, f"start_{layer}").chunk(2, dim=2)
        return torch.tanh(hidden), cell.contiguous()

    def _logits(
        self,
        decoder: Block,
        encoded: "Encoded",
        keys: Tensor,
        values: Float[Tensor, "num_envs rows time hidden"],
        dropout_keys: Int64[Tensor, " num_envs"] | None,
    ) -> Float[Tensor, "num_envs rows time words"]:
        """What the states of the last layer say of the next word."""
        context = attend(values, keys, encoded.states, encoded.seen)
        combined = torch.tanh(linear(torch.cat([context, values], dim=3), decoder, "combined"))
        return linear(self._dropped(combined, dropout_keys, "combined"), decoder, "output")

    def _dropped(
        self, values: Tensor, keys: Int64[Tensor, " num_envs"] | None, place: str
    ) -> Tensor:
        """Values of which some are 0, the same throughout a sentence; the others are larger."""
        if keys is None or not self.dropout:
            return values
        shape = (values.shape[1], 1, values.shape[3])
        kept = random.uniform(random.fold_in(keys, f"dropout {place}"), shape) >= self.dropout
        return values * (kept / (1 - self.dropout))


@dataclass(frozen=True)
class Encoded:
    """Sources as the decoders see them.

    Args:
        states: of the encoder at each word, (num_envs, rows, places, state_size).
        seen: where words stand, (num_envs, rows, places), bool.
        last: the state after the whole sentence, (num_envs, rows, state_size).
    """

    states: Tensor
    seen: Tensor
    last: Tensor
