"""Digests of 50 steps of every task, which a change of the code's form must leave as they are.

    python -m tests.support.digests            # compare with the stored ones python -m
    tests.support.digests --write    # store them anew, after a change of numbers that is meant

Equal bits are promised for one kind of machine alone. Elsewhere the scores are compared, to four
digits.
"""

import argparse
import hashlib
import json
import platform
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch

import autoloss_gym  # noqa: F401 (registers the environments)
from tests.support.quick_classifiers import quick_classifiers

FILE = Path(__file__).with_suffix(".json")
NUM_ENVS, STEPS, SEED = 3, 50, 7

REGRESSION, CLASSIFICATION = "AutoLoss/QuadraticRegression-v1", "AutoLoss/MLPClassification-v1"
AUTOENCODER, GAN = "AutoLoss/SparseAutoencoder-v1", "AutoLoss/ImageGAN-v1"
INTRO_VAE, PINN = "AutoLoss/IntroVAE-v0", "AutoLoss/PINN-v0"
ROSENBROCK, BEALE = "AutoLoss/Rosenbrock-v1", "AutoLoss/Beale-v1"
# The arguments of every case; steps are few, so validations are frequent.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "regression": (REGRESSION, {"max_steps": 30}),
    "regression weights": (REGRESSION, {"control": "weights", "reward": "final", "max_steps": 30}),
    "regression split": (REGRESSION, {"penalty": "split", "constant": True, "features": "raw", "max_steps": 30}),
    "regression diabetes": (REGRESSION, {"dataset": "diabetes", "split": "test", "max_steps": 30}),
    "regression released": (REGRESSION, {"preset": "released", "max_steps": 40}),
    "classification": (CLASSIFICATION, {"max_steps": 30}),
    "classification split weights": (CLASSIFICATION, {"penalty": "split", "control": "weights", "max_steps": 30}),
    "classification paper": (CLASSIFICATION, {"dataset": "paper", "train_on_validation": True, "max_steps": 30}),
    "classification breast_cancer": (CLASSIFICATION, {"dataset": "breast_cancer", "max_steps": 30}),
    "classification digits": (CLASSIFICATION, {"dataset": "digits", "hidden_sizes": (16, 8), "max_steps": 30}),
    "autoencoder": (AUTOENCODER, {"max_steps": 40}),
    "autoencoder weights": (AUTOENCODER, {"control": "weights", "size": 6, "max_steps": 40}),
    "gan": (GAN, {"max_steps": 40, "validate_every": 10, "num_test": 100, "num_held_out": 64}),
    "gan hinge, normalised": (
        GAN,
        {
            "loss": "hinge",
            "batch_norm": True,
            "kernel_size": 5,
            "reward": "final",
            "repeat": 2,
            "max_steps": 40,
            "validate_every": 10,
            "num_test": 100,
            "num_held_out": 64,
        },
    ),
    "gan minimax": (
        GAN,
        {"loss": "minimax", "size": 16, "max_steps": 40, "validate_every": 20, "num_test": 100, "num_held_out": 64},
    ),
    "introspective": (INTRO_VAE, {"max_steps": 40, "validate_every": 10, "num_test": 100, "num_held_out": 64}),
    "introspective parts weights, released": (
        INTRO_VAE,
        {
            "arms": "parts",
            "control": "weights",
            "form": "released",
            "reward": "final",
            "margin": 5.0,
            "max_steps": 40,
            "validate_every": 10,
            "num_test": 100,
            "num_held_out": 64,
        },
    ),
    "rosenbrock": (ROSENBROCK, {"max_steps": 30, "reward": "improvement", "reward_arguments": {"segment": 10}}),
    "rosenbrock weights": (ROSENBROCK, {"control": "weights", "step": "barzilai_borwein_1", "max_steps": 30}),
    "beale": (BEALE, {"step": "barzilai_borwein_2", "patience": 2, "max_steps": 30}),
    "beale weights": (BEALE, {"control": "weights", "autoreset_mode": "NextStep", "max_steps": 30}),
    "oscillator": (PINN, {"max_steps": 40}),
    "burgers weights": (PINN, {"preset": "burgers", "control": "weights", "max_steps": 40, "validate_every": 20}),
    "helmholtz weights": (PINN, {"preset": "helmholtz", "control": "weights", "max_steps": 40, "validate_every": 20}),
}  # fmt: skip


def machine() -> str:
    """What bits depend on: the processor's kind and the version of PyTorch."""
    return (
        f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()} torch {torch.__version__}"
    )


def play(id: str, arguments: dict[str, Any]) -> tuple[str, list[float]]:
    """The digest of 50 steps of three runs with fixed actions, and the scores of the runs at the
    end. Those who judge images have learned for a moment.
    """
    with quick_classifiers(steps=20, width=16):
        return _played(gymnasium.make_vec(id, num_envs=NUM_ENVS, **arguments))


def _played(envs: Any) -> tuple[str, list[float]]:
    digest = hashlib.sha256()

    def note(value: Any) -> None:
        if isinstance(value, dict):
            for name in sorted(value):
                digest.update(name.encode())
                note(value[name])
        else:
            array = np.ascontiguousarray(value)
            digest.update(f"{array.dtype} {array.shape}".encode())
            digest.update(array.tobytes())

    for output in envs.reset(seed=SEED):
        note(output)
    generator = np.random.default_rng(SEED)
    for _ in range(STEPS):
        if envs.single_action_space.shape:
            actions = generator.uniform(-1, 1, envs.action_space.shape).astype(np.float32)
        else:
            actions = generator.integers(envs.single_action_space.n, size=NUM_ENVS)
        note(actions)
        for output in envs.step(actions):
            note(output)
    scores = envs.scores()
    note(scores)
    return digest.hexdigest()[:32], [float(f"{value:.6g}") for value in scores[:, 0]]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="store the digests of this code")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = {
        name: dict(zip(("digest", "scores"), play(*case), strict=True))
        for name, case in CASES.items()
    }
    if arguments.write:
        FILE.write_text(json.dumps({"machine": machine(), "cases": found}, indent=1) + "\n")
        return 0
    stored = json.loads(FILE.read_text())
    print(f"stored on {stored['machine']}, here {machine()}")
    different = [name for name, case in found.items() if case != stored["cases"][name]]
    print(
        f"{len(found) - len(different)} of {len(found)} equal"
        + "".join(f"\ndifferent: {name}" for name in different)
    )
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
