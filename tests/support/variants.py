"""Every registered environment in every variant, with few steps and little data."""

import dataclasses
import importlib
import math
from pathlib import Path
from typing import Any

import pytest

from autoloss_gym.data import images, named_images, tables
from autoloss_gym.data.sentences.files import MULTI30K
from autoloss_gym.losses.adversarial import ADVERSARIAL_LOSSES
from autoloss_gym.losses.penalties import PENALTIES
from autoloss_gym.losses.variational import FORMS
from autoloss_gym.networks.activations import ACTIVATIONS as SMOOTH
from autoloss_gym.networks.convolutions import PADDINGS
from autoloss_gym.networks.dcgan import ACTIVATIONS
from autoloss_gym.optimizers import SGD, Adam, BarzilaiBorwein, LearnedOptimizer
from autoloss_gym.optimizers.learned_network import num_weights
from autoloss_gym.registration import TASKS
from autoloss_gym.signals.rewards import REWARDS
from autoloss_gym.tasks.images.intro_vae_figures import DECIDING
from autoloss_gym.tasks.images.intro_vae_losses import ARMS
from autoloss_gym.tasks.physics.problems import EQUATIONS

REGRESSION, CLASSIFICATION = "AutoLoss/QuadraticRegression-v1", "AutoLoss/MLPClassification-v1"
IMAGE_CLASSES = "AutoLoss/ImageClassification-v0"
AUTOENCODER, GAN = "AutoLoss/SparseAutoencoder-v1", "AutoLoss/ImageGAN-v1"
INTRO_VAE = "AutoLoss/IntroVAE-v0"
ROSENBROCK, BEALE = "AutoLoss/Rosenbrock-v1", "AutoLoss/Beale-v1"
QUADRATIC, LEAST_SQUARES = "AutoLoss/QuadraticStepSize-v0", "AutoLoss/LeastSquaresStepSize-v0"
TRANSLATION = "AutoLoss/MultiTaskTranslation-v0"
PINN = "AutoLoss/PINN-v0"
# Weights do nothing where every block has one loss.
_UNWEIGHED = (GAN, INTRO_VAE, QUADRATIC, LEAST_SQUARES)

_SHORT = {"max_steps": 4, "validate_every": 2}
_FEW_IMAGES = {"num_samples": 40, "batch_size": 4, "num_held_out": 12, "num_test": 20}
SMALL: dict[str, dict[str, Any]] = {
    REGRESSION: {"dimension": 3, "num_samples": 8},
    CLASSIFICATION: {"dimension": 6, "num_samples": 8, "num_held_out": 6, "hidden_sizes": (4,)},
    AUTOENCODER: {**_FEW_IMAGES, "hidden_sizes": (6,), "code_size": 4},
    IMAGE_CLASSES: {**_FEW_IMAGES, "hidden_sizes": (4,)},
    GAN: {**_FEW_IMAGES, "filters": 2, "latent_size": 4},
    INTRO_VAE: {**_FEW_IMAGES, "filters": 2, "latent_size": 4},
    ROSENBROCK: {},
    BEALE: {},
    QUADRATIC: {"dimension": 3},
    LEAST_SQUARES: {"dimension": 4, "num_samples": 6},
    TRANSLATION: {
        "num_sentences": (6, 7, 8),
        "num_held_out": 3,
        "num_test": 4,
        "batch_size": 2,
        "embedding_size": 4,
        "hidden_size": 4,
        "source_words": 100,
        "target_words": 100,
    },
    PINN: {
        "num_points": 5,
        "num_condition_points": 3,
        "num_readings": 4,
        "num_held_out": 3,
        "hidden_sizes": (6, 5),
    },
}
_IMAGES = (*images.BUNDLED, *named_images.NAMED)
_STEPS = ("fixed", "barzilai_borwein_1", "barzilai_borwein_2")
_LEARNED = tuple(math.sin(0.7 * place) / 3 for place in range(num_weights(3)))
_OPTIMIZERS = (
    LearnedOptimizer(weights=_LEARNED),
    Adam(learning_rate=1e-2),
    SGD(learning_rate=1e-2),
    SGD(learning_rate=1e-2, momentum=0.5),
    BarzilaiBorwein(learning_rate=1e-2, form="long"),
    BarzilaiBorwein(learning_rate=1e-2, form="short"),
)
# Arguments of each task that choose between programs, with all their values.
VALUES: dict[str, dict[str, tuple[Any, ...]]] = {
    REGRESSION: {
        "dataset": ("synthetic", *tables.BUNDLED_REGRESSION),
        "num_samples": (8, (3, 8)),
        "noise": (2.0, (0.5, 6.0)),
        "active_features": (None, (1, 3)),
        "true_quadratic": (0.0, 0.5),
        "learning_rate_factor": (1.0, (0.1, 4.0)),
        "penalty": PENALTIES,
        "constant": (False, True),
        "train_on_validation": (False, True),
    },
    CLASSIFICATION: {
        "dataset": ("make_classification", "paper", *tables.BUNDLED_CLASSIFICATION),
        "num_samples": (8, (4, 8)),
        "side": (2.0, (1.0, 3.0)),
        "informative": (None, 3, (2, 3)),
        "label_noise": (0.0, (0.0, 0.3)),
        "assignment": ("adjacent", "opposite", "random"),
        "penalty": PENALTIES,
        "train_on_validation": (False, True),
        "hidden_sizes": ((4,), (5, 4)),
    },
    AUTOENCODER: {"dataset": _IMAGES, "size": (0, 6), "num_samples": (40, (20, 40))},
    IMAGE_CLASSES: {
        "dataset": ("digits", "mnist", "cifar10"),
        "size": (0, 6),
        "label_noise": (0.0, 0.2),
        "hidden_sizes": ((4,), (5, 4)),
    },
    GAN: {
        "dataset": _IMAGES,
        "size": (0, 12, 32),
        "loss": ADVERSARIAL_LOSSES,
        "kernel_size": tuple(PADDINGS),
        "batch_norm": (False, True),
        "generator_activation": ACTIVATIONS,
        "discriminator_activation": ACTIVATIONS,
        "weight_deviation": (0.0, 0.02),
    },
    INTRO_VAE: {
        "dataset": _IMAGES,
        "size": (0, 12, 32, 64),
        "arms": tuple(ARMS),
        "form": FORMS,
        "per_pixel": (False, True),
        "decides": DECIDING,
        "kernel_size": tuple(PADDINGS),
        "alpha": (0.5, 0.0),
        "collapse_updates": (200, 1),
        "niqe_patch": (0, 8),
    },
    ROSENBROCK: {"step": _STEPS},
    BEALE: {"step": _STEPS},
    QUADRATIC: {
        "spectrum": ("logarithmic", "uniform", "wishart"),
        "dimension": (3, (2, 5)),
        "largest": ((1.0, 100.0), 4.0),
        "condition": ((10.0, 1000.0), 4.0),
        "eigenvalues": (None, (4.0, 1.0)),
        "horizon": (None, (1, 4)),
        "step": (*_STEPS, "exact"),
        "dtype": ("float32", "float64"),
    },
    LEAST_SQUARES: {
        "meta": ("train", "validation"),
        "batch": ("full", "sample"),
        "noise": (1.0, (0.5, 4.0)),
        "dtype": ("float32", "float64"),
    },
    TRANSLATION: {
        "dataset": ("synthetic", "multi30k"),
        "bidirectional": (True, False),
        "layers": (1, 2),
        "residual": (False, True),
        "dropout": (0.0, 0.5),
        "clip_norm": (1.0, 0.0),
    },
    PINN: {
        "equation": tuple(EQUATIONS),
        "activation": SMOOTH,
        "num_readings": (4, 0),
        "hidden_sizes": ((6, 5), (4,)),
    },
}
# Tasks of many operations whose arguments go well together: a variant changes several.
_TOGETHER = (AUTOENCODER, IMAGE_CLASSES, GAN, INTRO_VAE, TRANSLATION, PINN)
_WEIGHTS: dict[str, Any] = {"control": "weights"}
_DECISIONS: dict[str, Any] = {"control": "schedule", "control_arguments": {"every": 2}}
# Validations of the runs here are 2 updates apart.
_REWARD_ARGUMENTS = {"improvement": {"segment": 2, "window": 1}}
_REWARDS = [
    {"reward": reward, "reward_arguments": _REWARD_ARGUMENTS.get(reward)}
    for reward in REWARDS
    if reward != "shaped"  # the default
]
# Arguments of the environment, for every task: in each variant all of them are others.
EVERYWHERE: list[dict[str, Any]] = [
    {},
    {"features": "raw", "split": "validation", **_REWARDS[0]},
    {
        "features": "log",
        "add": ("sizes", "sparsity", "best", "gradient_noise"),
        "split": "test",
        **_REWARDS[1],
    },
    *_REWARDS[2:],
]
# What no task has a part in: one of them stands for all.
ONCE: list[dict[str, Any]] = [
    {"drop": ("losses", "difference")},
    {"add": ("gradient_cosines", "shift"), "control": "schedule"},
    {"control": "schedule", "control_arguments": {"every": 2, "levels": 3}},
    {"repeat": 2},
    {"num_instances": 2},
    {"control": "step_size"},
    {"control": "step_size", "control_arguments": {"relative": True}},
    {"control": "step_size", "control_arguments": {"levels": 3}, "repeat": 4},
    {"control": "pair", "control_arguments": {"step_size": True}},
    {"control": "weights", "control_arguments": {"step_size": True}},
    {"autoreset_mode": "NextStep"},
    {"autoreset_mode": "Disabled"},
    {"patience": 1},
    {"collapse_repeats": 2, "collapse_share": 0.5},
    *({"optimizer": optimizer} for optimizer in _OPTIMIZERS),
]


def task_class(id: str) -> Any:
    module, _, name = TASKS[id].partition(":")
    return getattr(importlib.import_module(module), name)


def _variants(id: str) -> list[dict[str, Any]]:
    chosen: list[dict[str, Any]] = [{"preset": preset} for preset in task_class(id).presets]
    defaults = {each.name: each.default for each in dataclasses.fields(task_class(id))}
    defaults |= SMALL[id]
    # The variant without an argument has all of the defaults.
    others = {
        name: [value for value in values if value != defaults[name]]
        for name, values in VALUES[id].items()
    }
    if id in _TOGETHER:
        for row in range(max(map(len, others.values()))):
            chosen.append({name: each[row] for name, each in others.items() if row < len(each)})
    else:
        chosen += [{name: value} for name, each in others.items() for value in each]
    if id == BEALE:
        chosen += ONCE
    if id == GAN:
        # Its losses share no block: pairs are drawn.
        chosen.append(_DECISIONS)
    if id == INTRO_VAE:
        chosen.append({"arms": "parts", **_WEIGHTS})
    if id == TRANSLATION:
        # Its programs have the most operations, and share those of the environment with the others.
        return [*chosen, {}, _WEIGHTS]
    if id not in _UNWEIGHED:
        chosen.append(_WEIGHTS)
    return [*chosen, *EVERYWHERE]


def _name(id: str, arguments: dict[str, Any]) -> str:
    parts = [id.removeprefix("AutoLoss/")]
    parts += [f"{name}={value}" for name, value in arguments.items()]
    return " ".join(parts)


def arguments_of(id: str, chosen: dict[str, Any], data_dir: Path) -> dict[str, Any]:
    """Arguments of `AutoLossVectorEnv`; images and text that have a name are those of the folder."""
    # A mixture's ranges belong together, and its problems are small.
    small = {} if chosen.get("preset") == "mixture" else SMALL[id]
    if chosen.get("preset") == "mixture" and id == QUADRATIC:
        small = {"horizon": (1, 4)}
    arguments = {**_SHORT, **small, **chosen}
    presets = task_class(id).presets
    dataset = {**presets.get(chosen.get("preset"), {}), **arguments}.get("dataset")
    if dataset in (*named_images.NAMED, MULTI30K):
        arguments["data_dir"] = str(data_dir)
    if id == GAN and dataset == "lfwcrop":
        arguments["size"] = 16  # the players make images of at most 32 pixels
    return {"task": TASKS[id], **arguments}


VARIANTS = {_name(id, chosen): (id, chosen) for id in TASKS for chosen in _variants(id)}
each_variant = pytest.mark.parametrize(("id", "chosen"), VARIANTS.values(), ids=VARIANTS)
