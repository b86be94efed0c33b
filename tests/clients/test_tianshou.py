import pytest

from tests.clients.settings import ID, SMALL, marks

pytestmark = marks


def test_the_high_level_ppo_trains(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")  # compiling takes longer than the training
    pytest.importorskip("tianshou")
    from tianshou.highlevel.config import OnPolicyTrainingConfig
    from tianshou.highlevel.env import EnvFactoryRegistered, VectorEnvType
    from tianshou.highlevel.experiment import ExperimentConfig, PPOExperimentBuilder

    factory = EnvFactoryRegistered(task=ID, venv_type=VectorEnvType.DUMMY, **SMALL)
    experiment = ExperimentConfig(
        persistence_enabled=False, persistence_base_dir=str(tmp_path), watch=False
    )
    training = OnPolicyTrainingConfig(
        max_epochs=1,
        epoch_num_steps=80,
        num_training_envs=2,
        num_test_envs=2,
        collection_step_num_env_steps=40,
        update_step_num_repetitions=1,
        batch_size=20,
    )
    built = PPOExperimentBuilder(factory, experiment, training).build()
    result = built.run(run_name="run")
    lengths = result.trainer_result.test_step
    assert lengths is not None
