"""The changes that the guides show are complete: applied to a copy, they work."""

import pytest

from tests.support.copies import apply_diff, code_blocks, copy_packages, run_in_copy
from tests.support.paths import ROOT

GUIDE = ROOT / "docs" / "guides" / "add_a_task.md"
MAKE = """
import autoloss_gym, gymnasium
env = gymnasium.make("AutoLoss/LineFit-v0")
env.reset(seed=0)
env.step(1)
envs = gymnasium.make_vec("AutoLoss/LineFit-v0", num_envs=3)
envs.reset(seed=0)
print(autoloss_gym.__file__, envs.step([0, 1, 0])[0].shape[0])
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = copy_packages(tmp_path_factory.mktemp("copy"))
    (diff,) = code_blocks(GUIDE, "diff")
    assert diff.count("+++ b/") == 2  # one file, and one row
    apply_diff(diff, folder)
    return folder


def test_the_task_of_the_guide_is_made_by_its_id(copy):
    printed = run_in_copy(copy, "-c", MAKE)
    assert printed.startswith(str(copy))
    assert printed.split()[-1] == "3"


def test_the_task_of_the_guide_keeps_the_promises_of_a_task(copy):
    (check,) = code_blocks(GUIDE, "python")
    run_in_copy(copy, "-c", check)


def test_the_task_of_the_guide_is_played_by_the_command(copy):
    env = ["--env", "AutoLoss/LineFit-v0", "--episodes", "4", "-o", "results"]
    printed = run_in_copy(copy, "evaluate.py", *env, "--policies", "1:1", "random:0.5")
    assert "random:0.5" in printed
