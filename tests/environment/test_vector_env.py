import copy
import math
from collections.abc import Iterator
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch

from autoloss_gym.core.task import Control
from autoloss_gym.environment.env import AutoLossEnv
from autoloss_gym.environment.instances import Instances
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.optimizers import SGD
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from autoloss_gym.weightings.softadapt import SoftAdapt
from tests.support.recording import assert_same, assert_same_run, leaves, play, record, row
from tests.support.toy_tasks import SMALL, Fragile, TwoBlocks

MODES = ("SameStep", "NextStep", "Disabled")
IMPATIENT = replace(SMALL, patience=1, l1_coefficient=2.0)
each_mode = pytest.mark.parametrize("mode", MODES)


def choices(steps: int, num_envs: int, pairs: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(pairs, size=(steps, num_envs))


def one_hot(choice, step_size: float = 1.0) -> Control:
    return Control(
        weights=torch.eye(2)[list(choice)], step_size=torch.full((len(choice),), step_size)
    )


@pytest.fixture
def validated(monkeypatch) -> list[int]:
    """Number of runs in every call of `validate`."""
    sizes: list[int] = []
    validate = QuadraticRegression.validate
    monkeypatch.setattr(
        QuadraticRegression,
        "validate",
        lambda task, state: sizes.append(len(state.steps)) or validate(task, state),
    )
    return sizes


# A run is the same in every batch


def test_a_run_of_the_default_task_gets_the_same_bits_alone_in_a_batch_of_7_and_of_64():
    """Over a whole episode, its autoreset and the beginning of the next one."""
    actions = choices(607, 64)
    of_64 = play(AutoLossVectorEnv(QuadraticRegression(), 64), actions, seed=10, parameters=True)
    assert of_64[600]["terminations"].all()
    assert of_64[600]["_final_info"].all()
    of_7 = play(
        AutoLossVectorEnv(QuadraticRegression(), 7), actions[:, :7], seed=10, parameters=True
    )
    for one, other in zip(of_7, of_64, strict=True):
        assert_same(one, {name: value[:7] for name, value in other.items()})
    alone = play(
        AutoLossVectorEnv(QuadraticRegression(), 1), actions[:, 63:], seed=73, parameters=True
    )
    assert_same_run(alone, 0, of_64, 63)


VARIANTS = {
    "weights": {"control": "weights", "control_arguments": {"normalize": "count"}},
    "final": {"reward": "final", "features": "raw"},
    "improvement": {"reward": "improvement", "reward_arguments": {"segment": 10, "window": 2}},
    "momentum": {
        "task": replace(SMALL, constant=True, optimizer=SGD(learning_rate=1e-3, momentum=0.9))
    },
    "two_blocks": {"task": TwoBlocks(max_steps=20, validate_every=5)},
    "expensive": {"task": TwoBlocks(max_steps=20, validate_every=5, cheap=False)},
    "weights_of_two_blocks": {
        "task": TwoBlocks(max_steps=20, validate_every=5),
        "control": "weights",
    },
}


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())
def test_a_run_alone_gets_the_same_bits_as_in_a_batch(variant):
    arguments = {"task": SMALL, **variant}
    pairs = len(arguments["task"].pairs)
    actions = choices(25, 4, pairs)
    if arguments.get("control") == "weights":
        actions = np.random.default_rng(0).uniform(-1, 1, (25, 4, pairs)).astype(np.float32)
    together = play(AutoLossVectorEnv(num_envs=4, **arguments), actions, parameters=True)
    for i in range(4):
        alone = play(
            AutoLossVectorEnv(num_envs=1, **arguments),
            actions[:, i : i + 1],
            seed=i,
            parameters=True,
        )
        assert_same_run(alone, 0, together, i)


@each_mode
def test_runs_out_of_phase_get_the_same_bits_as_alone(mode):
    actions = choices(40, 5)
    together = play(AutoLossVectorEnv(IMPATIENT, 5, autoreset_mode=mode), actions, parameters=True)
    ends = {
        tuple(np.flatnonzero([each["terminations"][i] for each in together[1:]])) for i in range(5)
    }
    assert len(ends) > 1
    assert all(ends)
    for i in range(5):
        envs = AutoLossVectorEnv(IMPATIENT, 1, autoreset_mode=mode)
        alone = play(envs, actions[:, i : i + 1], seed=i, parameters=True)
        assert_same_run(alone, 0, together, i)


# Autoreset


def test_same_step_keeps_all_runs_in_phase_and_validates_them_in_one_call(validated):
    envs = AutoLossVectorEnv(SMALL, 3)
    envs.reset(seed=0)
    for step in range(1, 61):
        validated.clear()
        terminations = envs.step(np.array([0, 1, 0]))[2]
        assert terminations.tolist() == [step % 20 == 0] * 3
        assert validated == [3] * (
            (step % 5 == 0) + (step % 20 == 0)
        )  # the last ones, and those of the new runs


def test_runs_that_stop_early_under_same_step_stay_in_phase(validated):
    envs = AutoLossVectorEnv(IMPATIENT, 5)
    envs.reset(seed=0)
    ended = set()
    for step, choice in enumerate(choices(60, 5), start=1):
        validated.clear()
        terminations = envs.step(choice)[2]
        assert validated[:1] == [5] * (step % 5 == 0)
        assert not (terminations.any() and step % 5)
        assert validated[1:] == [terminations.sum()] * int(terminations.any())
        ended.add(int(terminations.sum()))
    assert ended & {1, 2, 3, 4}


def test_only_the_due_runs_are_validated_after_next_step(validated):
    envs = AutoLossVectorEnv(IMPATIENT, 5, autoreset_mode="NextStep")
    envs.reset(seed=0)
    elapsed, finished, sizes = np.zeros(5, dtype=int), np.zeros(5, dtype=bool), set()
    for choice in choices(60, 5):
        validated.clear()
        elapsed = np.where(finished, 0, elapsed + 1)
        due = (elapsed % 5 == 0) & ~finished
        restarted, (_, _, finished, *_) = finished, envs.step(choice)
        assert validated == [size for size in (due.sum(), restarted.sum()) if size]
        sizes.add(int(due.sum()))
    assert sizes & {1, 2, 3, 4}


def test_only_the_due_runs_are_validated_after_a_reset_mask(validated):
    envs = AutoLossVectorEnv(SMALL, 3)
    envs.reset(seed=0)
    envs.step(np.zeros(3, dtype=int))
    envs.reset(options={"reset_mask": np.array([False, True, False])})
    validated.clear()
    refreshed = [
        envs.step(np.zeros(3, dtype=int))[4]["validation_refreshed"].tolist() for _ in range(6)
    ]
    assert validated == [2, 1]
    assert refreshed[3] == [True, False, True]
    assert refreshed[4] == [False, True, False]
    assert not any(map(any, refreshed[:3] + refreshed[5:]))


@pytest.mark.parametrize("validate_every", [1, 5])
def test_next_step_shows_the_end_and_then_only_resets(validate_every):
    task = replace(SMALL, validate_every=validate_every)
    *_, expected = play(AutoLossVectorEnv(task, 3), choices(20, 3))
    for ignored in ([0, 0, 0], [1, 0, 1]):
        envs = AutoLossVectorEnv(task, 3, autoreset_mode="NextStep")
        end, reset, onwards = play(envs, [*choices(20, 3), ignored, [0, 1, 0]])[20:]
        assert end["terminations"].all()
        assert np.array_equal(end["observations"], expected["final_obs"])
        for name in (
            "rewards",
            *(name for name in expected if "final " in name and "final _" not in name),
        ):
            assert np.array_equal(end[name], expected[name]), name
        assert np.array_equal(reset["observations"], expected["observations"])
        assert not reset["rewards"].any()
        assert not reset["terminations"].any()
        assert "_final_info" not in reset
        assert reset["steps"].tolist() == [0] * 3
        assert reset["validation_refreshed"].all()
        assert onwards["steps"].tolist() == [1] * 3


def test_disabled_refuses_a_step_of_an_ended_run_and_names_it():
    envs = AutoLossVectorEnv(IMPATIENT, 5, autoreset_mode="Disabled")
    envs.reset(seed=0)
    terminations = np.zeros(5, dtype=bool)
    while not terminations.any():
        _, _, terminations, _, infos = envs.step(np.ones(5, dtype=int))
    assert np.array_equal(infos["_score"], terminations)
    ended = np.flatnonzero(terminations).tolist()
    with pytest.raises(
        gymnasium.error.ResetNeeded, match=f"environments \\{ended}".replace("]", "\\]")
    ):
        envs.step(np.ones(5, dtype=int))
    envs.reset(options={"reset_mask": terminations})
    assert envs.step(np.ones(5, dtype=int))[4]["steps"][ended].tolist() == [1] * len(ended)


def test_a_step_before_the_first_reset_is_refused():
    with pytest.raises(gymnasium.error.ResetNeeded, match="call reset"):
        AutoLossVectorEnv(SMALL).step(np.array([0]))


def test_a_run_out_of_patience_ends_at_that_validation():
    envs = AutoLossVectorEnv(replace(SMALL, patience=2), 2, features="raw", drop=("extra",))
    envs.reset(seed=0)
    patience, ends = [], []
    for _ in range(10):  # nothing moves, so no validation is better than the first
        control = Control(weights=torch.zeros(2, 2), step_size=torch.ones(2))
        observations, _, terminations, _, infos = envs.step_control(control)
        ends.append(terminations.tolist())
        patience.append(infos.get("final_obs", observations)[0, -1])
    assert ends == [[False] * 2] * 9 + [[True] * 2]
    assert patience == [1] * 4 + [0.5] * 5 + [0]


# Resetting some runs


@pytest.mark.parametrize("convert", [np.array, torch.tensor, list])
def test_resetting_one_env_leaves_its_neighbours_unchanged(convert):
    first, twin = (AutoLossVectorEnv(SMALL, 3) for _ in range(2))
    for envs in (first, twin):
        before = play(envs, choices(7, 3))[-1]
    observations, infos = first.reset(options={"reset_mask": convert([False, True, False])})
    after = record(observations, infos)
    others = torch.tensor([0, 2])
    for one, other in zip(leaves(first._batch.runs), leaves(twin._batch.runs), strict=True):
        assert torch.equal(one[others], other[others])
    for i in (0, 2):
        got = {
            name: value for name, value in row(after, i).items() if name != "validation_refreshed"
        }
        assert_same(got, {name: row(before, i)[name] for name in got})
    for choice in choices(25, 3, seed=1):
        one, other = (record(*envs.step(choice)[::4]) for envs in (first, twin))
        assert_same(row(one, 0), row(other, 0))
        assert_same(row(one, 2), row(other, 2))


def test_a_run_that_is_reset_alone_gets_the_same_bits_as_without_neighbours():
    together, alone = AutoLossVectorEnv(SMALL, 3), AutoLossVectorEnv(SMALL, 1)
    play(together, choices(7, 3), seed=4)
    play(alone, choices(7, 3)[:, 1:2], seed=5)
    one = record(*together.reset(options={"reset_mask": np.array([False, True, False])}))
    other = record(*alone.reset())
    assert_same(row(one, 1), row(other, 0))
    for choice in choices(45, 3, seed=1):
        one, other = record(*together.step(choice)[::4]), record(*alone.step(choice[1:2])[::4])
        assert_same(row(one, 1), row(other, 0))


@pytest.mark.parametrize("mask", [[True], [False] * 3, [1, 0, 1], [[True, False, True]]])
def test_a_bad_reset_mask_is_refused(mask):
    envs = AutoLossVectorEnv(SMALL, 3)
    envs.reset(seed=0)
    error = ValueError if np.array(mask).dtype == bool else TypeError  # as Gymnasium's
    with pytest.raises(error, match=r"expected \(3,\), bool, with at least one True"):
        envs.reset(options={"reset_mask": np.array(mask)})


# Seeds and problems


@each_mode
def test_resetting_with_a_seed_repeats_everything_bit_for_bit(mode):
    envs = AutoLossVectorEnv(IMPATIENT, 3, autoreset_mode=mode)
    first, second = (play(envs, choices(45, 3), seed=7) for _ in range(2))
    for i in range(3):
        assert_same_run(first, i, second, i)
    other = play(envs, choices(45, 3), seed=8)
    assert not set(first[0]["instance"][:1]) & set(other[0]["instance"])


def test_run_i_of_seed_s_has_the_seed_s_plus_i():
    instances = [
        play(AutoLossVectorEnv(SMALL, 3), [], seed=seed)[0]["instance"] for seed in (5, [7, 5, 7])
    ]
    assert instances[0][[2, 0, 2]].tolist() == instances[1].tolist()


def test_a_seed_and_a_mask_seed_the_masked_runs():
    envs = AutoLossVectorEnv(SMALL, 3)
    before = play(envs, [], seed=0)[0]["instance"]
    _, infos = envs.reset(seed=5, options={"reset_mask": np.array([False, True, True])})
    assert infos["instance"].tolist() == [
        before[0],
        *play(AutoLossVectorEnv(SMALL, 3), [], seed=5)[0]["instance"][1:],
    ]


def test_a_reset_without_a_seed_goes_on_to_the_next_problem():
    by_reset, by_end = AutoLossVectorEnv(SMALL, 3), AutoLossVectorEnv(SMALL, 3)
    play(by_reset, choices(3, 3))
    observations, _ = by_reset.reset()
    assert np.array_equal(observations, play(by_end, choices(20, 3))[-1]["observations"])


def test_a_wrong_number_of_seeds_is_refused():
    with pytest.raises(ValueError, match=r"seed=\[1, 2\]: expected .* a list of 3"):
        AutoLossVectorEnv(SMALL, 3).reset(seed=[1, 2])


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("num_instances", [None, 2])
def test_the_problems_are_those_of_the_split_and_their_number_is_kept(split, num_instances):
    envs = AutoLossVectorEnv(SMALL, 4, split=split, num_instances=num_instances)
    rows, instances = np.arange(4), Instances(split, num_instances, 4, torch.device("cpu"))
    instances.seed(rows, 3 + rows)
    met = [play(envs, [], seed=3)[0]["instance"]] + [envs.reset()[1]["instance"] for _ in range(4)]
    assert np.array_equal(met, [instances.next_episode(rows).problem.numpy() for _ in range(5)])
    assert len(np.unique(met)) == (20 if num_instances is None else 2)


def test_one_instance_is_the_same_data_from_another_start():
    envs = AutoLossVectorEnv(SMALL, 2, num_instances=1)
    envs.reset(seed=0)
    state = envs._batch.runs.state
    assert torch.equal(state.data["training"]["inputs"][0], state.data["training"]["inputs"][1])
    assert not torch.equal(state.parameters["weights"][0], state.parameters["weights"][1])


# What is observed and paid


def test_losses_and_norms_in_the_features_are_the_latest_known():
    envs = AutoLossVectorEnv(SMALL, 3, features="raw")
    observations, infos = envs.reset(seed=0)
    rows, instances = np.arange(3), Instances("train", None, 3, torch.device("cpu"))
    instances.seed(rows, rows)
    state = SMALL.reset(instances.next_episode(rows))
    evaluation, validation = SMALL.measure(state), SMALL.validate(state)
    losses, norms = evaluation.losses, evaluation.gradient_norms
    for step, choice in enumerate(choices(19, 3), start=1):
        fresh = SMALL.measure(state)
        chosen = torch.eye(2, dtype=torch.bool)[choice]
        losses, norms = (
            torch.where(chosen, fresh.losses, losses),
            torch.where(chosen, fresh.gradient_norms, norms),
        )
        state, _ = SMALL.update(state, one_hot(choice))
        validation = SMALL.validate(state) if step % 5 == 0 else validation
        observations, _, _, _, infos = envs.step(choice)
        expected = torch.cat(
            [torch.full((3, 1), step / 20), norms, losses, validation], dim=1
        ).numpy()
        assert np.array_equal(observations[:, :6], expected)
        assert np.array_equal(infos["losses"], losses)
        assert np.array_equal(infos["gradient_norms"], norms)


def test_softadapt_on_the_infos_uses_the_last_two_refreshed_values_of_each_loss():
    envs, rule = AutoLossVectorEnv(SMALL, 2), SoftAdapt(beta=0.5)
    _, infos = envs.reset(seed=0)
    seen = [[[infos["losses"][i, pair]] for pair in range(2)] for i in range(2)]
    rule.update(torch.from_numpy(infos["losses"]), torch.from_numpy(infos["losses_refreshed"]))
    for choice in ([0, 1], [1, 0], [0, 0], [0, 1], [1, 1], [1, 0]):
        infos = envs.step(np.array(choice))[4]
        weights = rule.update(
            torch.from_numpy(infos["losses"]), torch.from_numpy(infos["losses_refreshed"])
        )
        for i, pair in enumerate(choice):
            seen[i][pair].append(infos["losses"][i, pair])
    for i in range(2):
        terms = [math.exp(0.5 * (values[-1] - values[-2])) for values in seen[i]]
        assert weights[i].tolist() == pytest.approx([term / sum(terms) for term in terms], rel=1e-4)


def test_shaped_rewards_of_an_episode_sum_to_the_decrease_of_the_log_validation_error():
    first, *records = play(AutoLossVectorEnv(SMALL, 3), choices(20, 3))
    total = sum(each["rewards"] for each in records)
    decrease = np.log(first["validation"][:, 0] / records[-1]["final validation"][:, 0])
    np.testing.assert_allclose(total, decrease, rtol=1e-4)
    assert not any(each["rewards"].any() for step, each in enumerate(records, start=1) if step % 5)


def test_the_final_reward_is_paid_once_for_the_best_validation():
    envs = AutoLossVectorEnv(SMALL, 3, reward="final", reward_arguments={"scale": 4.0})
    *records, last = play(envs, choices(20, 3))
    best = np.min(
        [each["validation"][:, 0] for each in records] + [last["final validation"][:, 0]], axis=0
    )
    np.testing.assert_allclose(last["rewards"], 4 / best, rtol=1e-6)
    assert not any(each["rewards"].any() for each in records[1:])


# Divergence

CHOICES = np.array(
    [
        [0, 1, 1, 0],
        [0, 1, 0, 0],
        *[[0, 0, 0, 0]] * 3,
        [0, 0, 0, 1],
        [0, 0, 0, 1],
        *[[0, 0, 0, 0]] * 10,
    ]
)


@pytest.mark.parametrize("arguments", [{}, {"features": "raw", "reward": "final"}], ids=str)
@pytest.mark.parametrize("form", ["log", "sqrt"])
@each_mode
def test_a_diverged_run_ends_at_its_next_validation_and_touches_no_other(form, mode, arguments):
    """Run 1 breaks in step 2, run 3 in step 7; run 2 could break since step 1, but does not choose
    that loss again.
    """
    task = Fragile(form=form)
    _, *records = play(
        AutoLossVectorEnv(task, 4, autoreset_mode=mode, **arguments), CHOICES, parameters=True
    )
    for step, broken in ((4, 1), (8, 3)):
        end = row(records[step - 1], broken)
        assert records[step - 1]["terminations"].tolist() == [i == broken for i in range(4)]
        assert end["final diverged"]
        assert end["final score"] == end["final best_score"] == end["final size"] == 50
        assert not any(each["rewards"][broken] for each in records[step - 4 : step - 1])
        # Its metric declares no worst value, for which 1e8 stands.
        fall = 0.0 if arguments else math.log(end["final validation"][0] / 1e8)
        assert end["rewards"] == pytest.approx(fall, rel=1e-5)
    assert not any(each["terminations"][[0, 2]].any() for each in records[:11])
    assert not row(records[11], 0)["final diverged"]
    assert row(records[11], 2)["final score"] < 50
    for each in records:
        assert all(np.isfinite(value).all() for value in each.values())
    for i in range(4):
        envs = AutoLossVectorEnv(task, 1, autoreset_mode=mode, **arguments)
        alone = play(envs, CHOICES[:, i : i + 1], seed=i, parameters=True)
        assert_same_run(alone[1:], 0, records, i)


def test_a_validation_that_is_not_finite_is_a_divergence():
    envs, twin = AutoLossVectorEnv(SMALL, 3), AutoLossVectorEnv(SMALL, 3)
    envs.reset(seed=0), twin.reset(seed=0)
    for step, choice in enumerate(choices(5, 3), start=1):
        control = one_hot(choice)
        control.step_size[1] = 1e30 if step == 5 else 1.0
        one, other = envs.step_control(control), twin.step(choice)
    assert one[2].tolist() == [False, True, False]
    assert one[4]["final_info"]["diverged"][1]
    last_shown = one[4]["final_info"]["validation"][1, 0]
    assert one[1][1] == pytest.approx(math.log(last_shown / 100), rel=1e-5)
    assert one[4]["final_info"]["score"][1] == 100
    assert all(np.isfinite(value).all() for value in record(one[0], one[4]).values())
    for i in (0, 2):
        assert_same(row(record(*one[::4]), i), row(record(*other[::4]), i))


class BrokenLoss(Fragile):
    """Some runs start where ln b is not a number."""

    def initial_parameters(self, keys):
        a = super().initial_parameters(keys)["a"]
        return {"a": a, "b": 1 - 2 * (a[:, :1] > 0).float()}


class BrokenValidation(Fragile):
    """Some runs start with an infinite validation error, which does not last."""

    def validation_values(self, parameters, data):
        moved = parameters["a"].square().sum(1, keepdim=True)
        return torch.where((parameters["b"] == 1) & (parameters["a"][:, :1] > 0), torch.inf, moved)


@pytest.mark.parametrize("features", ["scaled", "raw"])
@pytest.mark.parametrize(
    "task", [BrokenLoss(), BrokenValidation()], ids=lambda task: type(task).__name__
)
def test_a_run_that_starts_broken_is_diverged_and_never_shows_what_is_not_finite(task, features):
    choices = np.array([[1] * 6, *[[0] * 6] * 3])
    records = play(
        AutoLossVectorEnv(task, 6, autoreset_mode="NextStep", features=features), choices
    )
    assert records[-1]["terminations"].tolist() == records[-1]["final diverged"].tolist()
    assert set(records[-1]["terminations"]) == {True, False}
    for each in records:
        assert np.isfinite(each["observations"]).all()
        assert np.isfinite(each.get("rewards", 0.0)).all()


# Inputs and outputs


def test_step_control_of_a_one_hot_control_is_the_step_of_its_choice():
    one, other = AutoLossVectorEnv(SMALL, 3), AutoLossVectorEnv(SMALL, 3)
    one.reset(seed=0), other.reset(seed=0)
    for choice in choices(25, 3):
        first, second = one.step_control(one_hot(choice)), other.step(choice)
        assert_same(record(*first[::4], rewards=first[1]), record(*second[::4], rewards=second[1]))


def test_a_step_size_of_zero_measures_but_does_not_move():
    envs = AutoLossVectorEnv(SMALL, 2)
    envs.reset(seed=0)
    before = envs._batch.runs.state.parameters["weights"].clone()
    infos = envs.step_control(one_hot([0, 1], step_size=0.0))[4]
    assert torch.equal(envs._batch.runs.state.parameters["weights"], before)
    assert infos["losses_refreshed"].tolist() == [[True, False], [False, True]]


def outputs(envs: AutoLossVectorEnv, spoil_inputs: bool) -> Iterator:
    """Every output of a play, one call at a time."""
    yield envs.reset(seed=0)
    for choice in choices(45, envs.num_envs):
        control = Control(
            weights=torch.eye(2)[choice], step_size=torch.ones(envs.num_envs), choice=choice
        )
        output = envs.step_control(control)
        ended = np.array(output[2].tolist())
        if spoil_inputs:
            spoil([control.weights, control.step_size, control.choice])
        yield output
        if envs.autoreset_mode.value == "Disabled" and ended.any():
            yield envs.reset(options={"reset_mask": ended})


@pytest.mark.parametrize("array", ["numpy", "torch"])
@each_mode
def test_outputs_and_inputs_may_be_overwritten(array, mode):
    spoiled, clean = (
        AutoLossVectorEnv(IMPATIENT, 4, array=array, autoreset_mode=mode) for _ in range(2)
    )
    for one, other in zip(
        outputs(spoiled, spoil_inputs=True), outputs(clean, spoil_inputs=False), strict=True
    ):
        assert_equal_leaves(one, other)
        spoil(flatten(one))


@pytest.mark.parametrize("array", ["numpy", "torch"])
@each_mode
def test_outputs_that_are_kept_never_change(array, mode):
    envs = AutoLossVectorEnv(IMPATIENT, 4, array=array, autoreset_mode=mode)
    for kept, as_given in [
        (output, copy.deepcopy(output)) for output in outputs(envs, spoil_inputs=False)
    ]:
        assert_equal_leaves(kept, as_given)


def flatten(output) -> list:
    """All arrays and tensors within tuples and dicts."""
    if isinstance(output, dict | tuple):
        return [
            leaf
            for part in (output.values() if isinstance(output, dict) else output)
            for leaf in flatten(part)
        ]
    return [output]


def assert_equal_leaves(one, other) -> None:
    for left, right in zip(flatten(one), flatten(other), strict=True):
        assert np.array_equal(left, right)


def spoil(values: list) -> None:
    for value in values:
        value[...] = 1


def test_torch_arrays_are_the_numpy_arrays_on_the_device():
    one, other = AutoLossVectorEnv(SMALL, 3), AutoLossVectorEnv(SMALL, 3, array="torch")
    for choice in [None, *choices(25, 3)]:
        arrays = one.reset(seed=0) if choice is None else one.step(choice)
        tensors = other.reset(seed=0) if choice is None else other.step(torch.from_numpy(choice))
        for array, tensor in zip(flatten(arrays), flatten(tensors), strict=True):
            assert isinstance(tensor, torch.Tensor)
            assert tensor.device == other.device
            assert np.array_equal(array, tensor.numpy())
            assert array.dtype == tensor.numpy().dtype
    dtypes = [np.float32, np.float32, np.bool_, np.bool_]
    assert [array.dtype for array in arrays[:4]] == dtypes


def test_the_runs_of_a_task_are_the_runs_of_its_environment():
    """The environment adds nothing to the dynamics: a loop over the task gets the same bits."""
    envs = AutoLossVectorEnv(TwoBlocks(), 3)
    envs.reset(seed=0)
    state = TwoBlocks().reset(envs._batch.runs.state.keys)
    for choice in choices(11, 3, pairs=3):
        state, _ = TwoBlocks().update(
            state, Control(weights=torch.eye(3)[choice], step_size=torch.ones(3))
        )
        envs.step(choice)
    for one, other in zip(leaves(state), leaves(envs._batch.runs.state), strict=True):
        assert torch.equal(one, other)


# Diagnostics


@pytest.mark.parametrize(
    "task",
    [SMALL, TwoBlocks(), TwoBlocks(cheap=False)],
    ids=["regression", "two_blocks", "expensive"],
)
def test_diagnostics_are_all_losses_norms_and_metrics_at_the_current_parameters(task):
    """Of a run of the task alone, which follows the same choices; the infos have only the latest
    known values.
    """
    envs, pairs, stale = AutoLossVectorEnv(task, 3), len(task.pairs), 0
    envs.reset(seed=0)
    state = task.reset(envs._batch.runs.state.keys)
    for choice in [None, *choices(7, 3, pairs)]:
        if choice is not None:
            state, _ = task.update(
                state, Control(weights=torch.eye(pairs)[choice], step_size=torch.ones(3))
            )
            infos = envs.step(choice)[4]
        fresh, evaluation, validation = (
            envs.diagnostics(),
            task.measure(state),
            task.validate(state),
        )
        assert fresh.keys() == {"fresh_losses", "fresh_gradient_norms", "fresh_validation"}
        assert np.array_equal(fresh["fresh_losses"], evaluation.losses)
        assert np.array_equal(fresh["fresh_gradient_norms"], evaluation.gradient_norms)
        assert np.array_equal(fresh["fresh_validation"], validation)
        assert {value.dtype for value in fresh.values()} == {np.dtype(np.float32)}
        stale += choice is not None and not np.array_equal(fresh["fresh_losses"], infos["losses"])
    assert stale == 7


@each_mode
@pytest.mark.parametrize(
    "task",
    [IMPATIENT, TwoBlocks(), Fragile(cheap=False)],
    ids=["regression", "two_blocks", "fragile"],
)
def test_diagnostics_change_nothing(task, mode):
    """Two equal plays over several episodes, one with diagnostics at every step, whose arrays are
    then overwritten.
    """
    quiet, watched = (AutoLossVectorEnv(task, 3, autoreset_mode=mode) for _ in range(2))

    def spied(actions):
        for action in actions:
            spoil(list(watched.diagnostics().values()))
            yield action

    actions = choices(45, 3, len(task.pairs))
    expected = play(quiet, actions, parameters=True)
    assert sum(int(each["terminations"].sum()) for each in expected[1:]) >= 6
    for step, (one, other) in enumerate(
        zip(play(watched, spied(actions), parameters=True), expected, strict=True)
    ):
        assert_same(one, other, f"step {step}")


def test_diagnostics_are_of_the_kind_that_was_asked_for():
    one, other = AutoLossVectorEnv(SMALL, 3), AutoLossVectorEnv(SMALL, 3, array="torch")
    single = AutoLossEnv(SMALL)
    for envs in (one, other, single):
        envs.reset(seed=0)
    arrays, tensors, numbers = (envs.diagnostics() for envs in (one, other, single))
    for name, array in arrays.items():
        assert isinstance(tensors[name], torch.Tensor)
        assert np.array_equal(tensors[name].numpy(), array)
        assert np.array_equal(numbers[name], array[0])


@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
def test_a_repeated_control_is_as_many_steps(mode):
    once, often = (
        gymnasium.make_vec(
            "AutoLoss/QuadraticRegression-v1", num_envs=3, repeat=repeat, autoreset_mode=mode, dimension=4, num_samples=20,
            max_steps=20, validate_every=5,
        )
        for repeat in (5, 1)
    )  # fmt: skip
    once.reset(seed=1)
    often.reset(seed=1)
    for action in np.random.default_rng(0).integers(2, size=(4, 3)):
        observations, rewards, ended, _, infos = once.step(action)
        steps = [often.step(action) for _ in range(5)]
        np.testing.assert_array_equal(observations, steps[-1][0])
        np.testing.assert_array_equal(rewards, np.sum([step[1] for step in steps], axis=0))
        np.testing.assert_array_equal(ended, steps[-1][2])
        np.testing.assert_array_equal(infos["steps"], steps[-1][4]["steps"])
    assert ended.all()
