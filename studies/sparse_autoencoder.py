"""Loss weights for a sparse autoencoder of MNIST: what the weighting rules reach after 2, 5, 15 and
30 epochs.

    AUTOLOSS_GYM_DATA=FOLDER python -m studies.sparse_autoencoder AUTOLOSS_GYM_DATA=FOLDER python -m
    studies.sparse_autoencoder --controllers 'runs/ppo/AutoLoss-SparseAutoencoder-v0_*'

An epoch is 1,500 images in batches of 50. Every rule meets the same runs: one initialisation and
one resample of the training images for each seed. Figures are means over these runs on the test
images, with 95 % bootstrap intervals; those of controllers trained by `train_agent.py` are over
training seeds too, --print-arguments prints the --env-kwargs of their training. The fixed weight is
the one of a grid whose mean validation cost is best in runs of its own. Last, the time of a step
with SoftAdapt is compared with that of fixed weights.
"""

import argparse
import glob
import json
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import nn

from agents.command_line import OneLineParser, main, positive
from agents.environments import SEED_SPACING
from agents.evaluation.rollout import decide
from agents.evaluation.statistics import Estimate, bootstrap
from agents.policies.grammar import parse_specification
from agents.policies.policy import Policy
from agents.policies.schedules import FixedWeights
from agents.policies.trained_policy import TrainedPolicy
from agents.policies.weighting import weighting_policy
from autoloss_gym.data.images import load_images
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.weightings import SoftAdapt

ID = "AutoLoss/SparseAutoencoder-v0"
EPOCH = 30  # steps
EPOCHS = (2, 5, 15, 30)
ARGUMENTS: dict[str, Any] = {
    "preset": "mnist",
    "hidden_sizes": [64],
    "code_size": 32,
    "batch_size": 50,
    "num_samples": 1500,
    "max_steps": EPOCH * EPOCHS[-1],
    "validate_every": EPOCH,
    "control": "weights",
}
RULES = ("equal", "softadapt", "softadapt:loss_weighted", "softadapt:normalized,loss_weighted", "dwa", "uncertainty",
         "gradnorm", "random_weights")  # fmt: skip
GRID = tuple(np.geomspace(1 / 64, 64.0, 13))
COLUMNS = ("pcc", "reconstruction_error", "sparsity", "active", "cost")


def make_env(num_envs: int, split: str, **arguments: Any) -> AutoLossVectorEnv:
    envs = gymnasium.make_vec(ID, num_envs=num_envs, split=split, **{**ARGUMENTS, **arguments})
    assert isinstance(envs, AutoLossVectorEnv)
    return envs


def play(policies: list[Policy], split: str, seeds: np.ndarray, **arguments: Any) -> np.ndarray:
    """Figures after `EPOCHS` of all policies on the same runs: (epochs, policies, seeds, metrics)
    of the task's score.
    """
    count, repeat = len(seeds), int(arguments.get("repeat", 1))
    envs = make_env(len(policies) * count, split, autoreset_mode="Disabled", **arguments)
    slices = [slice(k * count, (k + 1) * count) for k in range(len(policies))]
    observations, infos = envs.reset(seed=np.tile(seeds, len(policies)).tolist())
    for policy in policies:
        policy.reset(seeds)
    found = []
    for step in range(repeat, EPOCH * EPOCHS[-1] + 1, repeat):
        observations, _, _, _, infos = envs.step_control(
            decide(policies, slices, envs, observations, infos)
        )
        if step in {EPOCH * epoch for epoch in EPOCHS}:
            scores = envs.scores()
            found.append(np.stack([scores[rows] for rows in slices]))
    return np.stack(found)


def best_fixed(seeds: int) -> Policy:
    """The weight of the penalty with the best mean validation cost at the end, in runs of the
    validation split.
    """
    candidates: list[Policy] = [
        FixedWeights(f"fixed:{weight:.3g}", (1.0, float(weight))) for weight in GRID
    ]
    names = [metric.name for metric in make_env(1, "validation").task.score_metrics]
    costs = play(candidates, "validation", np.arange(seeds))[-1, :, :, names.index("cost")].mean(
        axis=1
    )
    for policy, cost in zip(candidates, costs, strict=True):
        print(f"{policy.label}: cost {cost:.3f} on the validation split", file=sys.stderr)
    return candidates[int(costs.argmin())]


def table(figures: dict[str, np.ndarray], names: list[str]) -> str:
    """Markdown: a row for every policy and epoch, from figures (epochs, training seeds, seeds,
    metrics) of each policy.
    """
    lines = [
        f"| policy | epoch | n | {' | '.join(COLUMNS)} |",
        "| --- | ---: | ---: |" + " ---: |" * len(COLUMNS),
    ]
    for label, values in figures.items():
        trainings, seeds = values.shape[1:3]
        size = f"{trainings}×{seeds}" if trainings > 1 else str(seeds)
        for epoch, at in zip(EPOCHS, values, strict=True):
            cells = [_cell(bootstrap(at[:, :, names.index(column)])) for column in COLUMNS]
            lines.append(f"| {label} | {epoch} | {size} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(estimate: Estimate) -> str:
    return f"{estimate.value:.3g} [{estimate.low:.3g}, {estimate.high:.3g}]"


def controllers(pattern: str) -> list[Policy]:
    """The trained policies of the run folders that match, ready to act."""
    policies = [TrainedPolicy(Path(folder), ID) for folder in sorted(glob.glob(pattern))]
    if not policies:
        raise ValueError(f"--controllers {pattern!r}: there is no such folder")
    for policy in policies:
        policy.load(make_env(1, "validation", **policy.env_arguments))
    return list(policies)


def step_times(turns: int) -> str:
    """Time of a training step of one model in a PyTorch loop with SoftAdapt, relative to fixed
    weights.
    """
    images = torch.from_numpy(load_images("mnist").images[:5000]).reshape(5000, -1)
    images = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    plays = {"fixed": _loop(images, None), "SoftAdapt": _loop(images, SoftAdapt(loss_weighted=True)),
             "SoftAdapt, every 10 steps": _loop(images, SoftAdapt(loss_weighted=True, every=10))}  # fmt: skip
    seconds: dict[str, list[float]] = {name: [] for name in plays}
    for turn in range(turns + 1):
        for name, advance in plays.items():
            started = time.perf_counter()
            advance()
            if turn:
                seconds[name].append(time.perf_counter() - started)
    lines = [
        "| a training step with | time relative to fixed weights [quartiles] |",
        "| --- | ---: |",
    ]
    for name, values in seconds.items():
        low, middle, high = np.quantile(
            np.array(values) / np.array(seconds["fixed"]), [0.25, 0.5, 0.75]
        )
        lines.append(f"| {name} | {middle:.3f} [{low:.3f}, {high:.3f}] |")
    return "\n".join(lines)


def _loop(images: torch.Tensor, rule: SoftAdapt | None) -> Any:
    """A hundred steps of the autoencoder of preset "mnist", one model, batches of 100."""
    encoder = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU())
    decoder = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 784), nn.Sigmoid())
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    generator = torch.Generator().manual_seed(0)

    def advance() -> None:
        weights: Any = (0.5, 0.5)
        for _ in range(100):
            batch = images[torch.randint(len(images), (100,), generator=generator)]
            code = encoder(batch)
            losses = ((decoder(code) - batch) ** 2).mean(), 1e-3 * code.sum(dim=1).mean()
            if rule:
                weights = rule.update(losses)
            optimizer.zero_grad()
            (weights[0] * losses[0] + weights[1] * losses[1]).backward()
            optimizer.step()

    return advance


def run() -> None:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seeds", type=positive, default=10, help="runs of every policy (default: 10)"
    )
    parser.add_argument("--turns", type=positive, default=20, help="of timing (default: 20)")
    parser.add_argument(
        "--controllers",
        help="run folders of controllers trained with these arguments, as a pattern",
    )
    parser.add_argument(
        "--print-arguments",
        action="store_true",
        help="print the --env-kwargs of a controller's training, and end",
    )
    parser.add_argument("-o", "--output", type=Path, help="write all figures to this JSON file")
    arguments = parser.parse_args()
    if arguments.print_arguments:
        chosen = {**ARGUMENTS, "repeat": 10}
        print(
            " ".join(
                f"{n}={json.dumps(v).replace(' ', '') if isinstance(v, list) else v}"
                for n, v in chosen.items()
            )
        )
        return
    torch.set_num_threads(1)
    seeds = np.arange(arguments.seeds) + SEED_SPACING
    names = [metric.name for metric in make_env(1, "test").task.score_metrics]
    policies: list[Policy] = [best_fixed(min(5, arguments.seeds))]
    for text in RULES:
        policies.append(weighting_policy(parse_specification(text)))
    played = play(policies, "test", seeds)
    figures = {policy.label: played[:, k : k + 1] for k, policy in enumerate(policies)}
    if arguments.controllers:
        trained = controllers(arguments.controllers)
        figures["ppo"] = play(trained, "test", seeds, **trained[0].env_arguments)
    print(table(figures, names), flush=True)
    print(step_times(arguments.turns))
    if arguments.output:
        arguments.output.write_text(
            json.dumps(
                {"metrics": names, "epochs": EPOCHS, **{n: v.tolist() for n, v in figures.items()}}
            )
        )


if __name__ == "__main__":
    sys.exit(main(run))
