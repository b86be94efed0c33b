"""SoftAdapt in the place of an introspective VAE's α and β, against the paper's equations."""

import math

import numpy as np
import pytest
import torch

from agents.evaluation.entrants import make_entrant
from agents.policies.grammar import parse_specification
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.tasks.images.intro_vae import IntroVAE
from tests.support.toy_tasks import SMALL

FEW = {
    "filters": 2,
    "latent_size": 4,
    "batch_size": 4,
    "num_held_out": 12,
    "num_test": 20,
    "max_steps": 6,
    "validate_every": 2,
    "margin": 1.0,
}
PARTS = IntroVAE(arms="parts", alpha=0.25, reconstruction=5.0, **FEW)
# L_adv and L_AE of two runs at three steps.
ADVERSARIAL = [[2.0, 0.8], [1.5, 0.9], [1.6, 0.0]]
ERRORS = [[3.0, 0.5], [2.5, 0.6], [2.7, 0.4]]


def policy_of(text, task=PARTS):
    (policy,) = make_entrant(parse_specification(text), task, "").candidates
    return policy


def played(policy, task, beta, decoder=7.0):
    """Weights of the pairs (steps, runs, 4), in the order of the task's pairs, from the history."""
    policy.reset(np.arange(2))
    rows = []
    for adversarial, errors in zip(ADVERSARIAL, ERRORS, strict=True):
        losses = [
            [beta * error, 9.0, task.alpha * loss, decoder]
            for loss, error in zip(adversarial, errors, strict=True)
        ]
        infos = {
            "losses": np.array(losses, np.float32),
            "gradient_norms": np.ones((2, 4), np.float32),
            "losses_refreshed": np.ones((2, 4), bool),
        }
        rows.append(policy.act(np.zeros((2, 1), np.float32), infos).weights.numpy())
    return np.array(rows)


def by_hand(unit, beta, loss_weighted=True, normalized=False):
    """(α_k, β_k) of each run at each step, (steps, runs, 2), as the paper writes them."""
    rows = []
    for step in range(3):
        row = []
        for run in range(2):
            pair = ADVERSARIAL[step][run], unit * ERRORS[step][run]
            before = max(step - 1, 0)
            old = ADVERSARIAL[before][run], unit * ERRORS[before][run]
            slopes = [now - then for now, then in zip(pair, old, strict=True)]
            if normalized and step:
                slopes = [slope / sum(map(abs, slopes)) for slope in slopes]
            terms = [math.exp(beta * slope) for slope in slopes]
            if loss_weighted:
                terms = [term * loss for term, loss in zip(terms, pair, strict=True)]
            row.append([term / sum(terms) for term in terms])
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize(
    ("options", "unit", "beta", "loss_weighted", "normalized"),
    [
        ("", 1.0, 0.1, True, False),
        ("unit=0.2,beta=2", 0.2, 2.0, True, False),
        ("original,beta=-1", 1.0, -1.0, False, False),
        ("normalized,unit=3,beta=1", 3.0, 1.0, True, True),
        ("original,normalized,beta=1", 1.0, 1.0, False, True),
    ],
)
def test_the_weights_of_three_steps_are_those_of_the_equations_from_the_first_step_on(
    options, unit, beta, loss_weighted, normalized
):
    policy = policy_of(f"introspective_softadapt:{options}")
    found = played(policy, PARTS, 5.0)
    expected = by_hand(unit, beta, loss_weighted, normalized)
    # The effective coefficients of L_AE, KL(x), L_adv and the decoder's Σ KL.
    effective = found * [5.0 / unit, 1.0, 0.25, 0.25]
    np.testing.assert_allclose(effective[..., 0], expected[..., 1], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(effective[..., 1], 1)
    np.testing.assert_allclose(effective[..., 2], expected[..., 0], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found[..., 3], found[..., 2])
    if loss_weighted:
        first = ADVERSARIAL[0][0] / (ADVERSARIAL[0][0] + unit * ERRORS[0][0])
        assert effective[0, 0, 2] == pytest.approx(first, abs=1e-6)
    else:
        assert effective[0, 0, 2] == pytest.approx(0.5, abs=1e-6)


def test_the_decoders_part_has_the_same_weight_also_where_the_released_form_has_a_half_of_it():
    task = IntroVAE(arms="parts", form="released", alpha=0.25, reconstruction=5.0, **FEW)
    found = played(policy_of("introspective_softadapt:beta=2", task), task, 5.0)
    np.testing.assert_allclose(found[..., 3] * 0.5, found[..., 2] * 0.25, rtol=1e-6)
    np.testing.assert_allclose(found[..., 2] * 0.25, by_hand(1.0, 2.0)[..., 0], rtol=0, atol=1e-6)


def test_the_decoders_own_loss_changes_no_weight():
    policy = policy_of("introspective_softadapt")
    np.testing.assert_array_equal(
        played(policy, PARTS, 5.0, decoder=7.0), played(policy, PARTS, 5.0, decoder=700.0)
    )


def test_the_coefficients_that_the_task_puts_into_its_parts_make_no_difference():
    """Twice the β with twice the pixels' share, as `per_pixel` has it: the effective weights stay."""
    other = IntroVAE(arms="parts", alpha=2.0, reconstruction=640.0, per_pixel=True, **FEW)
    found = played(policy_of("introspective_softadapt", PARTS), PARTS, 5.0)
    changed = played(policy_of("introspective_softadapt", other), other, 10.0)
    np.testing.assert_allclose(changed[..., 0] * 10.0, found[..., 0] * 5.0, rtol=1e-5)
    np.testing.assert_allclose(changed[..., 2] * 2.0, found[..., 2] * 0.25, rtol=1e-5)


def test_scale_count_doubles_the_two_weights_and_every_keeps_them():
    whole = played(policy_of("introspective_softadapt"), PARTS, 5.0)
    doubled = played(policy_of("introspective_softadapt:scale=count"), PARTS, 5.0)
    np.testing.assert_allclose(doubled, whole * [2, 1, 2, 2], rtol=1e-6, atol=1e-20)
    kept = played(policy_of("introspective_softadapt:every=2"), PARTS, 5.0)
    np.testing.assert_array_equal(kept[1], kept[0])
    np.testing.assert_array_equal(kept[[0, 2]], whole[[0, 2]])


@pytest.mark.parametrize("margin", [1.0, 1e-3], ids=["live", "dead hinge"])
def test_a_run_alone_is_weighed_and_trained_as_in_company_and_every_part_stays_in_use(
    margin, tmp_path
):
    # Without labels there is no classifier to be trained first.
    pixels = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", images=pixels)
    task = IntroVAE(arms="parts", dataset=str(tmp_path / "x.npz"), **{**FEW, "margin": margin})
    ends = []
    for first, num_envs in ((0, 3), (1, 1)):
        envs = AutoLossVectorEnv(task, num_envs)
        policy = policy_of("introspective_softadapt:beta=5", task)
        observations, infos = envs.reset(seed=first)
        policy.reset(first + np.arange(num_envs))
        weights = []
        for _ in range(5):
            control = policy.act(observations, infos)
            weights.append(control.weights.clone())
            observations, _, _, _, infos = envs.step_control(control)
            assert infos["losses_refreshed"].all()
        ends.append((torch.stack(weights), observations))
    together, alone = ends
    assert (together[0] > 0).all()
    assert (together[0][..., 2:] < 1e-20).all() == (margin < 1)
    assert torch.equal(together[0][:, 1], alone[0][:, 0])
    np.testing.assert_array_equal(together[1][1], alone[1][0])


def test_it_goes_on_from_a_saved_state():
    policy, other = (policy_of("introspective_softadapt:beta=2") for _ in range(2))
    played(policy, PARTS, 5.0)
    other.reset(np.arange(2))
    other.load_state_dict(policy.state_dict())
    infos = {
        "losses": np.full((2, 4), 0.3, np.float32),
        "gradient_norms": np.ones((2, 4), np.float32),
        "losses_refreshed": np.ones((2, 4), bool),
    }
    observations = np.zeros((2, 1), np.float32)
    assert torch.equal(
        policy.act(observations, infos).weights, other.act(observations, infos).weights
    )


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (SMALL, "expected --env AutoLoss/IntroVAE-v0 --env-kwargs arms=parts"),
        (IntroVAE(**FEW), "expected --env AutoLoss/IntroVAE-v0 --env-kwargs arms=parts"),
        (IntroVAE(arms="parts", alpha=0.0, **FEW), "alpha=0, reconstruction=60: expected both"),
        (IntroVAE(arms="parts", reconstruction=0.0, **FEW), "alpha=0.5, reconstruction=0: exp"),
    ],
)
def test_other_tasks_are_refused_in_one_line(task, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        policy_of("introspective_softadapt", task)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("options", ["unit=0", "unit=-1", "pair", "loss_weighted", "original=1"])
def test_options_that_it_does_not_have_are_refused(options):
    with pytest.raises(ValueError, match="expected introspective_softadapt, or introspective_"):
        parse_specification(f"introspective_softadapt:{options}")
