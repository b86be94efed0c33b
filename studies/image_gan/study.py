"""GAN training: how fast schedules and controllers learn (AutoLoss, Figure 2), and what transfers.

    python -m studies.image_gan ratios --controllers 'runs/ppo/*' --num-workers 2
    python -m studies.image_gan transfer --controllers 'runs/ppo/*'                  # architectures
    python -m studies.image_gan transfer --controllers 'runs/ppo/*' --dataset cifar10 \\
        --architectures 0                                                            # data
    python -m studies.image_gan transfer --controllers 'runs/ppo/*' --dataset cifar10 # both

The transfers are those of AutoLoss, §5.3 and A.5. The variable AUTOLOSS_GYM_DATA names the folder
of the data. Every policy meets the same runs of the test split, with the arguments of preset
"small"; --env-kwargs changes any of them, also the preset. Everything is kept in the output folder:
given again after a kill, a command goes on where it was.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.command_line import environment_arguments
from agents.environments import EnvironmentMaker
from agents.evaluation.curves import Job, check_every, every, play_all
from agents.evaluation.entrants import Entrant
from agents.evaluation.store import Store
from agents.interruption import goes_on
from autoloss_gym.controllers.policies.static import Ratio
from autoloss_gym.tasks.images.image_gan import ImageGAN
from autoloss_gym.tools.files import write_text
from autoloss_gym.tools.forms import Text
from autoloss_gym.tools.stored import read_values, write_values
from studies.image_gan.arguments import parse_arguments
from studies.image_gan.entrants import (
    ID,
    TEST_SEEDS,
    VALIDATION_SEEDS,
    architecture_label,
    architectures,
    entrants,
)
from studies.image_gan.figure import draw
from studies.image_gan.report import Study, ratios_table, transfer_table

_CHOSEN = "best_ratio.json"


def make_env(arguments: argparse.Namespace, split: str, **more: Any) -> EnvironmentMaker:
    """Makes environments of the study; `more` replaces arguments of the command line."""
    given = environment_arguments(arguments.env_kwargs)
    return EnvironmentMaker(ID, {"preset": "small", **given, **more, "split": split})


def task_of(maker: EnvironmentMaker) -> ImageGAN:
    task = maker(num_envs=1).task
    assert isinstance(task, ImageGAN)
    return task


def store_of(arguments: argparse.Namespace) -> Store:
    """Finished curves; they depend on what the presets hold, which may change with the package."""
    return Store(arguments.output / "curves", {"presets": repr(ImageGAN.presets)})


def seeds_from(first: int, count: int) -> tuple[int, ...]:
    return tuple(range(first, first + count))


def policies_of(made: Sequence[Entrant]) -> list[Any]:
    return [policy for entrant in made for policy in entrant.candidates]


def by_entrant(made: Sequence[Entrant], values: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Values of all policies in a row, stacked for each entrant over its training seeds."""
    remaining = iter(values)
    return {
        entrant.label: np.stack([next(remaining) for _ in entrant.candidates]) for entrant in made
    }


def ratios(arguments: argparse.Namespace) -> None:
    """Play every policy on the same runs; write the table, all curves, and the picture."""
    maker = make_env(arguments, "test")
    task = task_of(maker)
    made = entrants(["1:1", *arguments.policies], arguments.controllers, maker)
    policies = policies_of(made)
    check_every(arguments.every, task, policies, maker.arguments.get("repeat", 1))
    best = choose_ratio(made, arguments, task)
    write_values(arguments.output / _CHOSEN, {"best_ratio": best})

    seeds = seeds_from(TEST_SEEDS, arguments.seeds)
    steps = every(arguments.every, task.max_steps)
    jobs = [Job(maker, policy, seeds, steps) for policy in policies]
    curves = by_entrant(made, play_all(jobs, store_of(arguments), arguments.num_workers))
    real_data = task.real_data_scores("test")[1]
    study = Study(task.score_metrics, np.array(steps), curves, best, real_data)

    table = ratios_table(study)
    print(table)
    write_text(arguments.output / "ratios.md", table + "\n")
    write_text(arguments.output / "ratios.json", json.dumps(plain(study, maker)))
    trained = [made[-1].label] if arguments.controllers else []
    title = f"{task.dataset}: mean and 95 % band of {arguments.seeds} runs"
    draw(study, ["1:1", best, *trained, "balance"], title, arguments.output / "ratios.png")


def choose_ratio(made: list[Entrant], arguments: argparse.Namespace, task: ImageGAN) -> str:
    """The ratio with the best mean score at the end of other runs, of the validation split."""
    maker = make_env(arguments, "validation")
    seeds = seeds_from(VALIDATION_SEEDS, arguments.validation_seeds)
    contested = [entrant for entrant in made if isinstance(entrant.candidates[0], Ratio)]
    jobs = [Job(maker, each.candidates[0], seeds, (task.max_steps,)) for each in contested]
    curves = play_all(jobs, store_of(arguments), arguments.num_workers)

    scores = {}
    for entrant, curve in zip(contested, curves, strict=True):
        scores[entrant.label] = float(curve[-1, :, 0].mean())
        print(
            f"{entrant.label}: {scores[entrant.label]:.3f} on the validation split", file=sys.stderr
        )
    best = min if task.score_metrics[0].minimize else max
    return best(scores, key=lambda label: scores[label])


def plain(study: Study, maker: EnvironmentMaker) -> dict[str, Any]:
    """A study as plain values, its curves (training seeds, points, runs, metrics) included."""
    return {
        "arguments": maker.arguments,
        "metrics": [metric.name for metric in study.metrics],
        "steps": study.steps.tolist(),
        "best_ratio": study.best_ratio,
        "real_data": study.real_data,
        "curves": {label: curve.tolist() for label, curve in study.curves.items()},
    }


def transfer(arguments: argparse.Namespace) -> None:
    """Compare a controller that was trained elsewhere with schedules, on other GANs or data."""
    best = arguments.ratio or chosen_ratio(arguments.output)
    drawn = architectures(arguments.architectures, arguments.filters, arguments.latents) or [{}]
    data = other_data(arguments)
    makers = [make_env(arguments, "test", **data, **each) for each in drawn]
    task = task_of(makers[0])
    made = entrants(["1:1", best], arguments.controllers, makers[0])
    figures = scores_at_the_end(made, makers, arguments, task.max_steps)

    metric = task.score_metrics[0]
    names = [architecture_label(each) for each in drawn]
    table = transfer_table(names, figures, made[-1].label, metric.minimize, metric.name)
    print(f"{task.dataset}\n{table}")
    stem = f"transfer_{Path(task.dataset).stem}_{task.image_shape[0]}_{arguments.architectures}"
    write_text(arguments.output / f"{stem}.md", table + "\n")
    content = {"dataset": task.dataset, "metric": metric.name, "architectures": drawn}
    content |= {label: values.tolist() for label, values in figures.items()}
    write_text(arguments.output / f"{stem}.json", json.dumps(content))


def other_data(arguments: argparse.Namespace) -> dict[str, Any]:
    """Arguments of the task for the data set that the command line names."""
    chosen: dict[str, Any] = {}
    if arguments.dataset is not None:
        chosen["dataset"] = arguments.dataset
    if arguments.size is not None:
        chosen["size"] = arguments.size
    if "dataset" in chosen and "num_samples" not in dict(arguments.env_kwargs):
        # Four fifths of what there is: other data may have fewer images than the preset names.
        chosen["num_samples"] = 0
    return chosen


def scores_at_the_end(
    made: list[Entrant], makers: list[EnvironmentMaker], arguments: argparse.Namespace, steps: int
) -> dict[str, np.ndarray]:
    """The figure of merit of each entrant, (training seeds, architectures, runs)."""
    policies = policies_of(made)
    seeds = seeds_from(TEST_SEEDS, arguments.seeds)
    jobs = [Job(maker, policy, seeds, (steps,)) for maker in makers for policy in policies]
    played = play_all(jobs, store_of(arguments), arguments.num_workers)
    scores = np.stack([curve[-1, :, 0] for curve in played])
    by_maker = scores.reshape(len(makers), len(policies), len(seeds))
    return by_entrant(made, list(by_maker.swapaxes(0, 1)))


def chosen_ratio(folder: Path) -> str:
    """The ratio that the command `ratios` has chosen with the same output folder."""
    path = folder / _CHOSEN
    if not path.is_file():
        raise ValueError(
            f"{str(folder)!r} holds no {_CHOSEN}: give --ratio, or run the command ratios first"
        )
    return read_values(path, {"best_ratio": Text()})["best_ratio"]


COMMANDS = {"ratios": ratios, "transfer": transfer}


def run() -> None:
    arguments = parse_arguments(__doc__ or "")
    torch.set_num_threads(1)
    arguments.output.mkdir(parents=True, exist_ok=True)
    kept = f"{arguments.output} holds what is finished"
    goes_on(lambda: f"{kept}: the same command goes on with it")
    COMMANDS[arguments.command](arguments)
