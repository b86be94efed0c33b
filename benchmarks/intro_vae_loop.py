"""An introspective VAE trained by itself, without this package's networks, optimizers and draws."""

import torch
from torch import Tensor, nn

from autoloss_gym.optimizers import Adam
from autoloss_gym.tasks.images.intro_vae import IntroVAE
from benchmarks.gan_loops import discriminator_network, generator_network, images_of_a_run
from benchmarks.sides import Side


class BareIntroVAE:
    """One encoder and one decoder with an optimizer each.

    Args:
        task: the sizes of everything; its form is "paper" and its arms are "players".
    """

    def __init__(self, task: IntroVAE) -> None:
        if (task.form, task.arms) != ("paper", "players") or not isinstance(task.optimizer, Adam):
            raise ValueError(
                f"form={task.form!r}, arms={task.arms!r}: expected 'paper' and 'players', with Adam"
            )
        self._task = task
        architecture = task.coders.architecture
        self.encoder = discriminator_network(architecture, 2 * task.latent_size)
        self.decoder = generator_network(architecture)
        self._players = [list(self.encoder.parameters()), list(self.decoder.parameters())]
        rate, betas = task.optimizer.learning_rate, task.optimizer.betas
        self._optimizers = [
            torch.optim.Adam(player, lr=rate, betas=betas) for player in self._players
        ]
        self._training, _ = images_of_a_run(task, "cpu")

    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """Real images (images, channels, height, width), the noise of their codes and the latent
        numbers of as many samples, both (images, latents).
        """
        size = self._task.batch_size
        images = self._training[torch.randint(len(self._training), (size,))]
        shape = size, self._task.latent_size
        return images, torch.randn(shape), torch.randn(shape)

    def update(self, player: int, images: Tensor, noise: Tensor, prior: Tensor) -> Tensor:
        """Update one player, 0 the encoder and 1 the decoder, with what `draw` returns.

        Returns:
            Its loss before.
        """
        self._optimizers[player].zero_grad()
        loss_of = self._decoder_loss if player else self._encoder_loss
        loss = loss_of(images, noise, prior)
        loss.backward(inputs=self._players[player])  # nothing is computed for the other player
        self._optimizers[player].step()
        return loss.detach()

    def _encoder_loss(self, images: Tensor, noise: Tensor, prior: Tensor) -> Tensor:
        mean, log_variance = self.encoder(images).chunk(2, dim=1)
        reconstructions = self.decoder(mean + (log_variance / 2).exp() * noise)
        with torch.no_grad():
            samples = self.decoder(prior)
        apart = self._divergences(torch.cat([reconstructions.detach(), samples]))
        # Reconstructions and samples are as many: the sum of two means.
        hinges = 2 * (self._task.margin - apart).relu().mean()
        near = _divergences(mean, log_variance).mean()
        return near + self._task.alpha * hinges + self._error(reconstructions, images)

    def _decoder_loss(self, images: Tensor, noise: Tensor, prior: Tensor) -> Tensor:
        with torch.no_grad():
            mean, log_variance = self.encoder(images).chunk(2, dim=1)
            latents = mean + (log_variance / 2).exp() * noise
        made = self.decoder(torch.cat([latents, prior]))
        near = 2 * self._divergences(made).mean()
        return self._task.alpha * near + self._error(made[: len(images)], images)

    def _divergences(self, images: Tensor) -> Tensor:
        return _divergences(*self.encoder(images).chunk(2, dim=1))

    def _error(self, reconstructions: Tensor, images: Tensor) -> Tensor:
        """β ½ Σ of squared errors of pixels in [0, 1]; those of [-1, 1] are twice as far apart."""
        squares = nn.functional.mse_loss(reconstructions, images, reduction="sum") / len(images)
        return self._task.reconstruction * squares / 8


def _divergences(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL of each row from the prior, (rows,)."""
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(dim=1)


def bare_loop(task: IntroVAE, steps: int) -> Side:
    """A loop of `steps` updates a turn, of encoder and decoder in turn."""
    model = BareIntroVAE(task)

    def play() -> int:
        for step in range(steps):
            model.update(step % 2, *model.draw())
        return steps

    return play
