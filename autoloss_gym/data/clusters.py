"""Classification problems drawn at random: normal clusters around the vertices of a hypercube."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random

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
    """

    dimension: int
    side: float
    assignment: str
    stretched: bool

    @property
    def num_informative(self) -> int:
        """5 % of the features, and at least 2."""
        return max(2, round(0.05 * self.dimension))

    def draw(self, keys: Int64[Tensor, " num_envs"]) -> dict[str, Float[Tensor, "num_envs ..."]]:
        """What the parts of a problem share.

        Returns:
            `centres` (num_envs, clusters, informative) and `shape` (num_envs, clusters,
            informative, informative) of the clusters, and `mix` (num_envs, informative,
            informative), the linear combinations.
        """
        size = self.num_informative
        streams = {name: random.fold_in(keys, name) for name in ("signs", "kind", "shape", "mix")}
        signs = random.integers(streams["signs"], (CLUSTERS, size), 2).to(torch.float32) * 2 - 1
        corners = self._corners(streams["kind"])
        centres = torch.cat([corners, signs[:, :, 2:]], dim=2) * (self.side / 2)
        if self.stretched:
            shape = random.uniform(streams["shape"], (CLUSTERS, size, size), -1.0, 1.0)
        else:
            identity = torch.eye(size, dtype=torch.float32, device=keys.device)
            shape = identity.expand(len(keys), CLUSTERS, size, size)
        mix = random.uniform(streams["mix"], (size, size), -1.0, 1.0)
        return {"centres": centres, "shape": shape, "mix": mix}

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
        noise = inputs[:, :, 2 * k :]

        targets = cluster % 2
        if self.stretched:
            anew = random.uniform(streams["flip"], (size,)) < _RANDOM_LABELS
            targets = torch.where(anew, random.integers(streams["label"], (size,), 2), targets)
        return {"inputs": torch.cat([informative, combined, noise], dim=2), "targets": targets}

    def standardised_parts(
        self, keys: Int64[Tensor, " num_envs"], num_samples: int, num_held_out: int
    ) -> dict[str, dict[str, Tensor]]:
        """Training, validation and test part of a new problem for each key, as `sample` has them.

        Inputs are standardised on the training part.

        Args:
            keys: of the problems.
            num_samples: of the training part.
            num_held_out: samples of each of the others.
        """
        problem = self.draw(keys)
        parts = {}
        for part in ("training", "validation", "test"):
            size = num_samples if part == "training" else num_held_out
            parts[part] = self.sample(random.fold_in(keys, part), size, problem)
        training = parts["training"]["inputs"]
        mean = training.mean(dim=1, keepdim=True)
        deviation = training.std(dim=1, keepdim=True)
        for samples in parts.values():
            samples["inputs"] = (samples["inputs"] - mean) / deviation
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
