"""Multi-task translation against a loop over one model, as one writes it in PyTorch.

    python -m benchmarks.translation    # one thread; turns alternate; processor time

A turn trains every run for `--steps` updates, of which each chooses one of the three losses at
random, and validates all three at every 50th. The loop trains its models one after another: padded
batches, `torch.nn.LSTM`, Luong's attention, `clip_grad_norm_` and `torch.optim.Adam`, also fused.
The environment does what the loop does, and besides reads backwards within the length of each
sentence, observes, and pays a reward. Then the time of a reset and the memory of a run.
"""

import argparse
import sys
import time

import numpy as np
import torch
from torch import Tensor, nn

from agents.command_line import OneLineParser, main
from agents.options import positive
from autoloss_gym import AutoLossVectorEnv
from autoloss_gym.core.state import Keys
from autoloss_gym.data.sentences.encoding import START
from autoloss_gym.tasks.translation.multi_task_translation import MultiTaskTranslation
from benchmarks.memory import resident_mebibytes
from benchmarks.sides import Side, measure, report

Sentences = list[Tensor]  # of each task, (sentences, words of the source and of the target)


class Decoder(nn.Module):
    """An LSTM with attention to the states of the encoder."""

    def __init__(self, words: int, embedding: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, embedding)
        self.start = nn.Linear(2 * hidden, 2 * hidden)
        self.lstm = nn.LSTM(embedding, hidden, batch_first=True)
        self.keys = nn.Linear(2 * hidden, hidden, bias=False)
        self.combined = nn.Linear(3 * hidden, hidden)
        self.output = nn.Linear(hidden, words)

    def forward(self, target: Tensor, states: Tensor, last: Tensor, padding: Tensor) -> Tensor:
        begin = torch.full_like(target[:, :1], START)
        before = torch.cat([begin, target[:, :-1]], dim=1)
        hidden, cell = self.start(last).chunk(2, dim=1)
        memory = (hidden.tanh()[None], cell.contiguous()[None])
        values, _ = self.lstm(self.embedding(before), memory)
        scores = values @ self.keys(states).transpose(1, 2)
        weights = scores.masked_fill(padding[:, None], float("-inf")).softmax(dim=2)
        combined = self.combined(torch.cat([weights @ states, values], dim=2))
        return self.output(combined.tanh())


class Translator(nn.Module):
    """The encoder with three decoders."""

    def __init__(self, task: MultiTaskTranslation) -> None:
        super().__init__()
        vocabularies = task.source.vocabularies
        embedding, hidden = task.embedding_size, task.hidden_size
        self.embedding = nn.Embedding(len(vocabularies.source), embedding)
        self.lstm = nn.LSTM(embedding, hidden, batch_first=True, bidirectional=True)
        decoders = [Decoder(len(words), embedding, hidden) for words in vocabularies.targets]
        self.decoders = nn.ModuleList(decoders)

    def loss(self, pair: int, sentences: Tensor, source_length: int) -> Tensor:
        source, target = sentences[:, :source_length], sentences[:, source_length:]
        states, (last, _) = self.lstm(self.embedding(source))
        logits = self.decoders[pair](target, states, torch.cat([*last], dim=1), source == 0)
        return nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=0)


def own_loop(task: MultiTaskTranslation, num_models: int, steps: int, fused: bool) -> Side:
    """Trains models one after another, each from the beginning."""
    keys = torch.zeros(1, dtype=torch.int64, device="cpu")
    data = task.make_data(Keys(problem=keys, run=keys))
    training, validation = data["training"][0].long(), data["validation"][0].long()
    by_task = training.split(list(task.num_sentences))
    generator = np.random.default_rng(0)
    rate = task.optimizer.learning_rate

    def train() -> None:
        model = Translator(task)
        optimizer = torch.optim.Adam(model.parameters(), lr=rate, fused=fused)
        for step in range(1, steps + 1):
            pair = int(generator.integers(3))
            rows = torch.randint(len(by_task[pair]), (task.batch_size,))
            loss = model.loss(pair, by_task[pair][rows], task.source.source_length)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), task.clip_norm)
            optimizer.step()
            loss.item()
            if step % task.validate_every == 0:
                with torch.no_grad():
                    for each in range(3):
                        model.loss(each, validation[each], task.source.source_length).item()

    def play() -> int:
        for _ in range(num_models):
            train()
        return steps * num_models

    return play


def environment(task: MultiTaskTranslation, num_envs: int, steps: int) -> Side:
    """The vector environment, every run with pairs of its own."""
    envs = AutoLossVectorEnv(task, num_envs)
    envs.reset(seed=0)
    generator = np.random.default_rng(0)

    def play() -> int:
        for _ in range(steps):
            envs.step(generator.integers(3, size=num_envs))
        return steps * num_envs

    return play


def reset_and_memory(task: MultiTaskTranslation, num_envs: int) -> str:
    """The processor time of a reset, and how far the resident memory rises, for each run."""
    before = resident_mebibytes()
    envs = AutoLossVectorEnv(task, num_envs)
    envs.reset(seed=0)
    envs.step(np.zeros(num_envs, np.int64))
    rise = (resident_mebibytes() - before) / num_envs
    times = []
    for seed in range(10):
        started = time.process_time()
        envs.reset(seed=seed)
        times.append(1000 * (time.process_time() - started) / num_envs)
    return (
        f"{num_envs} runs: reset {np.median(times):.1f} ms a run (median of {len(times)}), "
        f"{rise:.1f} MiB a run"
    )


def run() -> None:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=positive, default=10, help="measured turns (default: 10)")
    parser.add_argument(
        "--steps", type=positive, default=100, help="updates of a run in a turn (default: 100)"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    # Scores at the end of a run are no part of a step.
    task = MultiTaskTranslation(max_steps=10**6)
    steps = arguments.steps
    sides = {
        "loop": own_loop(task, 1, steps, fused=False),
        "loop, fused Adam": own_loop(task, 1, steps, fused=True),
        "environment of 1 run": environment(task, 1, steps),
        "environment of 4 runs": environment(task, 4, steps),
        "environment of 8 runs": environment(task, 8, steps),
    }
    print(report("translation", measure(sides, arguments.turns, time.process_time)))
    for num_envs in (64, 1):
        print(reset_and_memory(MultiTaskTranslation(), num_envs))


if __name__ == "__main__":
    sys.exit(main(run))
