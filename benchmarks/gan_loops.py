"""A DCGAN trained one model at a time, written without this package's networks, losses, optimizers
and random numbers.
"""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from autoloss_gym.core.task import Keys
from autoloss_gym.data.images import load_images
from autoloss_gym.optimizers import Adam
from autoloss_gym.scoring.classifiers import load_classifier
from autoloss_gym.tasks.images.image_gan import ImageGAN
from benchmarks.sides import Side

_SLICE = 256  # images that are generated and judged together in a validation
_PADDINGS = {
    4: (1, 0),
    5: (2, 1),
}  # of convolutions with stride 2 and of their transposes, by kernel size


def _activation(name: str) -> nn.Module:
    return nn.ReLU() if name == "relu" else nn.LeakyReLU(0.2)


def generator_network(task: ImageGAN) -> nn.Sequential:
    """The generator of the task as one would write it, with PyTorch's own start."""
    (height, width, channels), widths = task.architecture.base_shape, task.architecture.widths
    padding, output_padding = _PADDINGS[task.kernel_size]
    layers: list[nn.Module] = [
        nn.Linear(task.latent_size, channels * height * width),
        nn.Unflatten(1, (channels, height, width)),
    ]
    for inputs, outputs in pairwise((*widths, task.image_shape[2])):
        norm = [nn.BatchNorm2d(inputs, track_running_stats=False)] if task.batch_norm else []
        convolution = nn.ConvTranspose2d(
            inputs, outputs, task.kernel_size, 2, padding, output_padding
        )
        layers += [*norm, _activation(task.generator_activation), convolution]
    return nn.Sequential(*layers, nn.Tanh())


def discriminator_network(task: ImageGAN) -> nn.Sequential:
    """The discriminator of the task as one would write it: log odds that an image is real, (images,
    1).
    """
    widths, (padding, _) = task.architecture.widths[::-1], _PADDINGS[task.kernel_size]
    layers: list[nn.Module] = []
    for index, (inputs, outputs) in enumerate(pairwise((task.image_shape[2], *widths))):
        layers.append(nn.Conv2d(inputs, outputs, task.kernel_size, 2, padding))
        layers += (
            [nn.BatchNorm2d(outputs, track_running_stats=False)]
            if task.batch_norm and index
            else []
        )
        layers.append(_activation(task.discriminator_activation))
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(int(np.prod(task.architecture.base_shape)), 1)
    )


class BareGAN:
    """One generator and one discriminator with an optimizer each.

    Args:
        task: the sizes of everything; its loss is "non_saturating".
        device: where the model is.
    """

    def __init__(self, task: ImageGAN, device: str) -> None:
        if task.loss != "non_saturating" or not isinstance(task.optimizer, Adam):
            raise ValueError(
                "the loop without this package is written for loss='non_saturating' and Adam alone"
            )
        self._task, self._device = task, device
        self._networks = generator_network(task).to(device), discriminator_network(task).to(device)
        rate, betas = task.optimizer.learning_rate, task.optimizer.betas
        self._optimizers = [
            torch.optim.Adam(network.parameters(), lr=rate, betas=betas)
            for network in self._networks
        ]
        self._classifier = load_classifier(
            task.dataset, task.data_dir, task.size, device, kind="convolutional"
        )
        self._training, self._held_out = _images(task, device)

    def step(self, player: int) -> float:
        """An update of one player: 0 is the generator, 1 the discriminator; returns the norm of its
        gradient.
        """
        parameters = list(self._networks[player].parameters())
        loss = (
            self._discriminator_loss()
            if player
            else softplus(-self._odds(self._generated(self._task.batch_size))).mean()
        )
        self._optimizers[player].zero_grad()
        loss.backward(inputs=parameters)  # nothing is computed for the other player
        norm = nn.utils.get_total_norm(
            [each.grad for each in parameters if each.grad is not None]
        ).item()
        self._optimizers[player].step()
        return norm

    @torch.no_grad()
    def validate(self) -> tuple[float, float]:
        """Inception score and error of the discriminator, as the task's validation has them."""
        total = self._task.num_held_out
        made = [self._generated(min(_SLICE, total - first)) for first in range(0, total, _SLICE)]
        probabilities = torch.cat([self._classified(images) for images in made])
        logs, mean = (
            probabilities.clamp_min(1e-30).log(),
            probabilities.mean(dim=0).clamp_min(1e-30),
        )
        score = (probabilities * (logs - mean.log())).sum(dim=1).mean().exp()
        missed = (
            torch.cat([self._odds(images) <= 0 for images in self._held_out.split(_SLICE)])
            .float()
            .mean()
        )
        fooled = torch.cat([self._odds(images) > 0 for images in made]).float().mean()
        return score.item(), ((missed + fooled) / 2).item()

    def _discriminator_loss(self) -> Tensor:
        size = self._task.batch_size
        drawn = torch.randint(len(self._training), (size,), device=self._device)
        with torch.no_grad():
            parts = self._training[drawn], self._generated(size)
        # With batch normalisation, real and generated images are batches of their own.
        odds = (
            [self._odds(each) for each in parts]
            if self._task.batch_norm
            else self._odds(torch.cat(parts)).chunk(2)
        )
        return (softplus(-odds[0]).mean() + softplus(odds[1]).mean()) / 2

    def _generated(self, count: int) -> Tensor:
        return self._networks[0](torch.randn(count, self._task.latent_size, device=self._device))

    def _odds(self, images: Tensor) -> Tensor:
        return self._networks[1](images).squeeze(1)

    def _classified(self, images: Tensor) -> Tensor:
        """Class probabilities (images, classes)."""
        return self._classifier.probabilities(
            ((images + 1) / 2).permute(0, 2, 3, 1).flatten(1)[None]
        )[0]


def _images(task: ImageGAN, device: str) -> tuple[Tensor, Tensor]:
    """What one run of the task trains on and is validated on, (images, channels, height, width) in
    [-1, 1].
    """
    keys = torch.zeros(1, dtype=torch.int64)
    rows = task.make_data(Keys(problem=keys, run=keys))
    loaded = torch.from_numpy(load_images(task.dataset, task.data_dir, task.size).images)
    pixels = loaded.float() / (255 if loaded.dtype == torch.uint8 else 1)
    images = (pixels * 2 - 1).permute(0, 3, 1, 2)
    training, held_out = (
        images[rows[part][0]].contiguous().to(device) for part in ("training", "validation")
    )
    return training, held_out


def bare_loop(task: ImageGAN, steps: int, device: str) -> Side:
    """Trains one GAN for `steps` updates a turn, each of a random player."""
    model, generator = BareGAN(task, device), np.random.default_rng(0)

    def play() -> int:
        for step in range(1, steps + 1):
            model.step(int(generator.integers(2)))
            if step % task.validate_every == 0:
                model.validate()
        return steps

    return play
