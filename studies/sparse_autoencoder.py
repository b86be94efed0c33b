"""Loss weights for a sparse autoencoder of MNIST: the results of weighting rules in 30 epochs.

    AUTOLOSS_GYM_DATA=FOLDER python -m studies.sparse_autoencoder
    AUTOLOSS_GYM_DATA=FOLDER python -m studies.sparse_autoencoder \\
        --controllers 'runs/ppo/AutoLoss-SparseAutoencoder-v1_*'

An epoch is 1,500 images in batches of 50; figures are taken after 2, 5, 15 and 30 epochs. Every
rule meets the same runs: one initialisation and one resample of the training images for each seed.
The figures are means over these runs on the test images, with 95 % bootstrap intervals; those of
controllers trained by `train_agent.py` are over training seeds too. --print-arguments prints the
--env-kwargs of their training. The fixed weight is the one of a grid whose mean validation cost is
best in runs of its own. At last, the time of a step with SoftAdapt is compared with that of fixed
weights.
"""

import argparse
import glob
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from agents.command_line import OneLineParser, main
from agents.environments import SEED_SPACING, EnvironmentMaker
from agents.evaluation.curves import Job, play
from agents.evaluation.statistics import bootstrap
from agents.options import positive
from agents.policies.grammar import parse_specification
from agents.policies.trained.trained_policy import TrainedPolicy
from agents.policies.weighting import weighting_policy
from autoloss_gym.controllers.policies.static import FixedWeights
from autoloss_gym.controllers.policy import Policy
from autoloss_gym.data.images import load_images
from autoloss_gym.tools.files import write_text
from autoloss_gym.weightings import SoftAdapt
from studies.markdown import interval, quartiles, sample_size, table

ID = "AutoLoss/SparseAutoencoder-v1"
EPOCH = 30  # steps
EPOCHS = (2, 5, 15, 30)
STEPS = tuple(EPOCH * epoch for epoch in EPOCHS)
ARGUMENTS: dict[str, Any] = {
    "preset": "mnist",
    "hidden_sizes": [64],
    "code_size": 32,
    "batch_size": 50,
    "num_samples": 1500,
    "max_steps": STEPS[-1],
    "validate_every": EPOCH,
    "control": "weights",
}
RULES = (
    "equal",
    "softadapt",
    "softadapt:loss_weighted",
    "softadapt:normalized,loss_weighted",
    "dwa",
    "uncertainty",
    "gradnorm",
    "random_weights",
)
GRID = np.geomspace(1 / 64, 64.0, 13)  # of the weight of the penalty
COLUMNS = ("pcc", "reconstruction_error", "sparsity", "active", "cost")


def make_env(split: str) -> EnvironmentMaker:
    return EnvironmentMaker(ID, {**ARGUMENTS, "split": split})


def metric_names() -> list[str]:
    return [metric.name for metric in make_env("test")(num_envs=1).task.score_metrics]


def curve(policy: Policy, split: str, seeds: tuple[int, ...]) -> np.ndarray:
    """Scores of a policy after each of `EPOCHS`, (epochs, seeds, metrics)."""
    scores = play(Job(make_env(split), policy, seeds, STEPS))
    return scores.astype(np.float32)  # as they are measured: the published means were taken in it


def best_fixed(seeds: int) -> Policy:
    """The weight of the penalty with the best mean cost at the end, on the validation split."""
    cost = metric_names().index("cost")
    candidates = []
    costs = []
    for weight in GRID:
        policy = FixedWeights(f"fixed:{weight:.3g}", (1.0, float(weight)))
        played = curve(policy, "validation", tuple(range(seeds)))
        candidates.append(policy)
        costs.append(played[-1, :, cost].mean())
        print(f"{policy.label}: cost {costs[-1]:.3f} on the validation split", file=sys.stderr)
    return candidates[int(np.argmin(costs))]


def weighting_rules() -> list[Policy]:
    """The rules of the table."""
    policies: list[Policy] = []
    for text in RULES:
        policies.append(weighting_policy(parse_specification(text)))
    return policies


def controllers(pattern: str) -> list[Policy]:
    """The trained policies of the run folders that match, ready to act."""
    policies = [TrainedPolicy(Path(folder), ID) for folder in sorted(glob.glob(pattern))]
    if not policies:
        raise ValueError(f"--controllers {pattern!r}: there is no such folder")
    for policy in policies:
        policy.load(make_env("validation")(num_envs=1, **policy.env_arguments))
    return list(policies)


def figures_table(figures: dict[str, np.ndarray], names: list[str]) -> str:
    """Markdown: a row for every policy and epoch.

    Args:
        figures: of each policy, (epochs, training seeds, seeds, metrics).
        names: of the metrics.
    """
    rows = []
    for label, values in figures.items():
        for epoch, scores in zip(EPOCHS, values, strict=True):
            row = [label, str(epoch), sample_size(scores[..., 0])]
            for column in COLUMNS:
                row.append(interval(bootstrap(scores[..., names.index(column)]), ".3g"))
            rows.append(row)
    return table(["policy", "epoch", "n", *COLUMNS], rows)


def step_times(turns: int) -> str:
    """Time of a training step of one model with SoftAdapt, relative to fixed weights."""
    images = torch.from_numpy(load_images("mnist").images[:5000]).reshape(5000, -1)
    pixels = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    loops = {
        "fixed": _loop(pixels, None),
        "SoftAdapt": _loop(pixels, SoftAdapt(loss_weighted=True)),
        "SoftAdapt, every 10 steps": _loop(pixels, SoftAdapt(loss_weighted=True, every=10)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(turns + 1):
        for name, advance in loops.items():
            started = time.perf_counter()
            advance()
            if turn:  # the first warms up
                seconds[name].append(time.perf_counter() - started)

    fixed = np.array(seconds["fixed"])
    rows = [(name, quartiles(np.array(values) / fixed, ".3f")) for name, values in seconds.items()]
    return table(["a training step with", "time relative to fixed weights [quartiles]"], rows)


def _loop(images: torch.Tensor, rule: SoftAdapt | None) -> Callable[[], None]:
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
            error = ((decoder(code) - batch) ** 2).mean()
            penalty = 1e-3 * code.sum(dim=1).mean()
            if rule:
                weights = rule.update((error, penalty))
            optimizer.zero_grad()
            (weights[0] * error + weights[1] * penalty).backward()
            optimizer.step()

    return advance


def parse_arguments() -> argparse.Namespace:
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
    return parser.parse_args()


def training_arguments() -> str:
    """The --env-kwargs with which a controller of this study is trained."""
    words = []
    for name, value in {**ARGUMENTS, "repeat": 10}.items():
        text = json.dumps(value).replace(" ", "") if isinstance(value, list) else value
        words.append(f"{name}={text}")
    return " ".join(words)


def run() -> None:
    arguments = parse_arguments()
    if arguments.print_arguments:
        print(training_arguments())
        return
    torch.set_num_threads(1)
    seeds = tuple(range(SEED_SPACING, SEED_SPACING + arguments.seeds))
    figures = {}
    for policy in [best_fixed(min(5, arguments.seeds)), *weighting_rules()]:
        figures[policy.label] = curve(policy, "test", seeds)[:, None]
    if arguments.controllers:
        trained = [curve(policy, "test", seeds) for policy in controllers(arguments.controllers)]
        figures["ppo"] = np.stack(trained, axis=1)

    names = metric_names()
    print(figures_table(figures, names), flush=True)
    print(step_times(arguments.turns))
    if arguments.output:
        content: dict[str, Any] = {"metrics": names, "epochs": EPOCHS}
        content |= {label: values.tolist() for label, values in figures.items()}
        write_text(arguments.output, json.dumps(content))


if __name__ == "__main__":
    sys.exit(main(run))
