import gymnasium
import pytest
import torch

from tests.clients.settings import ID, SMALL, marks

pytestmark = marks


@pytest.mark.parametrize("headless", [True, False], ids=["headless", "drawn"])
def test_the_trainer_trains_ppo_on_a_vector_environment(tmp_path, headless):
    pytest.importorskip("skrl")
    from skrl.agents.torch.ppo import PPO
    from skrl.envs.wrappers.torch import wrap_env
    from skrl.memories.torch import RandomMemory
    from skrl.trainers.torch import SequentialTrainer
    from skrl.utils.model_instantiators.torch import categorical_model, deterministic_model

    torch.manual_seed(0)
    bare = gymnasium.make_vec(ID, num_envs=4, render_mode="rgb_array", **SMALL)
    envs = wrap_env(bare)
    layers = [{"name": "net", "input": "OBSERVATIONS", "layers": [16], "activations": "tanh"}]
    spaces = {"observation_space": envs.observation_space, "action_space": envs.action_space}
    models = {
        "policy": categorical_model(**spaces, network=layers, output="ACTIONS", device="cpu"),
        "value": deterministic_model(**spaces, network=layers, output="ONE", device="cpu"),
    }
    memory = RandomMemory(memory_size=20, num_envs=4, device="cpu")
    settings = {"rollouts": 20, "learning_epochs": 2, "mini_batches": 2}
    settings["experiment"] = {"directory": str(tmp_path), "write_interval": 0}
    agent = PPO(models=models, memory=memory, cfg=settings, device="cpu", **spaces)
    for role, model in models.items():
        model.init_state_dict(role=role)
    before = [parameter.clone() for parameter in models["policy"].parameters()]
    drawn = []
    render = bare.render
    bare.render = lambda: drawn.append(1) or render()
    cfg = {"timesteps": 40, "headless": headless, "disable_progressbar": True}
    cfg["close_environment_at_exit"] = False
    trainer = SequentialTrainer(env=envs, agents=agent, cfg=cfg | {"render_interval": 20})
    trainer.train()
    after = models["policy"].parameters()
    assert any((a != b).any() for a, b in zip(before, after, strict=True))
    assert all(parameter.isfinite().all() for parameter in models["policy"].parameters())
    assert bool(drawn) != headless
