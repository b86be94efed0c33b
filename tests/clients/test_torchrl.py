import gymnasium
import pytest
import torch

from autoloss_gym.registration import TASKS
from tests.clients.settings import ID, SMALL, marks

pytestmark = marks


@pytest.fixture
def torchrl():
    return pytest.importorskip("torchrl")


@pytest.mark.parametrize("arguments", [{}, {"control": "weights"}], ids=["pair", "weights"])
def test_the_specs_of_gym_env_agree_with_what_it_gives(torchrl, arguments):
    from torchrl.envs import GymEnv, check_env_specs

    env = GymEnv(ID, **SMALL, **arguments)
    check_env_specs(env, seed=0)
    steps = env.rollout(50, break_when_any_done=False)
    assert steps["next", "terminated"].nonzero()[:, 0].tolist() == [19, 39]


# The tasks on images are left out: their classifiers are trained first, which takes half a minute.
@pytest.mark.parametrize("id", [id for id, task in TASKS.items() if ".images." not in task])
def test_gym_env_makes_every_id(torchrl, id):
    from torchrl.envs import GymEnv

    assert GymEnv(id).rollout(3)["next", "reward"].isfinite().all()


@pytest.mark.parametrize("array", ["numpy", "torch"])
def test_gym_wrapper_takes_a_vector_environment(torchrl, array):
    from torchrl.envs import GymWrapper

    envs = GymWrapper(gymnasium.make_vec(ID, num_envs=3, array=array, **SMALL))
    assert envs.batch_size == (3,)
    envs.set_seed(0)
    steps = envs.rollout(45, break_when_any_done=False)
    ends = steps["next", "terminated"][..., 0].nonzero()
    assert ends.tolist() == [[run, step] for run in range(3) for step in (19, 39)]
    twin = gymnasium.make_vec(ID, num_envs=3, **SMALL)
    assert steps["observation"].shape == (3, 45, twin.single_observation_space.shape[0])
    # At an end, `next` holds what final_obs says: it differs from the next reset's observation.
    assert (steps["next", "observation"][:, 19] != steps["observation"][:, 20]).any()


def test_ppo_learns_from_a_collector(torchrl):
    from tensordict.nn import TensorDictModule
    from torchrl.collectors import Collector
    from torchrl.envs import GymEnv
    from torchrl.modules import MLP, ProbabilisticActor, ValueOperator
    from torchrl.objectives import ClipPPOLoss
    from torchrl.objectives.value import GAE

    torch.manual_seed(0)
    env = GymEnv(ID, categorical_action_encoding=True, **SMALL)
    features = env.observation_spec["observation"].shape[-1]
    network = MLP(in_features=features, out_features=env.action_space.n, num_cells=[16])
    actor = ProbabilisticActor(
        TensorDictModule(network, in_keys=["observation"], out_keys=["logits"]),
        spec=env.action_spec,
        in_keys=["logits"],
        distribution_class=torch.distributions.Categorical,
        return_log_prob=True,
    )
    critic = ValueOperator(MLP(in_features=features, out_features=1, num_cells=[16]))
    collector = Collector(env, actor, frames_per_batch=40, total_frames=120)
    advantage = GAE(gamma=0.99, lmbda=0.95, value_network=critic)
    objective = ClipPPOLoss(actor, critic)
    optimizer = torch.optim.Adam(objective.parameters(), 1e-2)
    before = [parameter.clone() for parameter in network.parameters()]
    frames = 0
    for batch in collector:
        advantage(batch)
        losses = objective(batch)
        loss = losses["loss_objective"] + losses["loss_critic"] + losses["loss_entropy"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        frames += batch.numel()
    collector.shutdown()
    assert frames == 120
    assert loss.isfinite()
    assert any((a != b).any() for a, b in zip(before, network.parameters(), strict=True))
