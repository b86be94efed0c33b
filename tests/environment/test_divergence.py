"""To diverge is never better than to stay: returns of whole episodes, by the step size."""

import gymnasium
import numpy as np
import pytest

from autoloss_gym import AutoLossVectorEnv
from autoloss_gym.optimizers import SGD
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression

RATES = (1e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 10.0, 1e4)


def episode(rate: float, **arguments) -> tuple[float, bool]:
    """The return of one regression, and whether it diverged."""
    task = QuadraticRegression(optimizer=SGD(learning_rate=rate), max_steps=200)
    envs = AutoLossVectorEnv(task, num_envs=1, **arguments)
    envs.reset(seed=3)
    total = 0.0
    for _ in range(task.max_steps):
        _, rewards, ended, _, infos = envs.step(np.zeros(1, dtype=np.int64))
        total += rewards[0].item()
        if ended[0]:
            break
    assert ended[0]
    return total, bool(infos["final_info"]["diverged"][0])


@pytest.mark.parametrize("reward", ["shaped", "final", "improvement"])
def test_no_step_size_that_diverges_is_paid_more_than_one_that_does_not(reward):
    outcomes = [episode(rate, reward=reward) for rate in RATES]
    diverged = [total for total, has_diverged in outcomes if has_diverged]
    finite = [total for total, has_diverged in outcomes if not has_diverged]
    assert len(diverged) >= 2
    assert len(finite) >= 2
    assert max(diverged) <= min(finite)


def test_version_0_pays_nothing_to_a_run_that_diverges():
    unbounded = {"reward_arguments": {"bounded": False}}
    outcomes = [episode(rate, **unbounded) for rate in RATES]
    assert outcomes[-1] == (0.0, True)


@pytest.mark.filterwarnings("ignore:.*out of date:DeprecationWarning")
def test_a_former_id_pays_as_it_did():
    arguments = {"max_steps": 200, "optimizer": SGD(learning_rate=1e4)}
    paid = {}
    for version in ("v0", "v1"):
        id = f"AutoLoss/QuadraticRegression-{version}"
        envs = gymnasium.make_vec(id, num_envs=1, **arguments)
        envs.reset(seed=3)
        ended = np.zeros(1, dtype=bool)
        paid[version] = 0.0
        while not ended[0]:
            _, rewards, ended, _, _ = envs.step(np.zeros(1, dtype=np.int64))
            paid[version] += rewards[0].item()
    assert paid["v0"] == 0.0
    assert paid["v1"] < -1.0
