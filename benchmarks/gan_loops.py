"""A DCGAN trained one model at a time, without this package's networks, optimizers and draws."""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from autoloss_gym.core.task import Keys
from autoloss_gym.data.images import load_images
from autoloss_gym.networks.dcgan import Architecture
from autoloss_gym.optimizers import Adam
from autoloss_gym.scoring.classifiers import load_classifier
from autoloss_gym.tasks.images.image_gan import ImageGAN
from autoloss_gym.tasks.images.intro_vae import IntroVAE
from benchmarks.sides import Side

_SLICE = 256  # images that are generated and judged together in a validation
# Padding and output padding of convolutions with stride 2, by kernel size.
_PADDINGS = {4: (1, 0), 5: (2, 1)}


def _activation(name: str) -> nn.Module:
    return nn.ReLU() if name == "relu" else nn.LeakyReLU(0.2)


def generator_network(architecture: Architecture) -> nn.Sequential:
    """A generator as one would write it, with PyTorch's own initialisation."""
    height, width, channels = architecture.base_shape
    padding, output_padding = _PADDINGS[architecture.kernel_size]
    layers: list[nn.Module] = [
        nn.Linear(architecture.latent_size, channels * height * width),
        nn.Unflatten(1, (channels, height, width)),
    ]
    for inputs, outputs in pairwise((*architecture.widths, architecture.image_shape[2])):
        if architecture.batch_norm:
            layers.append(nn.BatchNorm2d(inputs, track_running_stats=False))
        layers.append(_activation(architecture.generator_activation))
        layers.append(
            nn.ConvTranspose2d(
                inputs, outputs, architecture.kernel_size, 2, padding, output_padding
            )
        )
    return nn.Sequential(*layers, nn.Tanh())


def discriminator_network(architecture: Architecture, num_outputs: int = 1) -> nn.Sequential:
    """A discriminator, or an encoder: images → (images, num_outputs)."""
    padding, _ = _PADDINGS[architecture.kernel_size]
    widths = (architecture.image_shape[2], *architecture.widths[::-1])
    layers: list[nn.Module] = []
    for index, (inputs, outputs) in enumerate(pairwise(widths)):
        layers.append(nn.Conv2d(inputs, outputs, architecture.kernel_size, 2, padding))
        if architecture.batch_norm and index:  # none behind the first convolution, as in DCGAN
            layers.append(nn.BatchNorm2d(outputs, track_running_stats=False))
        layers.append(_activation(architecture.discriminator_activation))
    size = int(np.prod(architecture.base_shape))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(size, num_outputs))


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
        self._task = task
        self._device = device
        networks = generator_network(task.architecture), discriminator_network(task.architecture)
        self._networks = [network.to(device) for network in networks]
        rate = task.optimizer.learning_rate
        betas = task.optimizer.betas
        self._optimizers = [
            torch.optim.Adam(network.parameters(), lr=rate, betas=betas)
            for network in self._networks
        ]
        self._classifier = load_classifier(task.source, device, kind="convolutional")
        self._training, self._held_out = images_of_a_run(task, device)

    def step(self, player: int) -> float:
        """Update one player, 0 the generator and 1 the discriminator.

        Returns:
            The norm of its gradient.
        """
        parameters = list(self._networks[player].parameters())
        loss = self._discriminator_loss() if player else self._generator_loss()
        self._optimizers[player].zero_grad()
        loss.backward(inputs=parameters)  # nothing is computed for the other player
        gradients = [each.grad for each in parameters if each.grad is not None]
        norm = nn.utils.get_total_norm(gradients).item()
        self._optimizers[player].step()
        return norm

    @torch.no_grad()
    def validate(self) -> tuple[float, float]:
        """Inception score and error of the discriminator, as the task's validation has them."""
        total = self._task.num_held_out
        made = [self._generated(min(_SLICE, total - first)) for first in range(0, total, _SLICE)]
        probabilities = torch.cat([self._classified(images) for images in made])
        logs = probabilities.clamp_min(1e-30).log()
        mean_logs = probabilities.mean(dim=0).clamp_min(1e-30).log()
        score = (probabilities * (logs - mean_logs)).sum(dim=1).mean().exp()

        real = torch.cat([self._odds(images) for images in self._held_out.split(_SLICE)])
        generated = torch.cat([self._odds(images) for images in made])
        missed = (real <= 0).float().mean()
        fooled = (generated > 0).float().mean()
        return score.item(), ((missed + fooled) / 2).item()

    def _generator_loss(self) -> Tensor:
        return softplus(-self._odds(self._generated(self._task.batch_size))).mean()

    def _discriminator_loss(self) -> Tensor:
        size = self._task.batch_size
        drawn = torch.randint(len(self._training), (size,), device=self._device)
        real = self._training[drawn]
        with torch.no_grad():
            generated = self._generated(size)
        if self._task.batch_norm:  # real and generated images are batches of their own
            real_odds, generated_odds = self._odds(real), self._odds(generated)
        else:
            real_odds, generated_odds = self._odds(torch.cat([real, generated])).chunk(2)
        return (softplus(-real_odds).mean() + softplus(generated_odds).mean()) / 2

    def _generated(self, count: int) -> Tensor:
        return self._networks[0](torch.randn(count, self._task.latent_size, device=self._device))

    def _odds(self, images: Tensor) -> Tensor:
        return self._networks[1](images).squeeze(1)

    def _classified(self, images: Tensor) -> Tensor:
        """Class probabilities (images, classes)."""
        pixels = ((images + 1) / 2).permute(0, 2, 3, 1).flatten(1)
        return self._classifier.probabilities(pixels[None])[0]


def images_of_a_run(task: ImageGAN | IntroVAE, device: str) -> tuple[Tensor, Tensor]:
    """Training and held-out images of one run, (images, channels, height, width) in [-1, 1]."""
    keys = torch.zeros(1, dtype=torch.int64)
    rows = task.make_data(Keys(problem=keys, run=keys))
    loaded = torch.from_numpy(load_images(task.dataset, task.data_dir, task.size).images)
    pixels = loaded.float()
    if loaded.dtype == torch.uint8:
        pixels = pixels / 255
    images = (pixels * 2 - 1).permute(0, 3, 1, 2)
    training = images[rows["training"][0]].contiguous().to(device)
    held_out = images[rows["validation"][0]].contiguous().to(device)
    return training, held_out


def bare_loop(task: ImageGAN, steps: int, device: str) -> Side:
    """A loop that trains one GAN for `steps` updates a turn, each of a random player."""
    model = BareGAN(task, device)
    generator = np.random.default_rng(0)

    def play() -> int:
        for step in range(1, steps + 1):
            model.step(int(generator.integers(2)))
            if step % task.validate_every == 0:
                model.validate()
        return steps

    return play
