"""Four small trainings as their author wrote them, and the task that `from_module` makes of each.

The user's part of a case is what stands between its two marks.
"""

import inspect
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

import autoloss_gym
from autoloss_gym import ModuleTask

MOST_LINES = 20  # of a user's part


def digits() -> dict[str, Tensor]:
    """1,797 images of 8 × 8 pixels with their digits."""
    bunch = load_digits()
    pixels = torch.tensor(bunch.images / 16, dtype=torch.float32, device="cpu")
    return {"pixels": pixels, "digit": torch.tensor(bunch.target, dtype=torch.int64, device="cpu")}


class TwoHeads(nn.Module):
    """A trunk, a head for the digit and one for whether it is odd."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU())
        self.digit, self.odd = nn.Linear(64, 10), nn.Linear(64, 1)


def two_heads(data: Any, **options: Any) -> ModuleTask:
    """Two losses that share a trunk."""

    # user's part
    def digit(model, batch):
        return F.cross_entropy(model.digit(model.trunk(batch["pixels"])), batch["digit"])

    def odd(model, batch):
        logits = model.odd(model.trunk(batch["pixels"])).squeeze(1)
        return F.binary_cross_entropy_with_logits(logits, (batch["digit"] % 2).float())

    return autoloss_gym.from_module(
        TwoHeads,
        losses={"digit": digit, "odd": odd},
        validation=digit,
        **{"data": data, "batch_size": 32, **options},
    )
    # end


class Convolutions(nn.Module):
    """Two convolutions, normalised, and a dropout."""

    def __init__(self, dropout: float = 0.2) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Dropout(dropout)),
        )
        self.head = nn.Linear(64, 10)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits of the digits."""
        return self.head(self.body(pixels[:, None]))


def convolutions(data: Any, dropout: float = 0.2, **options: Any) -> ModuleTask:
    """A fit and a penalty of the confidence."""

    # user's part
    def fit(model, batch):
        return F.cross_entropy(model(batch["pixels"]), batch["digit"])

    def confidence(model, batch):
        return model(batch["pixels"]).square().mean()

    return autoloss_gym.from_module(
        lambda: Convolutions(dropout),
        losses={"fit": fit, "confidence": confidence},
        validation=fit,
        **{"data": data, "batch_size": 32, **options},
    )
    # end


class Players(nn.Module):
    """A generator of digits and its discriminator."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64))
        self.discriminator = nn.Sequential(nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))


def gan(data: Any, **options: Any) -> ModuleTask:
    """Two players, each with a loss of its own, who draw their latent numbers themselves."""

    # user's part
    def fake(model, batch):
        return torch.sigmoid(model.generator(torch.randn(len(batch["pixels"]), 16)))

    def generator(model, batch):
        return F.softplus(-model.discriminator(fake(model, batch))).mean()

    def discriminator(model, batch):
        real = model.discriminator(batch["pixels"].flatten(1))
        false = model.discriminator(fake(model, batch).detach())
        return (F.softplus(-real) + F.softplus(false)).mean()

    def distance(model, part):
        return (fake(model, part).mean(0) - part["pixels"].flatten(1).mean(0)).square().sum()

    return autoloss_gym.from_module(
        Players,
        losses={"generator": generator, "discriminator": discriminator},
        pairs={"generator": "generator", "discriminator": "discriminator"},
        validation=distance,
        **{"data": data, "batch_size": 32, **options},
    )
    # end


class Transformer(nn.Module):
    """One block that reads a digit row by row."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.embedding = nn.Linear(8, 32)
        self.block = nn.TransformerEncoderLayer(32, 4, 64, dropout, batch_first=True)
        self.digit, self.following = nn.Linear(32, 10), nn.Linear(32, 8)

    def forward(self, rows: Tensor) -> Tensor:
        """A code of every row, which sees no later one."""
        size = rows.shape[1]
        hidden = torch.ones(size, size, dtype=torch.bool, device=rows.device).triu(1)
        return self.block(self.embedding(rows), src_mask=hidden)


def transformer(data: Any, dropout: float = 0.0, **options: Any) -> ModuleTask:
    """The digit, and the next row of pixels."""

    # user's part
    def digit(model, batch):
        return F.cross_entropy(model.digit(model(batch["pixels"])[:, -1]), batch["digit"])

    def following(model, batch):
        return F.mse_loss(model.following(model(batch["pixels"][:, :-1])), batch["pixels"][:, 1:])

    return autoloss_gym.from_module(
        lambda: Transformer(dropout),
        losses={"digit": digit, "following": following},
        validation=digit,
        **{"data": data, "batch_size": 32, **options},
    )
    # end


CASES: dict[str, Callable[..., ModuleTask]] = {
    "two heads": two_heads,
    "CNN": convolutions,
    "GAN": gan,
    "transformer": transformer,
}


def users_lines(case: Callable[..., ModuleTask]) -> int:
    """Lines of a user's part, without empty ones."""
    source = inspect.getsource(case).split("# user's part\n")[1].split("# end")[0]
    return sum(bool(line.strip()) for line in source.splitlines())
