"""Memory of a long training: does it grow?

    python -m benchmarks.memory    # PPO on the regression, 64 runs, 2 million environment steps

The resident memory of the process is read after every rollout. Prints its mean over the second
tenth and over the last tenth of the training, and draws it to docs/results/memory.png.
"""

import argparse
import os
import sys
from pathlib import Path

import numpy as np
import torch

from agents.command_line import OneLineParser, main
from agents.options import positive
from benchmarks import ROOT
from benchmarks.ppo_profile import Training


def resident_mebibytes() -> float:
    """Memory of this process that is in use (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(training: Training, rollouts: int) -> np.ndarray:
    """Mebibytes after every rollout, (rollouts,)."""
    memory = np.zeros(rollouts)
    for index in range(rollouts):
        training.advance()
        memory[index] = resident_mebibytes()
    return memory


def draw(memory: np.ndarray, steps: int, path: Path) -> None:
    from matplotlib.figure import Figure  # noqa: PLC0415 (slow to import, needed at the end alone)

    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(np.arange(1, len(memory) + 1) * steps / 1e6, memory)
    axes.set(
        xlabel="environment steps (millions)",
        ylabel="resident memory (MiB)",
        ylim=(0, 1.2 * memory.max()),
    )
    axes.set_title("PPO on the regression: memory of the process")
    figure.savefig(path, dpi=120)


def run() -> None:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--num-envs", type=positive, default=64, help="runs in the batch (default: 64)"
    )
    parser.add_argument(
        "--n-timesteps",
        type=positive,
        default=2_000_000,
        help="environment steps (default: 2 million)",
    )
    parser.add_argument("--figure", type=Path, default=ROOT / "docs" / "results" / "memory.png")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    training = Training("regression", arguments.num_envs, compile=False)
    rollouts = max(10, arguments.n_timesteps // training.steps)
    memory = measure(training, rollouts)
    tenth = rollouts // 10
    early = memory[tenth : 2 * tenth].mean()
    late = memory[-tenth:].mean()
    draw(memory, training.steps, arguments.figure)
    print(
        f"{rollouts * training.steps:,} steps: {early:.1f} MiB in the second tenth, "
        f"{late:.1f} MiB in the last ({late - early:+.1f} MiB); {arguments.figure.name} drawn"
    )


if __name__ == "__main__":
    sys.exit(main(run))
