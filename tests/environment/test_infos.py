from dataclasses import replace

import numpy as np
import pytest
import torch

from autoloss_gym.core.task import Control, Metric, State
from autoloss_gym.environment.infos import final_infos, on_rows
from autoloss_gym.environment.instances import Instances
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.optimizers import Adam
from autoloss_gym.signals.history import History
from autoloss_gym.tools import tree
from tests.support.recording import play
from tests.support.toy_tasks import SMALL, Fragile, TwoBlocks, keys_of

LONGER = replace(SMALL, num_samples=200, max_steps=60, optimizer=Adam(learning_rate=0.02))


def controls(runs: int) -> list[Control]:
    """Fit and shrink in turn, and at last in steps so large that they spoil what was learned."""
    return [
        Control(
            weights=torch.eye(2)[[step % 2] * runs],
            step_size=torch.full((runs,), 1.0 if step < 45 else 100.0),
        )
        for step in range(LONGER.max_steps)
    ]


def replayed(runs: int) -> tuple[State, dict[str, torch.Tensor], torch.Tensor]:
    """The last state, the parameters at the best validation and that validation, by a loop over the
    task.
    """
    rows = np.arange(runs)
    instances = Instances("train", None, runs, torch.device("cpu"))
    instances.seed(rows, rows)
    state = LONGER.reset(instances.next_episode(rows))
    best, value = tree.clone(state.parameters), LONGER.validate(state)[:, 0]
    for step, control in enumerate(controls(runs), start=1):
        state, _ = LONGER.update(state, control)
        if step % LONGER.validate_every == 0:
            new = LONGER.validate(state)[:, 0]
            for i in range(runs):
                if new[i] < value[i]:
                    best["weights"][i], value[i] = state.parameters["weights"][i], new[i]
    return state, best, value


def test_score_is_that_of_the_last_step_and_best_score_that_of_the_best_validation():
    envs = AutoLossVectorEnv(LONGER, 3)
    envs.reset(seed=0)
    for control in controls(3):
        *_, infos = envs.step_control(control)
    final, (state, best, value) = infos["final_info"], replayed(3)
    at_best = LONGER.score(replace(state, parameters=best)).numpy()
    assert np.array_equal(final["score"], LONGER.score(state)[:, 0].numpy())
    assert np.array_equal(final["best_score"], at_best[:, 0])
    assert np.array_equal(final["excess_risk"], at_best[:, 0])
    assert np.array_equal(final["test_error"], at_best[:, 1])
    assert np.array_equal(final["best_validation"], value.numpy())
    assert (final["best_score"] < 0.9 * final["score"]).all()  # the two are told apart


def test_infos_are_dense_arrays_of_plain_numbers():
    envs = AutoLossVectorEnv(TwoBlocks(), 4)
    *_, last = play(envs, np.zeros((12, 4), dtype=int))
    expected = {
        "losses": ((4, 3), np.float32),
        "gradient_norms": ((4, 3), np.float32),
        "losses_refreshed": ((4, 3), np.bool_),
        "validation": ((4, 2), np.float32),
        "validation_refreshed": ((4,), np.bool_),
        "steps": ((4,), np.int64),
        "instance": ((4,), np.int64),
    }
    final = {
        "score": ((4,), np.float32),
        "best_score": ((4,), np.float32),
        "diverged": ((4,), np.bool_),
    }
    for prefix, fields in (
        ("", expected),
        ("final ", expected | final | {"pair_shares": ((4, 3), np.float32)}),
    ):
        for name, (shape, dtype) in fields.items():
            value = last[prefix + name]
            assert (value.shape, value.dtype) == (shape, dtype), name
            assert prefix == "" or last[f"final _{name}"].tolist() == [True] * 4


def test_infos_say_which_losses_and_validations_are_new_and_count_the_steps():
    choices = np.random.default_rng(0).integers(3, size=(11, 4))
    first, *records = play(AutoLossVectorEnv(TwoBlocks(), 4), choices)
    assert first["losses_refreshed"].all()
    assert first["validation_refreshed"].all()
    assert not first["steps"].any()
    for step, (choice, each) in enumerate(zip(choices, records, strict=True), start=1):
        assert np.array_equal(each["losses_refreshed"], np.eye(3, dtype=bool)[choice])
        assert each["validation_refreshed"].tolist() == [step % 3 == 0] * 4
        assert each["steps"].tolist() == [step] * 4


def test_final_info_describes_the_run_that_ended_and_the_rest_its_successor():
    choices = np.random.default_rng(0).integers(3, size=(12, 4))
    first, *_, last = play(AutoLossVectorEnv(TwoBlocks(), 4), choices)
    assert last["final steps"].tolist() == [12] * 4
    assert last["steps"].tolist() == [0] * 4
    assert np.array_equal(last["final instance"], first["instance"])
    assert not set(last["instance"]) & set(first["instance"])
    assert last["final validation_refreshed"].all()
    assert last["losses_refreshed"].all()
    assert np.array_equal(last["final losses_refreshed"], np.eye(3, dtype=bool)[choices[-1]])
    shares = np.eye(3)[choices].mean(axis=0)
    np.testing.assert_allclose(last["final pair_shares"], shares, rtol=1e-6)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e6])
def test_scores_are_never_beyond_the_worst_value(value):
    class Bad(Fragile):
        def score_values(self, parameters, data):
            return torch.full((len(parameters["a"]), 1), value)

    assert scores_of(Bad(), diverged=False) == (50, 50)


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), 0.05])
def test_the_worst_value_of_a_score_that_is_maximised_is_its_least(value):
    class Bad(Fragile):
        score_metrics = (Metric("accuracy", minimize=False, worst=0.1),)

        def score_values(self, parameters, data):
            return torch.full((len(parameters["a"]), 1), value)

    assert scores_of(Bad(), diverged=False) == pytest.approx((0.1, 0.1))


def test_a_diverged_run_has_the_worst_score_however_good_it_was():
    assert scores_of(Fragile(), diverged=False)[1] < 50
    assert scores_of(Fragile(), diverged=True) == (50, 50)


def scores_of(task: Fragile, diverged: bool) -> tuple[float, float]:
    state = task.reset(keys_of(1))
    state.diverged[:] = diverged
    history = History.start(task.measure(state), task.validate(state), memory=0)
    figures = final_infos(task, state, tree.clone(state.model), history, np.array([True]))
    return figures["score"].item(), figures["best_score"].item()


def test_only_the_masked_runs_are_computed():
    state, sizes = SMALL.reset(keys_of(1, 2, 3)), []

    def function(part: State) -> torch.Tensor:
        sizes.append(len(part.steps))
        return SMALL.validate(part)

    whole = on_rows(function, state, np.array([True] * 3))
    part = on_rows(function, state, np.array([False, True, False]))
    assert sizes == [3, 1]
    assert part[:, 0].tolist() == [0, whole[1, 0], 0]
