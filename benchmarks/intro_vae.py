"""The introspective VAE against a loop over one model, parts against players, SoftAdapt.

    python -m benchmarks.intro_vae    # faces where AUTOLOSS_GYM_DATA is set, otherwise digits

One thread, processor time; sides take turns of `--steps` steps. The loop makes the same updates of
encoder and decoder in turn, with `torch.nn` and `torch.optim.Adam`; run i of 8 begins with the
decoder if i is odd. Neither validates, and no episode ends, while it is timed. A step with parts
weighs all four in one update of both networks. Both policies of the last lines act at every step.
Then the memory that a run takes.
"""

import argparse
import dataclasses
import os
import sys
import time
from typing import Any

import numpy as np
import torch

from agents.command_line import OneLineParser, main
from agents.options import positive
from agents.policies.grammar import parse_specification
from agents.policies.policy import Candidates, Setting
from autoloss_gym import AutoLossVectorEnv, Control
from autoloss_gym.environment.building import build_task
from autoloss_gym.tasks.images.intro_vae import IntroVAE
from benchmarks.intro_vae_loop import bare_loop
from benchmarks.memory import resident_mebibytes
from benchmarks.rules import median_with_interval
from benchmarks.sides import Side, measure
from studies.markdown import table

SETTINGS = ("digits", "faces")
LOOP = "loop, update of a player"
SINGLE = "1 run, update of a player"
BATCHED = "8 runs, update of a player of one"
PARTS = "1 run, step with parts"
FIXED = "fixed:1,1,1,1"
SOFTADAPT = "softadapt:loss_weighted"
# Each with what its time is compared with, and how many steps of that are one of it.
COMPARISONS = (
    (LOOP, LOOP, 1),
    (SINGLE, LOOP, 1),
    (BATCHED, LOOP, 1),
    (PARTS, SINGLE, 2),
    (FIXED, FIXED, 1),
    (SOFTADAPT, FIXED, 1),
)
_ENDLESS = 10**9


def make_task(setting: str, arms: str) -> IntroVAE:
    """The task of a preset, which neither validates nor ends while it is timed."""
    task = build_task("autoloss_gym.tasks.images.intro_vae:IntroVAE", setting, {"arms": arms})
    assert isinstance(task, IntroVAE)
    return dataclasses.replace(
        task, max_steps=_ENDLESS, validate_every=_ENDLESS, collapse_repeats=0, collapse_updates=0
    )


def players(task: IntroVAE, num_envs: int, steps: int) -> Side:
    """Updates of encoder and decoder in turn; every second run begins with the decoder."""
    envs = AutoLossVectorEnv(task, num_envs)
    envs.reset(seed=0)
    first = np.arange(num_envs)

    def play() -> int:
        for step in range(steps):
            envs.step((first + step) % 2)
        return steps * num_envs

    return play


def parts(task: IntroVAE, steps: int) -> Side:
    """Steps of one run with all parts, equally weighted by its action."""
    envs = AutoLossVectorEnv(task, 1, control="weights")
    envs.reset(seed=0)
    action = np.zeros((1, len(task.pairs)), np.float32)

    def play() -> int:
        for _ in range(steps):
            envs.step(action)
        return steps

    return play


def weighed(task: IntroVAE, policy_text: str, steps: int) -> Side:
    """Steps of one run whose weights a policy of `evaluate.py` gives."""
    policy = parse_specification(policy_text).build(Setting(task))
    assert not isinstance(policy, Candidates)
    envs = AutoLossVectorEnv(task, 1)
    state: list[Any] = list(envs.reset(seed=0))
    policy.reset(np.zeros(1, np.int64))

    def play() -> int:
        for _ in range(steps):
            control = policy.act(*state)
            assert isinstance(control, Control)
            observations, _, _, _, infos = envs.step_control(control)
            state[:] = observations, infos
        return steps

    return play


def sides(setting: str, steps: int) -> dict[str, Side]:
    """All that take turns, by name."""
    by_players, by_parts = make_task(setting, "players"), make_task(setting, "parts")
    return {
        LOOP: bare_loop(by_players, steps),
        SINGLE: players(by_players, 1, steps),
        BATCHED: players(by_players, 8, steps),
        PARTS: parts(by_parts, steps),
        FIXED: weighed(by_parts, FIXED, steps),
        SOFTADAPT: weighed(by_parts, SOFTADAPT, steps),
    }


def report(setting: str, rates: dict[str, np.ndarray]) -> str:
    """A Markdown table of times, and of their ratios within each turn with 95 % intervals."""
    turns = len(rates[LOOP])
    header = [f"{setting}, n = {turns}", "ms", "against", "ratio of times [95 %]"]
    rows = []
    for name, reference, count in COMPARISONS:
        middle, low, high = median_with_interval(rates[reference] / rates[name] / count)
        against = reference if count == 1 else f"{count} × {reference}"
        ratio = f"{middle:.3f} [{low:.3f}, {high:.3f}]"
        rows.append([name, f"{1000 / np.median(rates[name]):.1f}", against, ratio])
    return table(header, rows, num_left=1)


def memory(setting: str, num_envs: int) -> str:
    """How far a reset and a step of so many runs raise the resident memory, for each."""
    task = build_task("autoloss_gym.tasks.images.intro_vae:IntroVAE", setting, {})
    started: list[AutoLossVectorEnv] = []
    for count in (1, num_envs):  # the first loads what all share
        before = resident_mebibytes()
        started.append(AutoLossVectorEnv(task, count))
        started[-1].reset(seed=0)
        started[-1].step(np.arange(count) % 2)
    rise = (resident_mebibytes() - before) / num_envs
    return f"{num_envs} runs: {rise:.1f} MiB a run"


def run() -> None:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = "faces" if "AUTOLOSS_GYM_DATA" in os.environ else "digits"
    parser.add_argument(
        "--setting", choices=SETTINGS, default=default, help=f"preset (default: {default})"
    )
    parser.add_argument("--turns", type=positive, default=10, help="measured turns (default: 10)")
    parser.add_argument(
        "--steps", type=positive, default=20, help="of a run in a turn, even (default: 20)"
    )
    arguments = parser.parse_args()
    if arguments.steps % 2:
        parser.error(f"--steps {arguments.steps}: expected an even number, for both players")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    taken = memory(arguments.setting, 16)
    chosen = sides(arguments.setting, arguments.steps)
    rates = measure(chosen, arguments.turns, time.process_time)
    print(report(arguments.setting, rates), taken, sep="\n\n")


if __name__ == "__main__":
    sys.exit(main(run))
