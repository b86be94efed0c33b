"""The guides' changes are complete: applied to a copy, what they add is in the table."""

import os
import re
import shutil
import subprocess

import pytest

from tests.support.paths import ROOT
from tests.support.prepared import run_python

GUIDES = ROOT / "docs" / "guides"
SMALL = ["dimension=4", "num_samples=20", "max_steps=20"]


def block(guide, language):
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", (GUIDES / guide).read_text(), re.M | re.S)
    return found


@pytest.fixture
def clone(tmp_path):
    """A copy of what the command runs, outside the checkout."""
    for folder in ("agents", "autoloss_gym"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    shutil.copy(ROOT / "evaluate.py", tmp_path)
    return tmp_path


def apply(guide, clone):
    subprocess.run(
        ["git", "apply", "-"], cwd=clone, input=block(guide, "diff"), text=True, check=True
    )


def table(clone, *policies):
    command = ["evaluate.py", "--env", "AutoLoss/QuadraticRegression-v1"]
    command += ["--env-kwargs", *SMALL, "--episodes", "2", "--policies", *policies]
    environment = os.environ | {"PYTHONPATH": str(clone)}
    result = run_python(*command, cwd=clone, env=environment)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_policy_is_one_file_and_one_row_and_ones_own_is_a_name(clone):
    apply("add_a_policy.md", clone)
    (clone / "my_policies.py").write_text(block("add_a_policy.md", "python"))
    shown = table(clone, "fit_first:5", "my_policies:PenaliseLate", "1:1")
    for policy in ("fit_first:5 ", "my_policies:PenaliseLate ", "1:1 "):
        assert re.search(f"^{policy}", shown, re.M)


def test_a_rule_is_one_file_and_one_row(clone):
    apply("add_a_rule.md", clone)
    shown = table(clone, "proportional:power=2", "proportional:pair", "equal")
    for policy in ("proportional:power=2 ", "proportional:pair ", "equal "):
        assert re.search(f"^{policy}", shown, re.M)
