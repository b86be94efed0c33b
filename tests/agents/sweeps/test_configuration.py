"""The file of a sweep."""

import pytest

from agents.sweeps.configuration import load_sweep, read_sweep

CONTENT = {
    "env": "AutoLoss/QuadraticRegression-v1",
    "trainings": [
        {"algo": ["ppo", "a2c"], "hyperparams": {"learning_rate": [1e-3, 1e-4], "n_steps": 5}},
        {"n_timesteps": 640},
    ],
}


def test_lists_are_axes_and_every_combination_is_trained():
    sweep = read_sweep(CONTENT)
    assert [each.label for each in sweep.trainings] == [
        "ppo learning_rate=0.001",
        "ppo learning_rate=0.0001",
        "a2c learning_rate=0.001",
        "a2c learning_rate=0.0001",
        "group",
    ]
    assert sweep.seeds == (0, 1, 2, 3, 4)
    configuration = sweep.configuration(sweep.trainings[2], seed=3)
    assert configuration.algo == "a2c"
    assert configuration.seed == 3
    assert configuration.hyperparameters["learning_rate"] == 1e-3
    assert configuration.hyperparameters["n_steps"] == 5
    assert sweep.configuration(sweep.trainings[4], 0).n_timesteps == 640


def test_labels_name_what_differs_between_items_of_the_list_too():
    items = [{"algo": "ppo", "n_timesteps": 1000}, {"algo": "ppo", "n_timesteps": 2000}]
    more = [{"algo": "ppo", "hyperparams": {"n_steps": 5}}, {"algo": "group"}]
    sweep = read_sweep({"env": "a", "trainings": items + more})
    assert [each.label for each in sweep.trainings] == [
        "ppo n_timesteps=1000",
        "ppo n_timesteps=2000",
        "ppo n_steps=5",
        "group",
    ]


def test_a_value_that_is_a_list_stands_within_a_list():
    layers = {"net_arch": [[64, 64]]}
    content = {"env": "a", "trainings": [{"algo": "ppo", "hyperparams": layers}]}
    (training,) = read_sweep(content).trainings
    assert training.label == "ppo"
    assert training.settings["hyperparams"] == {"net_arch": [64, 64]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trainigs": []}, "unknown name in the sweep 'trainigs'; did you mean 'trainings'"),
        ({"trainings": None}, "the sweep has no trainings"),
        ({"trainings": []}, "expected a list of settings"),
        ({"trainings": [{"algos": "ppo"}]}, "unknown setting of a training 'algos'; did you mean"),
        ({"trainings": [{"algo": "pppo"}]}, "algo: 'pppo': expected a2c"),
        ({"trainings": [{"algo": "learned_optimizer"}]}, "algo: 'learned_optimizer': expected"),
        ({"trainings": [{"algo": []}]}, "algo: an empty list"),
        ({"trainings": [{"algo": "ppo"}, {"algo": "ppo"}]}, "trainings: two are the same"),
        ({"trainings": [{"n_timesteps": 0}]}, "n_timesteps: 0: expected a whole number from 1"),
        ({"trainings": [{"checkpoint_every": "abc"}]}, "checkpoint_every: 'abc': expected"),
        ({"trainings": [{"num_envs": [64, 2**20]}]}, "num_envs: 1048576: expected"),
        (
            {"trainings": [{"hyperparams": {f"a{n}": [1, 2, 3, 4] for n in range(20)}}]},
            "1,099,511,627,776 trainings: expected at most 10,000",
        ),
        ({"seeds": 2_000_000_000}, "seeds: 2000000000: expected a whole number from 1 to 10,000"),
        ({"episodes": float("inf")}, "episodes: inf: expected a whole number"),
        ({"episodes": float("nan")}, "episodes: nan: expected a whole number"),
        ({"trainings": [{"hyperparams": 3}]}, "hyperparams: 3: expected names and values"),
        ({"seeds": 0}, "seeds: 0: expected a whole number from 1 to"),
        ({"seeds": [1, 1]}, r"seeds: \[1, 1\]: expected different numbers"),
        ({"episodes": 2.5}, "episodes: 2.5: expected a whole number from 1 to"),
        ({"episodes": True}, "episodes: True"),
        ({"split": "tset"}, "split: 'tset': expected test, validation, train"),
        ({"policies": "grid"}, "policies: 'grid': expected a list"),
        ({"env": 3}, "env: 3: expected the id"),
        ({"env_kwargs": {"split": "test"}}, "the commands set split themselves"),
    ],
)
def test_what_is_wrong_is_one_line(changes, words):
    with pytest.raises(ValueError, match=words):
        read_sweep({**CONTENT, **changes})


def test_files_that_hold_no_sweep_are_one_line(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        load_sweep(tmp_path / "none.yml")
    path = tmp_path / "sweep.yml"
    path.write_text("- a\n- b\n")
    with pytest.raises(ValueError, match="expected a mapping with env and trainings"):
        load_sweep(path)
    path.write_text("a: &b [1]\nc: *b\n")
    with pytest.raises(ValueError, match="cannot be read"):
        load_sweep(path)
