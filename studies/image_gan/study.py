"""GAN training: how fast schedules and controllers get how far (AutoLoss, Figure 2), and what
transfers (§5.3, A.5).

    python -m studies.image_gan ratios --controllers 'runs/ppo/*' --num-workers 2 python -m
    studies.image_gan transfer --controllers 'runs/ppo/*'                                      #
    architectures python -m studies.image_gan transfer --controllers 'runs/ppo/*' --dataset cifar10
    --architectures 0  # data python -m studies.image_gan transfer --controllers 'runs/ppo/*'
    --dataset cifar10                    # both

The variable AUTOLOSS_GYM_DATA names the folder of the data. Every policy meets the same runs of the
test split, with the arguments of preset "small"; --env-kwargs changes any of them, also the preset.
Everything is kept in the output folder: a killed command goes on where it was when it is given
again.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.command_line import (
    OneLineParser,
    environment_arguments,
    key_value,
    nonnegative,
    positive,
)
from agents.environments import EnvironmentMaker
from agents.evaluation.entrants import Entrant
from agents.policies.schedules import Ratio
from autoloss_gym.tasks.images.image_gan import ImageGAN
from autoloss_gym.tools.files import write_text
from studies.image_gan import report
from studies.image_gan.entrants import (
    ID,
    TEST_SEEDS,
    VALIDATION_SEEDS,
    CurveStore,
    Job,
    architecture_label,
    architectures,
    check_every,
    entrants,
    play_all,
)

POLICIES = (
    "1:1",
    *(f"1:{k}" for k in (3, 5, 7, 9, 11)),
    *(f"{k}:1" for k in (3, 5, 7, 9, 11)),
    "balance",
    "random:0.5",
)
_CHOSEN = "best_ratio.json"


def make_env(arguments: argparse.Namespace, split: str, **more: Any) -> EnvironmentMaker:
    """Makes environments of the study; `more` replaces arguments of the command line."""
    given = environment_arguments(arguments.env_kwargs)
    return EnvironmentMaker(ID, {"preset": "small", **given, **more, "split": split})


def task_of(maker: EnvironmentMaker) -> ImageGAN:
    task = maker(num_envs=1).task
    assert isinstance(task, ImageGAN)
    return task


def seeds_from(first: int, count: int) -> tuple[int, ...]:
    return tuple(range(first, first + count))


def curves_of(made: list[Entrant], maker: EnvironmentMaker, seeds: tuple[int, ...], every: int,
              store: CurveStore, num_workers: int) -> dict[str, np.ndarray]:  # fmt: skip
    """Scores of every entrant, (training seeds, points, runs, metrics)."""
    jobs = [Job(maker, policy, seeds, every) for entrant in made for policy in entrant.candidates]
    played = iter(play_all(jobs, store, num_workers))
    return {entrant.label: np.stack([next(played) for _ in entrant.candidates]) for entrant in made}


def choose_ratio(
    made: list[Entrant], arguments: argparse.Namespace, task: ImageGAN, store: CurveStore
) -> str:
    """The ratio with the best mean score at the end of other runs, of the validation split."""
    ratios = [entrant for entrant in made if isinstance(entrant.candidates[0], Ratio)]
    maker, seeds = (
        make_env(arguments, "validation"),
        seeds_from(VALIDATION_SEEDS, arguments.validation_seeds),
    )
    curves = curves_of(ratios, maker, seeds, task.max_steps, store, arguments.num_workers)
    scores = {label: float(curve[0, -1, :, 0].mean()) for label, curve in curves.items()}
    for label, score in scores.items():
        print(f"{label}: {score:.3f} on the validation split", file=sys.stderr)
    return (min if task.score_metrics[0].minimize else max)(scores, key=lambda label: scores[label])


def ratios(arguments: argparse.Namespace) -> None:
    """Every policy on the same runs."""
    maker, store = make_env(arguments, "test"), CurveStore(arguments.output / "curves")
    task, made = (
        task_of(maker),
        entrants(["1:1", *arguments.policies], arguments.controllers, maker),
    )
    policies = [policy for entrant in made for policy in entrant.candidates]
    check_every(arguments.every, task, policies, maker.arguments.get("repeat", 1))
    best = choose_ratio(made, arguments, task, store)
    write_text(arguments.output / _CHOSEN, json.dumps({"best_ratio": best}))
    curves = curves_of(
        made,
        maker,
        seeds_from(TEST_SEEDS, arguments.seeds),
        arguments.every,
        store,
        arguments.num_workers,
    )
    steps = np.arange(arguments.every, task.max_steps + 1, arguments.every)
    study = report.Study(task.score_metrics, steps, curves, best, task.real_data_scores("test")[1])
    table, trained = report.ratios_table(study), [made[-1].label] if arguments.controllers else []
    print(table)
    write_text(arguments.output / "ratios.md", table + "\n")
    write_text(arguments.output / "ratios.json", json.dumps(plain(study, maker)))
    title = f"{task.dataset}: mean and 95 % band of {arguments.seeds} runs"
    report.draw(study, ["1:1", best, *trained, "balance"], title, arguments.output / "ratios.png")


def plain(study: report.Study, maker: EnvironmentMaker) -> dict[str, Any]:
    """A study as plain values: all curves, (training seeds, points, runs, metrics), and what they
    were made with.
    """
    head = {
        "arguments": maker.arguments,
        "metrics": [metric.name for metric in study.metrics],
        "steps": study.steps.tolist(),
    }
    curves = {label: curve.tolist() for label, curve in study.curves.items()}
    return {**head, "best_ratio": study.best_ratio, "real_data": study.real_data, "curves": curves}


def transfer(arguments: argparse.Namespace) -> None:
    """A controller that was trained elsewhere against schedules, on other architectures or other
    data.
    """
    best = arguments.ratio or chosen_ratio(arguments.output)
    elsewhere = {
        name: getattr(arguments, name)
        for name in ("dataset", "size")
        if getattr(arguments, name) is not None
    }
    if "dataset" in elsewhere and "num_samples" not in dict(arguments.env_kwargs):
        elsewhere["num_samples"] = (
            0  # four fifths of what there is: other data may have fewer images than the preset names
        )
    drawn = architectures(arguments.architectures, arguments.filters, arguments.latents) or [{}]
    makers = [make_env(arguments, "test", **elsewhere, **each) for each in drawn]
    task, made = task_of(makers[0]), entrants(["1:1", best], arguments.controllers, makers[0])
    seeds, policies = (
        seeds_from(TEST_SEEDS, arguments.seeds),
        [each for entrant in made for each in entrant.candidates],
    )
    jobs = [Job(maker, policy, seeds, task.max_steps) for maker in makers for policy in policies]
    played = play_all(jobs, CurveStore(arguments.output / "curves"), arguments.num_workers)
    scores = (
        np.stack(played)[:, -1, :, 0].reshape(len(makers), len(policies), len(seeds)).swapaxes(0, 1)
    )
    figures, at = {}, 0
    for entrant in made:
        figures[entrant.label] = scores[at : at + len(entrant.candidates)]
        at += len(entrant.candidates)
    metric, names = task.score_metrics[0], [architecture_label(each) for each in drawn]
    table = report.transfer_table(names, figures, made[-1].label, metric.minimize, metric.name)
    print(f"{task.dataset}\n{table}")
    stem = f"transfer_{Path(task.dataset).stem}_{task.image_shape[0]}_{arguments.architectures}"
    write_text(arguments.output / f"{stem}.md", table + "\n")
    content = {"dataset": task.dataset, "metric": metric.name, "architectures": drawn}
    write_text(
        arguments.output / f"{stem}.json",
        json.dumps(content | {n: v.tolist() for n, v in figures.items()}),
    )


def chosen_ratio(folder: Path) -> str:
    """What `ratios` has chosen with the same output folder."""
    path = folder / _CHOSEN
    if not path.is_file():
        raise ValueError(
            f"{str(folder)!r} holds no {_CHOSEN}: give --ratio, or run the command ratios first"
        )
    return json.loads(path.read_text())["best_ratio"]


def parse_arguments() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="ratios | transfer")
    study, elsewhere = commands.add_parser("ratios"), commands.add_parser("transfer")
    study.set_defaults(run=ratios)
    study.add_argument(
        "--policies", nargs="+", default=list(POLICIES), help=f"default: {' '.join(POLICIES)}"
    )
    study.add_argument(
        "--every", type=positive, default=250, help="steps between two scores (default: 250)"
    )
    study.add_argument(
        "--validation-seeds",
        type=positive,
        default=3,
        help="runs that choose the best ratio (default: 3)",
    )
    elsewhere.set_defaults(run=transfer)
    elsewhere.add_argument(
        "--ratio", help="the schedule to compare with (default: what the command ratios has chosen)"
    )
    elsewhere.add_argument(
        "--architectures",
        type=nonnegative,
        default=20,
        help="how many; 0 for that of the preset (default: 20)",
    )
    elsewhere.add_argument(
        "--filters",
        type=positive,
        nargs="+",
        default=[8, 16, 32],
        help="default: 8 16 32; AutoLoss: 32 64 128",
    )
    elsewhere.add_argument(
        "--latents",
        type=positive,
        nargs="+",
        default=[16, 32],
        help="default: 16 32; AutoLoss: 64 128",
    )
    elsewhere.add_argument("--dataset", help="default: that of the preset")
    elsewhere.add_argument(
        "--size", type=nonnegative, help="height and width that images are resized to"
    )
    for each, seeds in ((study, 5), (elsewhere, 2)):
        trained = "run folders of train_agent.py that differ in their seed, as a pattern"
        each.add_argument("--controllers", required=each is elsewhere, help=trained)
        each.add_argument(
            "--seeds", type=positive, default=seeds, help=f"runs of each policy (default: {seeds})"
        )
        each.add_argument(
            "--env-kwargs",
            type=key_value,
            nargs="+",
            default=[],
            metavar="NAME=VALUE",
            help="of the environment",
        )
        each.add_argument(
            "--num-workers", type=positive, default=1, help="processes that play (default: 1)"
        )
        each.add_argument(
            "-o",
            "--output",
            type=Path,
            default=Path("results/image_gan"),
            help="default: results/image_gan",
        )
    return parser.parse_args()


def run() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(1)
    arguments.output.mkdir(parents=True, exist_ok=True)
    arguments.run(arguments)
