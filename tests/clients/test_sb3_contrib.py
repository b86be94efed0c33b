import gymnasium
import pytest
import torch

from autoloss_gym.adapters.stable_baselines3 import StableBaselines3VecEnv
from tests.clients.settings import ID, SMALL, marks

pytestmark = marks


@pytest.mark.parametrize("adapter", [False, True], ids=["gym.make", "adapter"])
def test_recurrent_ppo_learns(adapter):
    algorithm = pytest.importorskip("sb3_contrib").RecurrentPPO
    if adapter:
        env = StableBaselines3VecEnv(gymnasium.make_vec(ID, num_envs=3, **SMALL))
    else:
        env = gymnasium.make(ID, **SMALL)
    agent = algorithm("MlpLstmPolicy", env, n_steps=20, batch_size=20, n_epochs=1, seed=0)
    before = {name: value.clone() for name, value in agent.policy.state_dict().items()}
    agent.learn(60)
    after = agent.policy.state_dict()
    assert any((after[name] != value).any() for name, value in before.items())
    assert all(torch.isfinite(value).all() for value in after.values())
    assert {episode["l"] for episode in agent.ep_info_buffer} == {20}
