"""Steps of the meta-optimizer, with gradients by backpropagation or by evolution strategies."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from autoloss_gym import random
from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.optimizers.learned import LearnedOptimizer
from autoloss_gym.optimizers.learned_files import StoredWeights, read_weights
from autoloss_gym.optimizers.learned_network import num_weights, weight_shapes

from .inner_runs import InnerRuns
from .options import LearnedOptimizerOptions
from .posterior import deviation_of, divergence_from_prior, spread_of


class LearnedWeights(nn.Module):
    """The weights of a learned optimizer, or the means and spreads of their posterior."""

    def __init__(self, stored: StoredWeights, options: LearnedOptimizerOptions) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.from_numpy(stored.mean.copy()))
        self.spread: nn.Parameter | None = None
        if options.posterior:
            start = stored.deviation
            if start is None:
                start = np.full_like(stored.mean, options.deviation)
            self.spread = nn.Parameter(spread_of(torch.from_numpy(start.copy())))

    def stored(self) -> StoredWeights:
        """As they are kept in a file."""
        mean = self.mean.detach().cpu().numpy().copy()
        if self.spread is None:
            return StoredWeights(mean)
        return StoredWeights(mean, deviation_of(self.spread.detach()).cpu().numpy())


class MetaTraining:
    """Trains the weights of a learned optimizer on the problems of a task.

    Args:
        task: its optimizer is replaced.
        options: what to do.
        num_runs: training runs at a time; even for evolution strategies.
        seed: of weights, problems and perturbations.
        device: where they run.
    """

    def __init__(
        self,
        task: GradientTask,
        options: LearnedOptimizerOptions,
        num_runs: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self.options = options
        self._is_evolution = options.method == "evolution"
        if self._is_evolution and num_runs % 2:
            raise ValueError(
                f"--num-envs {num_runs}: expected an even number, because two runs share a problem"
            )
        start = _start(options, seed)
        self.weights = LearnedWeights(start, options).to(device)
        copies = 2 if self._is_evolution else 1
        inner = dataclasses.replace(task, optimizer=LearnedOptimizer(weights=start.mean))
        self.runs = InnerRuns(inner, options, num_runs // copies, copies, seed, device)
        self.iterations = 0
        self.meta_optimizer = self._made_meta_optimizer()

    def iterate(self) -> dict[str, float]:
        """One unroll of all runs and one step of the meta-optimizer; figures by name."""
        self.runs.renew()
        self.meta_optimizer.zero_grad()
        losses = self._by_evolution() if self._is_evolution else self._by_backpropagation()
        figures = {"meta_loss": losses.double().mean().item()}
        if self.weights.spread is not None:
            divergence = divergence_from_prior(
                self.weights.mean, deviation_of(self.weights.spread), self.options.prior_deviation
            )
            (divergence / self.options.evidence).backward()
            figures["divergence_from_prior"] = divergence.item()
        parameters = list(self.weights.parameters())
        norm = nn.utils.clip_grad_norm_(parameters, self.options.max_grad_norm)
        figures["gradient_norm"] = norm.item()
        self.meta_optimizer.step()
        self.iterations += 1
        return figures

    def _by_backpropagation(self) -> Float[Tensor, " num_envs"]:
        """Gradients of the mean meta-loss through the updates; one that is not finite counts 0."""
        num_envs = len(self.runs.first_losses)
        rows = self._sampled(self._noise()) if self.weights.spread is not None else None
        if rows is None:
            rows = self.weights.mean.expand(num_envs, -1)
        own = rows.detach().clone().requires_grad_()
        losses = self.runs.unroll(own, differentiable=True)
        (gradients,) = torch.autograd.grad(losses.sum(), own)
        finite = torch.isfinite(gradients).all(dim=1, keepdim=True)
        rows.backward(torch.where(finite, gradients, 0.0) / num_envs)
        return losses.detach()

    @torch.no_grad()
    def _by_evolution(self) -> Float[Tensor, " num_envs"]:
        """Gradients by the differences of runs that are alike but for the sign of their noise."""
        weights = self.weights
        noise = self._noise()
        if weights.spread is None:
            deviation = torch.full_like(weights.mean, self.options.deviation)
        else:
            deviation = deviation_of(weights.spread)
        shifts = noise * deviation
        rows = torch.cat([weights.mean + shifts, weights.mean - shifts])
        losses = self.runs.unroll(rows, differentiable=False)
        plus, minus = losses.chunk(2)
        slope = ((plus - minus) / 2)[:, None]
        weights.mean.grad = (slope * noise / deviation).mean(dim=0)
        if weights.spread is not None:
            mean = ((plus + minus) / 2)[:, None]
            by_deviation = ((mean - mean.mean()) * (noise * noise - 1) / deviation).mean(dim=0)
            weights.spread.grad = by_deviation * torch.sigmoid(weights.spread)
        return losses

    def _noise(self) -> Float[Tensor, "problems weights"]:
        """Normal draws of each problem, for its whole run or for this unroll alone."""
        keys = self.runs.keys("perturbation")
        if not self.options.persistent:
            keys = random.fold_in(keys, self.iterations)
        return random.normal(keys, (len(self.weights.mean),))

    def _sampled(self, noise: Float[Tensor, "problems weights"]) -> Tensor:
        """Weights of each run from the posterior."""
        assert self.weights.spread is not None
        return self.weights.mean + deviation_of(self.weights.spread) * noise

    def _made_meta_optimizer(self) -> torch.optim.Optimizer:
        parameters = list(self.weights.parameters())
        rate = self.options.learning_rate
        if self.options.meta_optimizer == "rmsprop":
            return torch.optim.RMSprop(parameters, lr=rate)
        return torch.optim.Adam(parameters, lr=rate)


def _start(options: LearnedOptimizerOptions, seed: int) -> StoredWeights:
    """The weights to begin with: those of a file, or random ones of small steps."""
    if options.start:
        return read_weights(Path(options.start))
    key = torch.full((1,), seed, dtype=torch.int64, device="cpu")
    parts = []
    for name, shape in weight_shapes(options.hidden_size).items():
        size = math.prod(shape)
        deviation = 1 / math.sqrt(shape[0]) if name.endswith("weight") else 0.0
        parts.append(random.normal(random.fold_in(key, name), (size,), deviation)[0])
    row = torch.cat(parts).numpy()
    assert len(row) == num_weights(options.hidden_size)
    return StoredWeights(row)
