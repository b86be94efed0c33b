"""Classification problems drawn at random: normal clusters around the vertices of a hypercube."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.data.masks import as_weights, kept_rows
from autoloss_gym.data.resampled_tables import with_validation_in_training
from autoloss_gym.tools.bounds import FloatRange, IntRange, largest

CLUSTERS = 4  # two a class
_RANDOM_LABELS = 0.01  # share of the labels that are drawn anew where clusters are stretched


@dataclass(frozen=True, kw_only=True)
class ClusterProblems:
    """Problems of two classes, most of whose features say nothing about the class.

    The first features are informative; as many again are linear combinations of these, and the rest
    is noise.

    Args:
        dimension: features in all.
        side: edge of the hypercube.
        assignment: "adjacent", "opposite" or "random", see `MLPClassification`.
        stretched: whether each cluster is stretched by a random matrix and some labels are drawn
            anew, as by scikit-learn's `make_classification`.
        informative: informative features; None for 5 % of all, and at least 2.
        label_noise: share of the labels that `turned` turns to the other class.
        with_bayes_rule: whether the test part comes with the probabilities of the classes.

    `side`, `informative` and `label_noise` may be ranges (low, high), of which each problem draws a
    number uniformly.
    """

    dimension: int
    side: FloatRange
    assignment: str
    stretched: bool

    informative: IntRange | None = None
    label_noise: FloatRange = 0.0
    with_bayes_rule: bool = False

    @property
    def num_informative(self) -> int:
        """Informative features, in the problem that has most of them."""
        if self.informative is None:
            return max(2, round(0.05 * self.dimension))
        return largest(self.informative)

    def draw(self, keys: Int64[Tensor, " num_envs"]) -> dict[str, Float[Tensor, "num_envs ..."]]:
        """What the parts of a problem share.

        Returns:
            `centres` (num_envs, clusters, informative) and `shape` (num_envs, clusters,
            informative, informative) of the clusters, and `mix` (num_envs, informative,
            informative), the linear combinations; where problems differ in their number of
            informative features, `is_informative` (num_envs, informative), 1 or 0.
        """
        size = self.num_informative
        streams = {name: random.fold_in(keys, name) for name in ("signs", "kind", "shape", "mix")}
        signs = random.integers(streams["signs"], (CLUSTERS, size), 2).to(torch.float32) * 2 - 1
        corners = self._corners(streams["kind"])
        centres = torch.cat([corners, signs[:, :, 2:]], dim=2) * self._half_side(keys)
        if self.stretched:
            shape = random.uniform(streams["shape"], (CLUSTERS, size, size), -1.0, 1.0)
        else:
            identity = torch.eye(size, dtype=torch.float32, device=keys.device)
            shape = identity.expand(len(keys), CLUSTERS, size, size)
        mix = random.uniform(streams["mix"], (size, size), -1.0, 1.0)
        problem = {"centres": centres, "shape": shape, "mix": mix}
        if isinstance(self.informative, tuple):
            counts = random.ranged_integers(random.fold_in(keys, "informative"), self.informative)
            problem = _masked(problem, kept_rows(counts, size))
        return problem

    def _half_side(self, keys: Int64[Tensor, " num_envs"]) -> float | Tensor:
        if not isinstance(self.side, tuple):
            return self.side / 2
        return random.ranged(random.fold_in(keys, "side"), self.side)[:, None, None] / 2

    def sample(
        self, keys: Int64[Tensor, " num_envs"], size: int, problem: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """`size` samples of each problem.

        Args:
            keys: of the samples.
            size: how many.
            problem: what `draw` returned.

        Returns:
            `inputs` (num_envs, size, dimension), float32, and `targets` (num_envs, size), the class
            0 or 1, int64.
        """
        streams = {n: random.fold_in(keys, n) for n in ("cluster", "inputs", "flip", "label")}
        cluster = random.integers(streams["cluster"], (size,), CLUSTERS)
        runs = torch.arange(len(keys), dtype=torch.int64, device=keys.device)[:, None]
        inputs = random.normal(streams["inputs"], (size, self.dimension))
        k = self.num_informative

        shape = problem["shape"][runs, cluster]
        informative = (inputs[:, :, :k, None] * shape).sum(dim=2)
        informative = informative + problem["centres"][runs, cluster]
        combined = (informative[:, :, :, None] * problem["mix"][:, None]).sum(dim=2)
        if "is_informative" in problem:
            is_noise = 1 - problem["is_informative"][:, None]
            combined = combined + inputs[:, :, k : 2 * k] * is_noise
        noise = inputs[:, :, 2 * k :]

        targets = cluster % 2
        if self.stretched:
            anew = random.uniform(streams["flip"], (size,)) < _RANDOM_LABELS
            targets = torch.where(anew, random.integers(streams["label"], (size,), 2), targets)
        return {"inputs": torch.cat([informative, combined, noise], dim=2), "targets": targets}

    def turned(self, keys: Int64[Tensor, " num_envs"], parts: dict[str, Any]) -> dict[str, Any]:
        """`parts` with some labels of the training and validation part turned."""
        if not self.label_noise:
            return parts
        share = random.ranged(random.fold_in(keys, "label noise"), self.label_noise)
        parts = dict(parts)
        for part in ("training", "validation"):
            targets = parts[part]["targets"]
            stream = random.fold_in(random.fold_in(keys, part), "turned")
            is_turned = random.uniform(stream, (targets.shape[1],)) < share[:, None]
            parts[part] = {**parts[part], "targets": torch.where(is_turned, 1 - targets, targets)}
        return parts

    def _corners(self, keys: Int64[Tensor, " num_envs"]) -> Float[Tensor, "num_envs clusters 2"]:
        """Signs of the first two informative features of every cluster.

        Clusters 0 and 2 are class 0: in the first order the first feature tells the classes apart,
        in the second only both together do.
        """
        device = keys.device
        signs = [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]
        corners = torch.tensor(signs, dtype=torch.float32, device=device)
        adjacent = torch.tensor([0, 2, 1, 3], dtype=torch.int64, device=device)
        opposite = torch.tensor([0, 1, 3, 2], dtype=torch.int64, device=device)
        if self.assignment == "random":
            exclusive = random.integers(keys, (), 2)
        else:
            exclusive = torch.full_like(keys, int(self.assignment == "opposite"))
        order = torch.where(exclusive[:, None] == 1, opposite, adjacent)
        return corners[order]


def cluster_data(
    problems: ClusterProblems,
    keys: Int64[Tensor, " num_envs"],
    num_samples: IntRange,
    num_held_out: int,
    train_on_validation: bool,
) -> dict[str, Any]:
    """Training, validation and test part of a new problem for each key, as `sample` has them.

    Inputs are standardised on the training part. Where `num_samples` is a range, the training part
    has the largest number of rows, and "weights" (num_envs, rows), which sum to 1; rows that do not
    count are 0. With the Bayes rule the test part has "second_class" (num_envs, rows), the
    probability of class 1 given the inputs.

    Args:
        problems: where to draw from.
        keys: of the problems.
        num_samples: of the training part.
        num_held_out: samples of each of the others.
        train_on_validation: whether the training part has the validation part's samples too.
    """
    problem = problems.draw(keys)
    parts: dict[str, Any] = {}
    for part in ("training", "validation", "test"):
        size = largest(num_samples) if part == "training" else num_held_out
        parts[part] = problems.sample(random.fold_in(keys, part), size, problem)
    if problems.with_bayes_rule:
        informative = parts["test"]["inputs"][:, :, : problems.num_informative]
        parts["test"]["second_class"] = _second_class(informative, problem)
    parts = problems.turned(keys, parts)
    training = parts["training"]
    if isinstance(num_samples, tuple):
        counts = random.ranged_integers(random.fold_in(keys, "num samples"), num_samples)
        training["kept"] = kept_rows(counts, largest(num_samples))
    mean, deviation = _moments(training)
    for samples in parts.values():
        samples["inputs"] = (samples["inputs"] - mean) / deviation
    if "kept" in training:
        training["inputs"] = training["inputs"] * training["kept"][:, :, None]
        kept = torch.ones_like(parts["validation"]["targets"], dtype=torch.float32)
        parts["validation"]["kept"] = kept
    if train_on_validation:
        parts = with_validation_in_training(parts)
    if "kept" in training:
        parts["training"] = as_weights(parts["training"])
        del parts["validation"]["kept"]
    return parts


def _moments(part: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the inputs over the rows that count, (num_envs, 1, d)."""
    inputs = part["inputs"]
    if "kept" not in part:
        return inputs.mean(dim=1, keepdim=True), inputs.std(dim=1, keepdim=True)
    kept = part["kept"][:, :, None]
    count = kept.sum(dim=1, keepdim=True)
    mean = (inputs * kept).sum(dim=1, keepdim=True) / count
    centred = (inputs - mean) * kept
    return mean, torch.sqrt((centred * centred).sum(dim=1, keepdim=True) / (count - 1))


def _masked(
    problem: dict[str, Tensor], is_informative: Float[Tensor, "num_envs informative"]
) -> dict[str, Tensor]:
    """The problem with some of its informative features turned into noise."""
    both = is_informative[:, :, None] * is_informative[:, None, :]
    size = is_informative.shape[1]
    identity = torch.eye(size, dtype=torch.float32, device=is_informative.device)
    alone = identity * (1 - is_informative)[:, None, :]
    return {
        "centres": problem["centres"] * is_informative[:, None, :],
        "shape": problem["shape"] * both[:, None] + alone[:, None],
        "mix": problem["mix"] * both,
        "is_informative": is_informative,
    }


def _second_class(
    informative: Float[Tensor, "num_envs rows informative"], problem: dict[str, Tensor]
) -> Float[Tensor, "num_envs rows"]:
    """Probability of class 1, of equally frequent normal clusters, given the informative features.

    All others say nothing more: they are noise, or follow from these.
    """
    # Not `inv`, which waits for the device to tell whether a matrix is singular.
    inverse, _ = torch.linalg.inv_ex(problem["shape"].to(torch.float64))
    volume = torch.linalg.slogdet(problem["shape"].to(torch.float64)).logabsdet
    logs = []
    for cluster in range(CLUSTERS):
        offset = informative.to(torch.float64) - problem["centres"][:, None, cluster]
        drawn = (offset[:, :, :, None] * inverse[:, None, cluster]).sum(dim=2)
        logs.append(-(drawn * drawn).sum(dim=2) / 2 - volume[:, None, cluster])
    densities = torch.softmax(torch.stack(logs), dim=0)
    return (densities[1] + densities[3]).to(torch.float32)
