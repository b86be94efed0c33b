"""Runs of classifiers under an optimizer: curves, and figures of how they end."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.state import Keys, Split, State
from autoloss_gym.core.task import Control
from autoloss_gym.optimizers import Optimizer, with_weights
from autoloss_gym.tasks.images.image_classification import ImageClassification

CURVES = ("train_loss", "test_loss", "test_error", "calibration_error")
_BINS = 10


Curves = dict[str, np.ndarray]  # by the names of `CURVES`, (steps, runs) each


def problem_keys(split: Split, count: int, draw: int = 0) -> Keys:
    """Problems of a split; runs of another `draw` begin otherwise and see other mini-batches."""
    numbers = torch.arange(count, dtype=torch.int64, device="cpu")
    root = random.fold_in(random.fold_in(torch.zeros_like(numbers), split), "learned study")
    problem = random.fold_in(root, numbers)
    return Keys(
        problem=problem, run=random.fold_in(random.fold_in(problem, "run"), draw), split=split
    )


@torch.no_grad()
def play(
    task: ImageClassification,
    optimizer: Optimizer,
    keys: Keys,
    steps: tuple[int, ...],
    weights: Tensor | None = None,
) -> Curves:
    """Train a classifier for each key; what is measured of it.

    Args:
        task: the problems.
        optimizer: takes the steps.
        keys: one for each run.
        steps: when to measure, ascending.
        weights: of a learned optimizer, a row for each run; None for its own.
    """
    task = replace(task, optimizer=optimizer)
    state = task.reset(keys)
    if weights is not None:
        state = replace(state, optimizer=with_weights(state.optimizer, weights))
    control = _fitting(len(keys.run))
    rows: dict[str, list[np.ndarray]] = {name: [] for name in CURVES}
    for step in range(steps[-1] + 1):
        if step in steps:
            score = task.score(state).numpy()
            rows["test_error"].append(score[:, 0])
            rows["test_loss"].append(score[:, 1])
            rows["train_loss"].append(_part_loss(task, state, "training"))
            rows["calibration_error"].append(_calibration_error(task, state))
        if step < steps[-1]:
            state, _ = task.update(state, control)
    return {name: np.stack(values).astype(np.float32) for name, values in rows.items()}


def mean_loss(
    task: ImageClassification, optimizer: Optimizer, keys: Keys, part: str, horizon: int
) -> float:
    """Mean of the losses on a part over the whole run: what a meta-training makes small."""
    task = replace(task, optimizer=optimizer)
    state = task.reset(keys)
    control = _fitting(len(keys.run))
    total = 0.0
    for step in range(horizon):
        state, _ = task.update(state, control)
        if step % 5 == 0:
            total += float(np.clip(_part_loss(task, state, part), 0, 100).mean())
    return total / len(range(0, horizon, 5))


def _fitting(num_envs: int) -> Control:
    """Steps on the cross-entropy alone."""
    return Control(
        weights=torch.tensor([[1.0, 0.0]], dtype=torch.float32).repeat(num_envs, 1),
        step_size=torch.ones(num_envs, dtype=torch.float32),
    )


def _part_loss(task: ImageClassification, state: State, part: str) -> np.ndarray:
    """Cross-entropy of each run on all images of a part, with the labels that stand there."""
    data = {**state.data, "validation": state.data[part]}
    return task.validate(replace(state, data=data))[:, 0].numpy()


def _calibration_error(task: ImageClassification, state: State) -> np.ndarray:
    """Expected calibration error of each classifier on the test part (Naeini et al. 2015)."""
    part = state.data["test"]
    images = task.source.gather(part["rows"])
    shares = torch.softmax(task.logits(task.unpack(state.parameters), images), dim=2)
    confidence, said = shares.max(dim=2)
    right = (said == part["labels"]).to(torch.float32)
    bins = (confidence * _BINS).long().clamp(0, _BINS - 1)
    error = torch.zeros(len(bins), dtype=torch.float32)
    for index in range(_BINS):
        inside = (bins == index).to(torch.float32)
        error += ((right - confidence) * inside).mean(dim=1).abs()
    return error.numpy()
