"""Checks of compiled environments, run by `test_runs.py` in a process beside its own: the
annotation checks of the other tests cannot be compiled.

    python -m tests.support.compiled_runs CHECK …

Without a name, names are read from the standard input, a line each, and answered by one line of
JSON: what went wrong, and what was said. The compiler is imported once for all of them.
"""

import contextlib
import functools
import io
import json
import pickle
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from autoloss_gym import random
from autoloss_gym.core.task import Control, Metric
from autoloss_gym.data.image_source import ImageSource
from autoloss_gym.data.images import load_images
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.scoring.classifiers import load_classifier
from autoloss_gym.scoring.sample_scores import (
    Moments,
    diversity,
    frechet_distance,
    inception_score,
    moments,
)
from autoloss_gym.signals.groups import ADDED
from autoloss_gym.tasks.images.image_gan import ImageGAN
from autoloss_gym.tasks.images.intro_vae import IntroVAE
from autoloss_gym.tools.compiling import compiled
from benchmarks.module_cases import convolutions, digits
from tests.support.recording import Record, play
from tests.support.toy_tasks import SMALL, TwoBlocks

DIGITS = ImageSource("digits")


class Undrawn(TwoBlocks):
    """Without draws, whose code takes the longest, and which another check compares."""

    def batch(self, data: dict[str, Any], keys: torch.Tensor) -> dict[str, Any]:
        return data | {"noise": data["target"]}


VARIANTS = {
    "closed_forms": {
        "task": SMALL,
        "add": ("sizes", "sparsity", "best", "gradient_noise", "gradient_cosines"),
    },
    "automatic": {
        "task": Undrawn(max_steps=20, validate_every=5, cheap=False),
        "control": "weights",
        "features": "raw",
    },
}


def actions_for(envs: AutoLossVectorEnv, steps: int) -> list[np.ndarray]:
    envs.action_space.seed(0)
    return [envs.action_space.sample() for _ in range(steps)]


def agrees(num_envs: int, **arguments: Any) -> tuple[AutoLossVectorEnv, list, list[Record]]:
    """Compiled runs agree with eager ones over two episodes.

    Returns:
        What is compiled, and the actions and records of its episodes.
    """
    eager, fast = (
        AutoLossVectorEnv(num_envs=num_envs, compile=compile, **arguments)
        for compile in (False, True)
    )
    actions = actions_for(eager, 2 * eager.task.max_steps + 1)
    one, other = play(eager, actions, parameters=True), play(fast, actions, parameters=True)
    assert sum(record["terminations"].sum() for record in one[1:]) == 2 * num_envs
    for first, second in zip(one, other, strict=True):
        assert first.keys() == second.keys()
        for key, values in first.items():
            tolerance = 2e-3 if values.dtype.kind == "f" else 0
            np.testing.assert_allclose(
                second[key], values, rtol=tolerance, atol=tolerance, err_msg=key
            )
    return fast, actions, other


def closed_forms() -> None:
    """A compiled environment agrees with the eager one, and repeats itself bit for bit, also from
    a pickle, where it is compiled anew from the code that PyTorch has kept.
    """
    envs, actions, played = agrees(5, **VARIANTS["closed_forms"])
    again = play(envs, actions[:7], parameters=True)
    elsewhere = play(pickle.loads(pickle.dumps(envs)), actions[:7], parameters=True)
    for one, two, three in zip(played[:8], again, elsewhere, strict=True):
        for name, values in one.items():
            np.testing.assert_array_equal(two[name], values)
            np.testing.assert_array_equal(three[name], values)


class Gapped(TwoBlocks):
    """A validation metric with the name of a loss, so that every group of features is there."""

    validation_metrics = (Metric("left"), Metric("size"))


def decides() -> None:
    """Decisions, single updates and rollouts agree with eager ones in all groups of features.

    These change from step to step, and nothing is compiled anew for it: up to a validation, a
    decision and a rollout are one and the same program. It is traced whole; to generate its code
    would take a minute.
    """
    torch.compile = functools.partial(torch.compile, backend="aot_eager")
    arguments = {
        "task": Gapped(max_steps=8, validate_every=2),
        "control": "schedule",
        "control_arguments": {"every": 4},
        "features": "log",
        "add": ADDED,
        "autoreset_mode": "Disabled",
    }
    eager, fast = (
        AutoLossVectorEnv(num_envs=3, compile=compile, **arguments) for compile in (False, True)
    )
    for found, expected in zip(_decided(fast), _decided(eager), strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)


def _decided(envs: AutoLossVectorEnv) -> list[np.ndarray]:
    generator = torch.Generator().manual_seed(0)
    weights = [torch.rand(3, 3, generator=generator) for _ in range(4)]
    controls = [Control(weights=each, step_size=each.mean(dim=1)) for each in weights]
    actions = actions_for(envs, 3)
    outputs = [each for record in play(envs, actions) for each in record.values()]
    outputs += envs.step_control(controls[0])[:2]

    torch._dynamo.config.error_on_recompile = True
    play(envs, actions)
    envs.reset(seed=1)
    outputs += envs.rollout(controls)[:2]
    torch._dynamo.config.error_on_recompile = False
    return outputs


def acts() -> None:
    """An actor, whose weights change, is compiled into the program of the updates, also of more
    runs than are played at once.
    """
    torch.compile = functools.partial(torch.compile, backend="aot_eager")
    task = TwoBlocks(max_steps=4, validate_every=2)
    arguments = {"task": task, "control": "weights", "array": "torch"}
    eager, fast = (
        AutoLossVectorEnv(num_envs=70, compile=compile, **arguments) for compile in (False, True)
    )
    expected = list(_acted(eager))
    for index, (found, values) in enumerate(zip(_acted(fast), expected, strict=True)):
        torch.testing.assert_close(found, values, rtol=2e-3, atol=2e-3)
        # Once all programs have been used, nothing is compiled anew.
        torch._dynamo.config.error_on_recompile = index > len(expected) // 2


def _acted(envs: AutoLossVectorEnv) -> Iterator[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    observations, _ = envs.reset(seed=0)
    network = torch.nn.Linear(observations.shape[1], 3)
    torch.nn.init.normal_(network.weight, generator=generator)
    torch.nn.init.zeros_(network.bias)

    def act(observed: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return torch.tanh(network(observed) + noise)

    for _ in range(4):
        draws = [torch.randn(70, 3, generator=generator) for _ in range(envs.steps_ahead)]
        acted, (observations, *outcome) = envs.act(act, observations, draws)
        yield from (*acted.observations, *acted.actions, observations, *outcome[:2])
        with torch.no_grad():
            network.weight.mul_(-0.5)


def traces_image_gan() -> None:
    """All programs of the GAN are traced whole; to generate their code would take minutes."""
    torch.compile = functools.partial(torch.compile, backend="aot_eager")
    sizes = {
        "filters": 4,
        "batch_size": 4,
        "num_held_out": 16,
        "num_test": 16,
        "max_steps": 8,
        "validate_every": 4,
    }
    agrees(2, task=ImageGAN(**sizes, collapse_repeats=0))


def traces_intro_vae() -> None:
    """The same of the introspective VAE, whose losses keep figures beside its parameters."""
    torch.compile = functools.partial(torch.compile, backend="aot_eager")
    sizes = {
        "filters": 4,
        "latent_size": 4,
        "batch_size": 4,
        "num_held_out": 16,
        "num_test": 16,
        "max_steps": 8,
        "validate_every": 4,
    }
    agrees(2, task=IntroVAE(**sizes, arms="parts", collapse_repeats=0))


def draws(keys: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return random.normal(keys, (16, 16)), random.integers(random.fold_in(keys, "stream"), (9,), 100)


def draws_agree() -> None:
    """Compiled draws are those of eager programs, also where products wrap around at 64 bits."""
    keys = random.fold_in(torch.arange(2), "keys")
    for found, expected in zip(compiled(draws)(keys), draws(keys), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def double(values: torch.Tensor) -> torch.Tensor:
    return values * 2


def many() -> None:
    """More environments, each of another size, than PyTorch keeps versions of one function."""
    torch.compile = functools.partial(torch.compile, backend="aot_eager")
    for size in range(1, torch._dynamo.config.recompile_limit + 3):
        assert compiled(double)(torch.ones(size)).tolist() == [2.0] * size


def scores(images: torch.Tensor, kind: str, real: Moments) -> list[torch.Tensor]:
    classifier = load_classifier(DIGITS, kind=kind)
    features = classifier.features(images)
    return [
        inception_score(classifier.probabilities(images)),
        frechet_distance(features, real),
        diversity(features, real),
    ]


def judges(kind: str) -> None:
    """A compiled program holds a classifier, and its scores of images are those of an eager one."""
    digits = torch.from_numpy(load_images("digits").images).flatten(1)
    real = moments(load_classifier(DIGITS, kind=kind).features(digits[None, :300])[0])
    images = digits[300:900].view(3, 200, 64) * torch.tensor([1.0, 0.5, 0.0])[:, None, None]
    for score, expected in zip(
        compiled(scores)(images, kind, real), scores(images, kind, real), strict=True
    ):
        torch.testing.assert_close(score, expected, rtol=1e-4, atol=1e-4)


def modules() -> None:
    """A module with running statistics, traced whole: code for it would take a minute."""
    torch.compile = functools.partial(torch.compile, backend="aot_eager")
    options = {"dropout": 0.0, "optimizer": "sgd", "max_steps": 8, "validate_every": 4}
    agrees(3, task=convolutions(digits(), **options), control="weights")


CHECKS = {
    "closed_forms": closed_forms,
    "automatic": lambda: agrees(5, **VARIANTS["automatic"]),
    "decides": decides,
    "acts": acts,
    "image_gan": traces_image_gan,
    "intro_vae": traces_intro_vae,
    "draws": draws_agree,
    "modules": modules,
    "many": many,
    "judged_by_a_perceptron": lambda: judges("perceptron"),
    "judged_by_a_convolutional_network": lambda: judges("convolutional"),
}


def alone(check: str) -> None:
    """Run a check as if it were the first one of its process."""
    eager = torch.compile
    torch._dynamo.reset()
    try:
        with torch._dynamo.config.patch():
            CHECKS[check]()
    finally:
        torch.compile = eager


def answer(check: str) -> str:
    """What a check raised, and what it wrote to the standard error, as JSON."""
    failure, said = "", io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            alone(check)
        except BaseException:
            failure = traceback.format_exc()
    return json.dumps({"failure": failure, "said": said.getvalue()})


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1:]:
        for name in sys.argv[1:]:
            alone(name)
    else:
        for line in sys.stdin:
            print(answer(line.strip()), flush=True)
