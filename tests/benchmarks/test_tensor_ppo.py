"""Both sides of the comparison of PPOs make the same number of steps."""

import argparse

from benchmarks.tensor_ppo import sides


def test_each_side_counts_the_steps_of_its_rollouts():
    arguments = argparse.Namespace(rollouts=1, compiled=False, device="cpu")
    played = {name: play() for name, play in sides(arguments, num_envs=16).items()}
    assert played == {"Stable-Baselines3": 960, "on tensors": 960}
