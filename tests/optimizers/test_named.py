import gymnasium
import pytest

import autoloss_gym  # noqa: F401 (registers the environments)
from autoloss_gym.optimizers import SGD, Adam, LearnedOptimizer, as_optimizer
from autoloss_gym.optimizers.learned_files import StoredWeights, write_weights
from tests.optimizers.test_learned import rows


def test_a_mapping_names_an_optimizer_and_its_arguments():
    given = {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9}
    assert as_optimizer(given) == SGD(learning_rate=0.1, momentum=0.9)
    assert as_optimizer("adam", learning_rate=0.2) == Adam(learning_rate=0.2)
    own = SGD(learning_rate=0.3)
    assert as_optimizer(own) is own


def test_environments_take_optimizers_by_name(tmp_path):
    path = tmp_path / "optimizer.safetensors"
    write_weights(path, StoredWeights(rows(1)[0].numpy()))
    id = "AutoLoss/QuadraticRegression-v1"
    for given in (f"learned:{path}", {"name": "learned", "file": str(path)}):
        task = gymnasium.make(id, optimizer=given).unwrapped.task
        assert task.optimizer == LearnedOptimizer(file=str(path))
    task = gymnasium.make(id, optimizer=f"learned:{path}", learning_rate=2.0).unwrapped.task
    assert task.optimizer.learning_rate == 2.0
    task = gymnasium.make(id, optimizer="sgd", learning_rate=0.5).unwrapped.task
    assert task.optimizer == SGD(learning_rate=0.5)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("sdg", "did you mean 'sgd'"),
        ("sgd", "expected a learning rate too"),
        ({"learning_rate": 0.1}, "unknown optimizer"),
        ({"name": "sgd", "learning_rate": 0.1, "mometum": 0.9}, "momentum"),
        ({"name": "adam", "learning_rate": -1}, "learning_rate"),
    ],
)
def test_wrong_names_and_arguments_are_one_line(given, reason):
    with pytest.raises(ValueError, match=reason) as error:
        as_optimizer(given)
    assert "\n" not in str(error.value)
