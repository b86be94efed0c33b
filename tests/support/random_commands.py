"""Random command lines, of valid pieces and hostile values.

python -m tests.support.random_commands --cases 1000 --seed 0 [--show worked refused]

Every line must work or be refused in one line with status 2. Nothing may hang, run code that is
hidden in a value, leave an empty run folder, or end in figures that are not finite.
"""

import contextlib
import csv
import functools
import io
import json
import math
import os
import random
import shlex
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot  # what a command needs is imported once
import numpy as np
import safetensors.numpy
import scipy.stats  # noqa: F401
import torch

import agents.commands.benchmark
import agents.learners.learner  # noqa: F401
from agents.command_line import main
from agents.commands.environments import list_environments, show
from agents.commands.evaluate import evaluate
from agents.commands.train import train
from agents.configuration import ALGORITHMS
from autoloss_gym.registration import TASKS
from tests.support import forked

CANARY = "CANARY"
COMMANDS = {"train": train, "evaluate": evaluate, "list": list_environments, "show": show}
SHORT = {
    "Beale": {"max_steps": "20"},
    "Rosenbrock": {"max_steps": "20"},
    "QuadraticRegression": {"dimension": "3", "num_samples": "8", "max_steps": "10"},
    "MLPClassification": {
        "dimension": "5",
        "num_samples": "8",
        "num_held_out": "8",
        "max_steps": "20",
        "hidden_sizes": "[4]",
    },
}
ENVIRONMENTS = [id for id in TASKS if any(name in id for name in SHORT)]
TEXTS = (
    "", " ", "nan", ".nan", "inf", ".inf", "-.inf", "1e999", "-1", "0", "00", "1e18", "9" * 400, "0x10",
    "1_0", "١٢", "1.5", "-0.0", "1e-400", "true", "yes", "null", "~", "None", "[]", "{}", "[1]", "[null]", "{a: 1}",
    "[" * 3000, "[[[[", "&a [*a]", "*a", "!!int ''", "!!bool foo", "!!timestamp foo", "!!binary x", "2020-13-45",
    "{[1]: 2}", "{a: 1, a: 2}", "{a: {b: [1, {c: .inf}]}}", "<<: 1", "'", '"', "%", "@", "#", "? ", "- ", "a: b: c",
    "\udcff", "😀" * 50, "a\nb", "\t", "x" * 5000, "../../etc/passwd", "/dev/zero", "/dev/null", "/", ".", "~root", "%s%n",
    "canary", "canary.py", "canary.yml", "canary.npz", "canary.zip", "canary:Task", "canary:Own/Task-v0.x",
    "$(touch CANARY)", "`touch CANARY`", "__import__('os').system('touch CANARY')", "{}.__class__", "{0.__class__}",
    "!!python/object/apply:os.system ['touch CANARY']", "!!python/name:os.system", "-", "=", "a=b=c", "1:1:1", "-0",
)  # fmt: skip
# Too much memory or time where they are sizes; elsewhere some are good.
SIZES = ("1e9", "2147483647", "1e12", "1e18", "1e308", "-1e308", "9" * 400)
ENVIRONMENT_NAMES = (
    "dimension", "num_samples", "noise", "l1_coefficient", "penalty", "constant", "dataset", "target", "max_steps",
    "validate_every", "patience", "collapse_repeats", "collapse_share", "hidden_sizes", "side", "assignment", "num_held_out",
    "learning_rate", "optimizer", "preset", "control", "control_arguments", "reward", "reward_arguments", "features", "drop", "add",
    "repeat", "num_instances", "device", "compile", "start", "start_width", "step", "step_bounds", "a", "b", "task", "split",
    "num_envs", "array", "id", "self", "wrappers", "render_mode", "train_on_validation", "data_dir", "size", "nonsense", "__class__",
)  # fmt: skip
SIZE_NAMES = ("dimension", "num_samples", "num_held_out", "num_instances", "collapse_repeats", "patience", "start_width", "noise", "side", "l1_coefficient", "learning_rate", "a", "b")  # fmt: skip
HYPERPARAMETERS = {
    "n_steps": "8", "batch_size": "8", "n_epochs": "1", "gamma": "0.9", "gae_lambda": "0.9", "clip_range": "0.2",
    "learning_rate": "1e-3", "ent_coef": "0.0", "vf_coef": "0.5", "max_grad_norm": "0.5", "policy_kwargs": "{net_arch: [4]}",
    "buffer_size": "200", "learning_starts": "8", "train_freq": "1", "gradient_steps": "1", "tau": "0.01", "device": "cpu",
    "target_update_interval": "10", "exploration_fraction": "0.5", "exploration_final_eps": "0.1", "target_kl": "0.1",
    "hidden_sizes": "[4]", "temperature": "1.0", "baseline_decay": "0.8", "advantage_clip": "20", "step_reward": "true",
    "num_envs": "2", "n_timesteps": "40", "use_sde": "false", "normalize_advantage": "true", "target_entropy": "auto",
    "copies": "2", "search_runs": "0", "blind": "true", "outcome": "truth", "policy_delay": "2", "stats_window_size": "5", "optimize_memory_usage": "false", "action_noise": "null", "self": "1",
    "replay_buffer_class": "null", "_init_setup_model": "true", "verbose": "1", "seed": "1", "policy": "MlpPolicy",
}  # fmt: skip
OWN_HYPERPARAMETERS = {
    "group": ("copies", "search_runs", "blind", "outcome", "n_epochs", "clip_range"),
    "reinforce": ("hidden_sizes", "temperature", "baseline_decay", "advantage_clip", "step_reward"),
    "ppo": ("n_steps", "batch_size", "n_epochs", "clip_range", "target_kl"),
    "tensor_ppo": ("n_steps", "batch_size", "n_epochs", "clip_range", "target_kl"),
    "a2c": ("n_steps", "gae_lambda"),
    "off": ("buffer_size", "learning_starts", "train_freq", "gradient_steps", "batch_size"),
}
NETWORKS = ("{net_arch: [-1]}", "{net_arch: 4}", "{net_arch: {pi: [4], vf: [1e12]}}", "{net_arch: [4, null]}", "{net_arch: {q: [4]}}",
            "{activation_fn: canary.Act}", "{features_extractor_class: x}", "{optimizer_kwargs: {lr: x}}", "[1, 2]", "{a: 1}", "{log_std_init: .nan}")  # fmt: skip
POLICIES = (
    "random:0.3", "random:1", "softadapt", "softadapt:pair", "softadapt:order=2,every=3", "dwa:temperature=2", "equal",
    "gradnorm:every=2", "balance", "round_robin", "uncertainty", "random_weights:pair",
    "relobralo:rho=0.5", "famo:pair", "imtl", "cov:decay=0.9", "self_adaptive:mask=sigmoid", "time_schedule:delay=3,ramp=5",
)  # fmt: skip
HOSTILE_POLICIES = (
    "1:1", "1:2", "fixed:2", "fixed:1,2", "grid:2", "s1:0.1", "s3:1", "1:1:1", "fixed:1,1,1", "without_penalty", "always:l1",
    "10000000000:1", "1000000:1", "0:0", "1:-1", ":", "::", "1:", ":1", "1:1:1:1:1:1:1:1", "grid:100000000000", "grid:1", "grid:1001",
    "grid:1e3", "grid_each:-5", "random:nan", "random:2", "random:0.2,0.2", "random:" + "0," * 2000, "fixed:inf", "fixed:nan", "fixed:-1",
    "fixed:0", "fixed:1e7", "fixed:" + "1," * 500 + "1", "s1:nan", "s2:inf", "s9", "balance:0", "balance:nan", "softadapt:order=9",
    "softadapt:beta=nan", "softadapt:beta=inf", "softadapt:order=1,least_squares=3", "softadapt:,", "softadapt:every=1e30",
    "softadapt:every=0", "dwa:window=10001", "dwa:temperature=0", "gradnorm:alpha=-1", "uncertainty:learning_rate=0", "always:",
    "always:nothing", "open_loop:1", "open_loop:x", "open_loop:2,", "schedule:0", "schedule:4,1", "schedule:,", "schedule:4,nan",
    "shifted_each:0", "shifted_each:1,1e99", "constant:1e9", "constant_each:-1", "ppo:", "ppo:nowhere", "ppo:.", "ppo:/*/*/*/*", "ppo:[", "ppo:canary.zip",
    "reinforce:canary.zip", "ppo:/dev/zero", "sac:*", "canary:", "os:system", "os.path:join", "builtins:dict", "no_such:Thing", "canary.",
    "١:١", "1_0:1", "²:1", "1:1 ", " 1:1", "--policies", "softadapt:scale=sum,scale=sum", "softadapt:pair=1", "equal:every=²",
    "relobralo:rho=nan", "famo:decay=-1", "cov:decay=2", "self_adaptive:power=0", "time_schedule:ramp=0", "time_schedule:delay=1e9",
)  # fmt: skip

FLAGS = ("--seed", "--num-threads", "--resume", "--checkpoint-every", "-f", "-o", "--output", "--conf-file", "--split", "--num-workers",
         "--deterministic", "--trust-checkpoint", "--nonsense", "--num-envs", "--n-timesteps", "--episodes")  # fmt: skip


class Lines:
    """Draws command lines.

    Args:
        seed: of the draws.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def draw(self) -> list[str]:
        """The name of a command and its arguments."""
        draw = self._random
        command = draw.choices(("train", "evaluate", "show", "list"), (50, 45, 4, 1))[0]
        if command == "list":
            return [command, *draw.choices(TEXTS, k=draw.randint(0, 1))]
        if command == "show":
            return [command, *draw.choices((*TEXTS, *TASKS), k=draw.randint(0, 2))]
        options = self._training() if command == "train" else self._evaluation()
        for _ in range(draw.choices((0, 1, 2, 3), (12, 55, 25, 8))[0]):
            self._spoil(command, options)
        line = [command]
        for flag, values in options:
            line += [flag, *values]
        return line

    def _training(self) -> list[tuple[str, list[str]]]:
        draw = self._random
        algorithm = draw.choice(ALGORITHMS)
        family = algorithm if algorithm in OWN_HYPERPARAMETERS else "off"
        given = [f"{name}={HYPERPARAMETERS[name]}" for name in OWN_HYPERPARAMETERS[family]]
        needs_weights = algorithm in ("sac", "td3", "ddpg")
        environment = self._environment(control="weights" if needs_weights else None)
        return [
            *environment,
            ("--algo", [algorithm]),
            ("-P", given),
            ("--num-envs", ["2"]),
            ("--n-timesteps", ["40"]),
        ]

    def _evaluation(self) -> list[tuple[str, list[str]]]:
        chosen = self._random.choices(POLICIES, k=self._random.randint(1, 3))
        return [*self._environment(), ("--episodes", ["2"]), ("--policies", chosen)]

    def _environment(self, control: str | None = None) -> list[tuple[str, list[str]]]:
        id = self._random.choice(ENVIRONMENTS)
        short = next(values for name, values in SHORT.items() if name in id)
        given = [f"{name}={value}" for name, value in short.items()]
        if control:
            given.append(f"control={control}")
        return [("--env", [id]), ("--env-kwargs", given)]

    def _spoil(self, command: str, options: list[tuple[str, list[str]]]) -> None:
        """Change one thing of a line."""
        draw = self._random
        kind = draw.choice(
            ("argument", "argument", "algorithm", "algorithm", "value", "flag", "form")
        )
        if kind == "argument":
            name = draw.choice(ENVIRONMENT_NAMES)
            values = (*TEXTS, *SIZES) if name in SIZE_NAMES else TEXTS
            _add(options, "--env-kwargs", f"{name}={draw.choice(values)}")
        elif kind == "algorithm" and command == "train":
            name = draw.choice([*HYPERPARAMETERS])
            values = (
                NETWORKS if name == "policy_kwargs" else (*TEXTS, *SIZES, HYPERPARAMETERS[name])
            )
            _add(options, "-P", f"{name}={draw.choice(values)}")
        elif kind == "algorithm":
            _add(options, "--policies", draw.choice(HOSTILE_POLICIES))
        elif kind == "value":
            _, values = draw.choice(options)
            values[draw.randrange(len(values) or 1) :] = [draw.choice(TEXTS)]
        elif kind == "flag":
            values = draw.choices((*TEXTS, "3"), k=draw.choice((0, 1, 1, 1, 2)))
            options.append((draw.choice(FLAGS), values))
        else:
            index = draw.randrange(len(options))
            flag, values = options[index]
            options[index] = draw.choice(((flag, values[:-1]), (flag, values * 2)))


def _add(options: list[tuple[str, list[str]]], flag: str, value: str) -> None:
    """One more value behind a flag."""
    for present, values in options:
        if present == flag:
            values.append(value)
            return
    options.append((flag, [value]))


def prepared(folder: Path) -> None:
    """A working folder in which everything that is run makes the file CANARY."""
    (folder / "canary.py").write_text(f"open({CANARY!r}, 'w').close()\n")
    (folder / "torch.py").write_text(f"open({CANARY!r}, 'w').close()\n")
    tag = "!!python/object/apply:os.system ['touch CANARY']"
    (folder / "canary.yml").write_text(f"default:\n  n_steps: {tag}\n")

    class Runs:
        def __reduce__(self) -> tuple[Callable, tuple]:
            return os.system, ("touch CANARY",)

    np.savez(folder / "canary.npz", inputs=np.array([Runs()], dtype=object), targets=np.zeros(1))
    content = io.BytesIO()
    torch.save(Runs(), content)
    with zipfile.ZipFile(folder / "canary.zip", "w") as file:
        file.writestr("data", "{}")
        file.writestr("policy.pth", content.getvalue())


def play(line: list[str], folder: Path) -> tuple[str, str]:
    """Run a command line in the folder; its outcome and what it said."""
    os.chdir(folder)
    said = io.StringIO()
    name, *given = line
    program = f"autoloss {name}"
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        try:
            status = main(functools.partial(COMMANDS[name], given, program), program)
        except SystemExit as stop:
            status = stop.code
    message = said.getvalue()
    # Whoever names a module where an environment or a policy is named asks for its code.
    is_named = any(each.startswith("canary:") for each in line)
    if (folder / CANARY).exists() and not is_named:
        return "code run", message
    if status == 0:
        senseless = nonsense(folder)
        return ("nonsense", senseless) if senseless else ("worked", message)
    left = [path.parent for path in folder.rglob("c*.json") if not any(path.parent.glob("*.safe*"))]
    if left and "train" in name:
        return "nonsense", f"{message} left {left[0]}"
    *before, last = message.strip().splitlines() or [""]
    are_progress = all(
        each.startswith(("training ", "playing ", "choosing ", "searching ")) or " steps" in each
        for each in before
    )
    good = status == 2 and " error: " in last and forked.is_one_line(last) and are_progress
    return "refused" if good else "traceback", f"status {status}: {message}"


def nonsense(folder: Path) -> str:
    """What cannot be right in the files of a command that worked."""
    for path in folder.rglob("policy.safetensors"):
        for name, values in safetensors.numpy.load_file(path).items():
            if not np.isfinite(values).all():
                return f"weights {name} are not finite"
    for path in folder.rglob("results.json"):
        for row in json.loads(path.read_text())["rows"]:
            if not all(math.isfinite(value) for value in row.values() if isinstance(value, float)):
                return f"{row} is not finite"
    for path in folder.rglob("progress.csv"):
        for row in csv.DictReader(path.read_text().splitlines()):
            for name, value in row.items():
                if "explained_variance" not in name and value and not math.isfinite(float(value)):
                    return f"{name} is {value}"
    return ""


def cases(seed: int, root: Path) -> Iterator[tuple[str, Callable[[], tuple[str, str]]]]:
    """Endless random lines, each with a working folder of its own."""
    lines = Lines(seed)
    template = root / "template"
    template.mkdir()
    prepared(template)
    while True:
        line = lines.draw()
        folder = root / "work"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(template, folder)
        yield shlex.join(line), functools.partial(play, line, folder)


if __name__ == "__main__":
    torch.set_num_threads(1)
    mpl.use("Agg")
    with tempfile.TemporaryDirectory() as root:
        sys.exit(forked.run("command lines", cases(forked.parsed().seed, Path(root))))
