"""Policies and rules of the user's own, named module:Class."""

import json
import sys

import numpy as np
import pytest

from agents.evaluation.entrants import make_entrant
from agents.policies.grammar import parse_specification
from autoloss_gym.controllers.policies.weighting import WeightingPolicy
from tests.support.paths import ROOT
from tests.support.prepared import run_python
from tests.support.toy_tasks import SMALL, Fragile

MODULE = """
from autoloss_gym.weightings import Equal, WeightingRule

class Mine:
    label, static, diagnostics, env_arguments = "mine", True, False, {}

    def __init__(self, task):
        self.num_pairs = len(task.pairs)

    def reset(self, seeds):
        pass

    def act(self, observations, infos):
        return infos["steps"] % self.num_pairs

class Rule(Equal):
    reads_losses = True

class Nameless(Mine):
    label = property()

class Neither:
    pass

class Failing(Mine):
    def __init__(self, task):
        raise KeyError("two\\nlines")

class Arguments(Mine):
    def __init__(self, task, more):
        pass

class RuleWithArguments(Equal):
    def __init__(self, more):
        pass

value = 3
"""


@pytest.fixture(autouse=True)
def modules(tmp_path, monkeypatch):
    """Modules of the user's in the working folder; forgotten after the test."""
    (tmp_path / "my_policies.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("import nowhere\n")
    (tmp_path / "wrong.py").write_text("def:\n")
    (tmp_path / "random.py").write_text("raise SystemExit('imported')\n")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "policies.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("my_policies", "broken", "wrong", "package", "package.policies"):
        sys.modules.pop(name, None)


def entrant(text, task=SMALL):
    return make_entrant(parse_specification(text), task, "")


def test_a_policy_is_called_with_the_task_and_shown_as_it_was_named():
    found = entrant("my_policies:Mine")
    (policy,) = found.candidates
    assert (found.label, found.static, policy.num_pairs) == ("my_policies:Mine", True, 2)
    assert policy.act(None, {"steps": np.arange(3)}).tolist() == [0, 1, 0]


def test_a_rule_is_followed_as_a_built_in_one_is():
    (policy,) = entrant("my_policies:Rule").candidates
    assert isinstance(policy, WeightingPolicy)
    assert (type(policy.rule).__name__, policy.label) == ("Rule", "my_policies:Rule")
    assert not policy.static
    with pytest.raises(ValueError, match="every parameter block of Fragile has one loss"):
        entrant("my_policies:Rule", Fragile())


def test_a_module_may_be_in_a_package_and_is_not_run_before_its_policy_is_built():
    specification = parse_specification("package.policies:Mine")
    assert "package" not in sys.modules
    assert specification.own_module == "package.policies"
    assert make_entrant(specification, SMALL, "").label == "package.policies:Mine"


def test_a_resumed_folder_imports_a_module_only_where_it_is_trusted(tmp_path):
    (tmp_path / "my_policies.py").write_text("raise SystemExit('imported')")
    content = {
        "format": 1, "env": "AutoLoss/QuadraticRegression-v1", "policies": ["my_policies:Mine"],
        "episodes": 2, "split": "test", "seed": 0, "env_kwargs": [], "deterministic": False,
        "output": "results", "num_workers": 1, "num_threads": 1,
    }  # fmt: skip
    (tmp_path / "command.json").write_text(json.dumps(content))
    for trust, expected in (([], "add --trust-checkpoint"), (["--trust-checkpoint"], "imported")):
        result = run_python(ROOT / "evaluate.py", "--resume", ".", *trust, cwd=tmp_path)
        assert expected in result.stderr
        assert result.stdout == ""


def test_a_built_in_kind_wins():
    assert parse_specification("random:0.5").value == (0.5,)
    assert parse_specification("random:0.5").own_module is None
    with pytest.raises(ValueError, match="expected random, random:P"):
        parse_specification("random:Mine")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("my_polices:Mine", "unknown policy 'my_polices'.*there is no module 'my_polices'"),
        ("alwys:mse", "did you mean 'always'.*there is no module 'alwys'"),
        ("my_policies:", "expected module:Class with a class of your own"),
        ("my_policies:Mine:more", "expected module:Class with a class of your own"),
        ("package.nothing:Mine", "cannot import module 'package.nothing' .*No module named"),
        ("broken:Mine", "cannot import module 'broken' .*No module named 'nowhere'"),
        ("wrong:Mine", "cannot import module 'wrong' .*SyntaxError"),
        ("my_policies:Yours", "module 'my_policies' has no class 'Yours'"),
        ("my_policies:value", "value is not a class"),
        ("my_policies:Neither", "neither a policy, with reset.* nor a subclass of"),
        ("my_policies:Nameless", "it has no label; a policy has label, static"),
        ("my_policies:Failing", r"Failing\(.*\) failed \(KeyError"),
        ("my_policies:Arguments", r"Arguments\(.*\) failed \(TypeError.*'more'"),
        ("my_policies:RuleWithArguments", r"RuleWithArguments\(\) failed \(TypeError.*'more'"),
        ("my_policies:WeightingRule", r"WeightingRule\(\) failed \(TypeError.*abstract"),
    ],
)
def test_what_cannot_be_used_is_one_line(text, expected):
    with pytest.raises(ValueError, match=expected) as caught:
        entrant(text)
    assert "\n" not in str(caught.value)
    assert repr(text.partition(":")[0])[:-1] in str(caught.value)
