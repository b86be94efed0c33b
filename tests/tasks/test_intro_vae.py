"""The introspective VAE against single models written with torch.nn, and what ends its runs."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from torch import nn

from autoloss_gym import random
from autoloss_gym.core.loss import BUFFERS
from autoloss_gym.core.task import Control, Keys
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.scoring.image_quality import niqe, structural_similarity
from autoloss_gym.tasks.images import intro_vae_figures
from autoloss_gym.tasks.images.image_model_task import real_images
from autoloss_gym.tasks.images.intro_vae import IntroVAE
from autoloss_gym.tools import tree
from tests.scoring.image_quality.test_niqe import scenes
from tests.support.recording import assert_same_run, play

ID = "AutoLoss/IntroVAE-v0"
SMALL = {
    "filters": 4,
    "latent_size": 6,
    "batch_size": 8,
    "num_held_out": 32,
    "num_test": 64,
    "max_steps": 20,
    "validate_every": 10,
    # Some images of the first batches are within the margin, and some beyond it.
    "margin": 1.0,
}
each_form = pytest.mark.parametrize("form", ["paper", "released"])
each_arms = pytest.mark.parametrize("arms", ["players", "parts"])


def keys(num_envs):
    problem = random.fold_in(torch.arange(num_envs), "test")
    return Keys(problem=problem, run=random.fold_in(problem, "run"))


def chosen(task, index, num_envs=1):
    """The control under which all runs optimise one pair."""
    weights = torch.eye(len(task.pairs))[[index] * num_envs]
    return Control(weights=weights, step_size=torch.ones(num_envs))


def everything(task, num_envs=1):
    weights = torch.ones(num_envs, len(task.pairs))
    return Control(weights=weights, step_size=weights[:, 0])


@pytest.fixture(scope="module")
def coloured(tmp_path_factory):
    """Colour images of 32 × 32 without labels."""
    path = tmp_path_factory.mktemp("images") / "x.npz"
    pixels = np.random.default_rng(0).integers(0, 256, (60, 32, 32, 3), dtype=np.uint8)
    np.savez(path, images=pixels)
    return str(path)


class Single(nn.Module):
    """Encoder and decoder of the run `row` as ordinary modules, and the losses as in the paper."""

    def __init__(self, task, state, row):
        super().__init__()
        self.task, self.row = task, row
        values = task.unpack(state.parameters)
        _, size, channels = task.source.image_shape
        widths = [task.filters * 2**power for power in range(2 if size < 32 else 3)]
        self.base = size // 2 ** len(widths)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for inputs, outputs in zip([channels, *widths[:-1]], widths, strict=True):
            self.down.append(nn.Conv2d(inputs, outputs, 4, 2, 1))
        for inputs, outputs in zip(widths[::-1], [*widths[-2::-1], channels], strict=True):
            self.up.append(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1))
        features = widths[-1] * self.base**2
        self.to_code = nn.Linear(features, 2 * task.latent_size)
        self.from_code = nn.Linear(task.latent_size, features)
        self.encoder_modules = nn.ModuleList([*self.down, self.to_code])
        self.decoder_modules = nn.ModuleList([self.from_code, *self.up])
        names = [f"halve_{index}" for index in range(len(widths))] + ["dense"]
        self._fill(self.encoder_modules, names, values["encoder"])
        names = ["dense"] + [f"double_{index}" for index in range(len(widths))]
        self._fill(self.decoder_modules, names, values["decoder"])

    def _fill(self, modules, names, values):
        for module, name in zip(modules, names, strict=True):
            weight = values[name][self.row]
            module.weight.data.copy_(weight.T if name == "dense" else weight)
            module.bias.data.copy_(values[f"{name}_bias"][self.row])

    def encode(self, images):
        for layer in self.down:
            images = nn.functional.leaky_relu(layer(images), 0.2)
        outputs = self.to_code(images.permute(0, 2, 3, 1).flatten(1))
        return outputs[:, : self.task.latent_size], outputs[:, self.task.latent_size :]

    def decode(self, latents):
        images = self.from_code(latents).view(len(latents), self.base, self.base, -1)
        images = images.permute(0, 3, 1, 2)
        for layer in self.up:
            images = layer(torch.relu(images))
        return torch.tanh(images)

    def divergence(self, images):
        mean, log_variance = self.encode(images)
        return -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(dim=1)

    def losses(self, batch):
        """The losses of the parts and of the players by name."""
        task = self.task
        images = batch["images"][self.row].permute(0, 3, 1, 2)
        mean, log_variance = self.encode(images)
        drawn = batch["noise"][self.row]
        made = self.decode(mean + (log_variance / 2).exp() * drawn)
        sampled = self.decode(batch["prior"][self.row])
        squares = ((made / 2 - images / 2) ** 2).sum(dim=(1, 2, 3)).mean()
        hinges, fooling = 0.0, 0.0
        for each in (made, sampled):
            apart = self.divergence(each.detach())
            if task.form == "released":
                hinges = hinges + (task.margin - apart.mean()).clamp(min=0)
            else:
                hinges = hinges + (task.margin - apart).clamp(min=0).mean()
            fooling = fooling + self.divergence(each).mean()
        released = task.form == "released"
        error = task.reconstruction * squares * (1 if released else 0.5)
        parts = {
            "reconstruction": error,
            "divergence": self.divergence(images).mean(),
            "encoder_adversarial": task.alpha * hinges,
            "decoder_adversarial": (0.5 if released else task.alpha) * fooling,
        }
        of_encoder = parts["divergence"] + parts["encoder_adversarial"] + error
        of_decoder = parts["decoder_adversarial"] + error
        return {**parts, "encoder_loss": of_encoder, "decoder_loss": of_decoder}

    def block(self, name):
        return list(getattr(self, f"{name}_modules").parameters())


def first_batch(task, state):
    return task.batch(state.data, random.fold_in(state.keys.run, state.steps))


def check_losses_and_norms(task):
    state = task.reset(keys(2))
    evaluation = task.measure(state)
    for row in range(2):
        model = Single(task, state, row)
        losses = model.losses(first_batch(task, state))
        for index, pair in enumerate(task.pairs):
            torch.testing.assert_close(evaluation.losses[row, index], losses[pair.loss].detach())
            own = [each for block in pair.blocks for each in model.block(block)]
            gradients = torch.autograd.grad(losses[pair.loss], own, retain_graph=True)
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            norm = flat.norm() / flat.numel() ** 0.5
            assert norm > 0
            found = evaluation.gradient_norms[row, index]
            torch.testing.assert_close(found, norm, rtol=1e-4, atol=1e-7)


@each_form
@each_arms
def test_losses_and_norms_are_those_of_single_models(arms, form):
    check_losses_and_norms(IntroVAE(**SMALL, arms=arms, form=form))


def test_losses_and_norms_of_colour_images_of_32_pixels_are_those_of_single_models(coloured):
    check_losses_and_norms(IntroVAE(**{**SMALL, "margin": 30.0}, dataset=coloured))


def test_six_steps_follow_torch_adam_of_the_player_that_is_chosen():
    task = IntroVAE(**SMALL)
    state = task.reset(keys(1))
    model = Single(task, state, 0)
    names = ("encoder", "decoder")
    players = [torch.optim.Adam(model.block(name), lr=3e-3, betas=(0.5, 0.999)) for name in names]
    for choice in (0, 1, 1, 0, 0, 1):
        model.zero_grad()
        model.losses(first_batch(task, state))[task.pairs[choice].loss].backward()
        players[choice].step()
        state, _ = task.update(state, chosen(task, choice))
    after = task.unpack(state.parameters)
    for name, module in (("encoder", model.to_code), ("decoder", model.from_code)):
        found = after[name]["dense"][0].T
        torch.testing.assert_close(found, module.weight.data, rtol=1e-4, atol=1e-5)


@each_form
def test_all_parts_together_are_one_step_of_both_players(form):
    after = []
    for arms in ("players", "parts"):
        task = IntroVAE(**SMALL, arms=arms, form=form)
        start = task.reset(keys(2))
        before = tree.clone(start.parameters)
        state, _ = task.update(start, everything(task, 2))
        after.append(state.parameters)
        assert all((state.parameters[name] != before[name]).any() for name in before)
    for name in after[0]:
        torch.testing.assert_close(after[0][name], after[1][name], rtol=0, atol=1e-6)


def gradients(task, loss):
    """The gradients of one loss by both blocks, with the stop-gradients of the loss alone."""
    state = task.reset(keys(1))
    packed = {name: block.requires_grad_() for name, block in state.parameters.items()}
    parameters = {**task.unpack(packed), BUFFERS: state.buffers}
    values, _ = getattr(task.terms, loss)(parameters, first_batch(task, state))
    found = torch.autograd.grad(values.sum(), list(packed.values()), allow_unused=True)
    return dict(zip(packed, found, strict=True))


@each_form
def test_the_encoders_parts_give_the_decoder_no_gradient(form):
    task = IntroVAE(**SMALL, form=form)
    for loss in ("divergence", "encoder_adversarial"):
        found = gradients(task, loss)
        assert found["decoder"] is None
        assert found["encoder"].abs().max() > 0
    whole, error = gradients(task, "encoder_loss"), gradients(task, "reconstruction")
    torch.testing.assert_close(whole["decoder"], error["decoder"])


@pytest.mark.parametrize(
    ("arms", "loss", "still"),
    [
        ("parts", 1, "decoder"),
        ("parts", 2, "decoder"),
        ("parts", 3, "encoder"),
        ("players", 0, "decoder"),
        ("players", 1, "encoder"),
    ],
)
def test_a_loss_moves_its_own_network_alone(arms, loss, still):
    task = IntroVAE(**SMALL, arms=arms)
    state = task.reset(keys(1))
    before = tree.clone(state.parameters)
    state, _ = task.update(state, chosen(task, loss))
    for name in before:
        assert torch.equal(state.parameters[name], before[name]) == (name == still)
        assert state.optimizer[name]["steps"].tolist() == [int(name != still)]


@each_arms
def test_a_run_has_the_same_bits_alone_and_in_batches(arms):
    task = IntroVAE(**SMALL, arms=arms)
    choices = np.random.default_rng(0).integers(len(task.pairs), size=(25, 8))
    whole = play(AutoLossVectorEnv(task, 8, features="raw"), choices)
    for rows in ([0], [4, 7], [1, 2, 3]):
        envs = AutoLossVectorEnv(task, len(rows), features="raw")
        part = play(envs, choices[:, rows], seed=rows)
        for index, row in enumerate(rows):
            assert_same_run(part, index, whole, row)


def test_a_weighted_run_has_the_same_bits_alone_and_in_a_batch():
    task = IntroVAE(**SMALL, arms="parts")
    weights = np.random.default_rng(0).uniform(-1, 1, (12, 8, 4)).astype(np.float32)
    whole = play(AutoLossVectorEnv(task, 8, control="weights"), weights)
    alone = play(AutoLossVectorEnv(task, 1, control="weights"), weights[:, [5]], seed=[5])
    assert_same_run(alone, 0, whole, 5)


# Features


def test_features_are_shares_and_divergences_of_the_latest_batch_of_each_kind():
    task = IntroVAE(**SMALL)
    state = task.reset(keys(1))
    for choice in (None, 0, 1):
        model, batch = Single(task, state, 0), first_batch(task, state)
        before = task.extra(state)[0]
        if choice is not None:
            state, _ = task.update(state, chosen(task, choice))
        found = task.extra(state)[0]
        assert ((found >= 0) & (found <= 1)).all()
        with torch.no_grad():
            made, sampled, real = divergences_of(model, batch)
        shares = [(each >= task.margin).float().mean() for each in (made, sampled)]
        means = [each.mean() for each in (real, made, sampled)]
        bounded = [mean / (mean + task.margin) for mean in means]
        expected = torch.stack([*shares, *bounded])
        if choice == 1:
            # The decoder's loss does not look at the divergence of real images.
            expected[2] = before[2]
        torch.testing.assert_close(found, expected)
        assert 0 < found[0] < 1


def divergences_of(model, batch):
    images = batch["images"][0].permute(0, 3, 1, 2)
    mean, log_variance = model.encode(images)
    drawn = batch["noise"][0]
    made = model.decode(mean + (log_variance / 2).exp() * drawn)
    sampled = model.decode(batch["prior"][0])
    return [model.divergence(each) for each in (made, sampled, images)]


def test_divergences_that_are_infinite_are_1_among_the_features():
    task = IntroVAE(**SMALL)
    state = task.reset(keys(1))
    state.buffers["real"].fill_(torch.inf)
    assert task.extra(state)[0, 2] == 1


@pytest.mark.parametrize(("arms", "width"), [("players", 28), ("parts", 30)])
def test_observations_have_the_documented_number_of_features(arms, width):
    space = gymnasium.make(ID, arms=arms).observation_space
    assert space.shape == (width,)
    assert str(width) in IntroVAE.__doc__


# Ends


def end(choices, **arguments):
    """The update after which a run ends, and whether it had collapsed."""
    task = IntroVAE(**{**SMALL, "validate_every": 4, "collapse_repeats": 0, **arguments})
    envs = AutoLossVectorEnv(task, 1)
    envs.reset(seed=0)
    for step, choice in enumerate(choices, start=1):
        _, _, ended, _, infos = envs.step(np.array([choice]))
        if ended[0]:
            return step, bool(infos["final_info"]["collapsed"][0])
    raise AssertionError("the run has not ended")


ENCODER, DECODER = 0, 1
DEAD = {"margin": 1e-3}  # all images are beyond it
EMPTY = {"margin": 1e6}  # every divergence is less than 1 % of it


@pytest.mark.parametrize("cause", [DEAD, EMPTY], ids=["dead hinge", "posterior collapse"])
@pytest.mark.parametrize(("limit", "last"), [(3, 4), (4, 4), (5, 8)])
def test_a_dead_hinge_and_codes_that_say_nothing_end_a_run(cause, limit, last):
    assert end([ENCODER] * 20, **cause, collapse_updates=limit) == (last, True)


def test_measurements_of_the_encoder_alone_count():
    assert end([ENCODER, DECODER] * 10, **DEAD, collapse_updates=4) == (8, True)
    assert end([DECODER] * 20, **DEAD, collapse_updates=1) == (20, False)


def test_a_dead_hinge_ends_nothing_without_the_rule_or_where_it_does_not_matter():
    assert end([ENCODER] * 20, **DEAD, collapse_updates=0) == (20, False)
    assert end([ENCODER] * 20, **DEAD, collapse_updates=1, alpha=0.0) == (20, False)


def test_a_live_run_goes_on():
    assert end([ENCODER, DECODER] * 10, collapse_updates=1) == (20, False)


# Units, images and scores


def test_a_reconstruction_per_pixel_is_divided_by_their_number():
    whole = IntroVAE(**SMALL, reconstruction=60.0)
    by_pixel = IntroVAE(**SMALL, reconstruction=60.0 * 64, per_pixel=True)
    losses = [task.measure(task.reset(keys(2))).losses for task in (whole, by_pixel)]
    assert torch.equal(*losses)


def test_samples_show_originals_reconstructions_and_samples_side_by_side():
    envs = gymnasium.make_vec(ID, num_envs=2, **SMALL)
    envs.reset(seed=0)
    first = envs.samples(5)
    assert (first.shape, first.dtype) == ((2, 5, 8, 24, 1), np.float32)
    assert 0 <= first.min() <= first.max() <= 1
    np.testing.assert_array_equal(first, envs.samples(5))
    np.testing.assert_array_equal(first[:, :3], envs.samples(3))
    rows = envs._batch.runs.state.data["validation"][:, :5]
    originals = envs.task.source.gather(rows).view(2, 5, 8, 8, 1)
    np.testing.assert_allclose(first[:, :, :, :8], originals, atol=1e-6)
    envs.step(np.array([ENCODER, DECODER]))
    changed = first != envs.samples(5)
    thirds = [changed[:, :, :, 8 * part : 8 * part + 8].any(axis=(1, 2, 3, 4)) for part in range(3)]
    assert [each.tolist() for each in thirds] == [[False, False], [True, True], [False, True]]


def test_more_samples_than_originals_repeat_the_originals():
    task = IntroVAE(**SMALL)
    images = task.samples(task.reset(keys(1)), 40)
    assert torch.equal(images[:, 32:, :, :8], images[:, :8, :, :8])


def test_the_reconstruction_error_is_that_of_the_pictures():
    task = IntroVAE(**SMALL)
    state = task.reset(keys(2))
    images = task.samples(state, task.num_held_out)
    error = (images[:, :, :, :8] - images[:, :, :, 8:16]).square().mean(dim=(1, 2, 3, 4))
    torch.testing.assert_close(task.validate(state)[:, 0], error)


def test_similarity_and_decibels_are_means_over_the_pictures():
    task = IntroVAE(**SMALL)
    state = task.reset(keys(2))
    images = task.samples(state, task.num_held_out)
    originals, made = images[:, :, :, :8], images[:, :, :, 8:16]
    similarity = structural_similarity(made, originals).mean(dim=1)
    decibels = -10 * (made - originals).square().mean(dim=(2, 3, 4)).log10().mean(dim=1)
    expected = torch.stack([similarity, decibels], dim=1)
    torch.testing.assert_close(task.validate(state)[:, 1:3], expected)


def test_figures_of_reconstructions_equal_those_by_hand():
    black, grey = torch.zeros(1, 2, 8, 8, 1), torch.full((1, 2, 8, 8, 1), 0.1)
    grey[0, 1] = 0
    found = intro_vae_figures._by_image(grey, black)
    # Without variance, SSIM is (2 μ₁ μ₂ + c) / (μ₁² + μ₂² + c), c = 0.01².
    expected = torch.tensor([[[0.01, 0.0001 / 0.0101, 20.0], [0.0, 1.0, 100.0]]])
    torch.testing.assert_close(found, expected)


def test_a_perfect_reconstruction_is_no_diverged_run(tmp_path):
    pixels = np.zeros((60, 8, 8), np.uint8)
    pixels[30:, ::2] = 255
    np.savez(tmp_path / "x.npz", images=pixels)
    task = IntroVAE(**SMALL, dataset=str(tmp_path / "x.npz"))
    state = task.reset(keys(1))
    parameters = task.unpack(state.parameters)
    # The last layer says −1 whatever it is given: black images are met exactly.
    last = max(
        name for name in parameters["decoder"] if name.endswith("_bias") and "double" in name
    )
    parameters["decoder"][last].fill_(-1e6)
    values = task.validation_values(parameters, state.data)[0, :3]
    black = (task.source.gather(state.data["validation"])[0].sum(dim=1) == 0).float().mean()
    assert 0 < black < 1
    assert torch.isfinite(values).all()
    torch.testing.assert_close(values[0], 0.5 * (1 - black))
    decibels = black * 100 + (1 - black) * 10 * np.log10(2)
    torch.testing.assert_close(values[2], decibels)


def test_images_without_labels_have_a_distance(coloured):
    labelled, other = IntroVAE(**SMALL), IntroVAE(**SMALL, dataset=coloured)
    of_reconstructions = [
        "reconstruction_error",
        "structural_similarity",
        "peak_signal_noise_ratio",
    ]
    names = [*of_reconstructions, "inception_score", "frechet_distance", "diversity"]
    assert [metric.name for metric in labelled.score_metrics] == names
    assert [metric.name for metric in labelled.validation_metrics] == names[:4]
    del names[3]
    assert [metric.name for metric in other.score_metrics] == names
    assert [metric.name for metric in other.validation_metrics] == names[:4]
    minimised = {metric.name for metric in other.score_metrics if metric.minimize}
    assert minimised == {"reconstruction_error", "frechet_distance"}
    scores = other.score(other.reset(keys(2)))
    assert scores.shape == (2, 5)
    assert torch.isfinite(scores).all()


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Pictures of 16 × 16 with structure."""
    path = tmp_path_factory.mktemp("images") / "x.npz"
    np.savez(path, images=(255 * scenes(120, side=16)).round().to(torch.uint8).numpy())
    return {"dataset": str(path), "niqe_patch": 8}


def test_niqe_is_a_score_of_all_reconstructions_together_and_no_validation_metric(faces):
    task, plain = IntroVAE(**SMALL, **faces), IntroVAE(**SMALL, dataset=faces["dataset"])
    names = [metric.name for metric in task.score_metrics]
    assert names[3] == "niqe"
    assert task.score_metrics[3].minimize
    assert task.validation_metrics == plain.validation_metrics
    state = task.reset(keys(3))
    scores = task.score(state)
    others = [column for column in range(len(names)) if column != 3]
    assert torch.equal(scores[:, others], plain.score(state))
    images = real_images(task.source, state.data["test"])
    made = task.coders.reconstruct(task.unpack(state.parameters), images)
    model = task.natural_judge.model_on("cpu")
    torch.testing.assert_close(scores[:, 3], niqe((made + 1) * 0.5, model))


def test_a_run_has_the_same_scores_alone_and_in_a_batch(faces):
    task = IntroVAE(**SMALL, **faces)
    drawn = keys(4)
    whole = task.score(task.reset(drawn))
    assert torch.isfinite(whole).all()
    for row in range(4):
        alone = Keys(problem=drawn.problem[[row]], run=drawn.run[[row]], split=drawn.split)
        assert torch.equal(task.score(task.reset(alone)), whole[[row]])


def test_three_hundred_alternating_steps_halve_the_error_of_digits():
    envs = gymnasium.make_vec(ID, num_envs=2, max_steps=300)
    envs.reset(seed=0)
    untrained = envs.scores()
    for step in range(300):
        _, _, _, _, infos = envs.step(np.full(2, step % 2))
    final = infos["final_info"]
    assert (final["best_score"] < 0.5 * untrained[:, 0]).all()


@pytest.mark.parametrize(("size", "base"), [(8, 2), (28, 7), (32, 4), (56, 7), (64, 4)])
def test_networks_halve_images_of_every_size_to_at_most_7_pixels(size, base, coloured):
    task = IntroVAE(**{**SMALL, "batch_size": 2}, dataset=coloured, size=size)
    assert task.coders.architecture.base_shape[:2] == (base, base)
    state = task.reset(keys(1))
    assert task.samples(state, 1).shape == (1, 1, size, 3 * size, 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"arms": "player"}, ["arms 'player'", "players"]),
        ({"form": "papers"}, ["form 'papers'", "paper"]),
        ({"kernel_size": 3}, ["kernel_size=3", "4 or 5"]),
        ({"margin": 0.0}, ["margin=0.0", "positive"]),
        ({"alpha": -1.0}, ["alpha=-1.0", "at least 0"]),
        ({"niqe_patch": 16}, ["niqe_patch=16", "8 × 8 pixels", "even number from 8 to 8, or 0"]),
        ({"niqe_patch": -1}, ["niqe_patch=-1", "at least 0"]),
        ({"pristine_model": "x.npz"}, ["pristine_model='x.npz'", "give niqe_patch=…"]),
        ({"pristine_model": "x.npz", "niqe_patch": 8}, ["'x.npz'", "expected an .npz file"]),
        ({"size": 36}, ["size=36", "32, 40, 48, 56, 64, or 0"]),
        ({"size": 10**6}, ["size=1000000", "32, 40, 48, 56, 64, or 0"]),
    ],
    ids=str,
)
def test_bad_arguments_are_one_clear_line(arguments, words):
    with pytest.raises(ValueError) as error:
        IntroVAE(**arguments)
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_images_that_are_no_squares_of_such_a_size_are_one_clear_line(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.zeros((30, 8, 12), np.uint8))
    with pytest.raises(ValueError, match=r"8 × 12 pixels; expected squares of .*; give size=…"):
        IntroVAE(dataset=str(tmp_path / "x.npz"))


def test_weights_are_refused_for_players_alone():
    with pytest.raises(ValueError, match="every parameter block has one loss"):
        gymnasium.make(ID, control="weights")
    space = gymnasium.make(ID, arms="parts", control="weights").action_space
    assert space.shape == (4,)


def test_the_figure_that_decides_comes_first_and_the_others_keep_their_order(faces):
    usual = IntroVAE(**SMALL, **faces)
    other = replace(usual, decides="samples")
    state = usual.reset(keys(2))
    for metrics, values in (
        ("validation_metrics", lambda task: task.validate(state)),
        ("score_metrics", lambda task: task.score(state)),
    ):
        names = [metric.name for metric in getattr(usual, metrics)]
        moved = [metric.name for metric in getattr(other, metrics)]
        assert names[0] == "reconstruction_error"
        assert moved[0] == "frechet_distance"
        assert moved[1:] == [name for name in names if name != "frechet_distance"]
        order = [names.index(name) for name in moved]
        assert torch.equal(values(other), values(usual)[:, order])
    with pytest.raises(ValueError, match="unknown decides 'images'"):
        replace(usual, decides="images")
