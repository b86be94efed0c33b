"""The digest of a function changes with its code, and with nothing else."""

import functools
import sys
import types

import pytest
import torch

from agents.evaluation.own_loops.source import code_digest, described

SOURCE = '''
import math
import torch

WIDTH = 3
KINDS = {"a", "b", "c"}

def helper(x):
    return x * WIDTH

class Net(torch.nn.Module):
    depth = 2

    def forward(self, x):
        return helper(x)

    @property
    def size(self):
        return 5

def unused(x):
    return 1

def train(rule, seed):
    """Words."""
    if seed in {"x", "y", "z"}:
        return 0
    return Net()(math.pi + seed)
'''


def digest(source, name="a_users_module"):
    module = types.ModuleType(name)
    module.__file__ = f"/somewhere/{name}.py"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, name, module)
        exec(compile(source, module.__file__, "exec"), vars(module))
        return code_digest(module.train)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("math.pi + seed", "math.pi - seed"),
        ("math.pi", "math.e"),
        ("x * WIDTH", "x + WIDTH"),
        ("WIDTH = 3", "WIDTH = 4"),
        ("depth = 2", "depth = 3"),
        ("return helper(x)", "return helper(2 * x)"),
        ("return 5", "return 6"),
        ("return 0", "return 1"),
    ],
)
def test_it_changes_with_all_code_that_the_function_reaches(old, new):
    assert old in SOURCE
    assert digest(SOURCE.replace(old, new)) != digest(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("def helper", "# a remark\n\n\ndef helper"),
        ("return 1", "return 2"),  # of what is not used
        ("Words.", "Other words."),
        ('KINDS = {"a", ', "KINDS = {"),
    ],
)
def test_it_stays_where_other_code_changes(old, new):
    assert old in SOURCE
    assert digest(SOURCE.replace(old, new)) == digest(SOURCE)


def test_a_module_may_be_imported_or_be_the_script_itself():
    assert digest(SOURCE, "another_name") == digest(SOURCE)
    assert digest(SOURCE, "__main__") == digest(SOURCE)


def closure(value):
    def inner(rule, seed):
        return value

    return inner


def test_it_sees_closures_defaults_and_bound_arguments():
    assert code_digest(closure(1)) == code_digest(closure(1))
    assert code_digest(closure(1)) != code_digest(closure(2))
    partial = functools.partial(lambda rule, seed, width: width, width=1)
    other = functools.partial(partial.func, width=2)
    assert code_digest(partial) != code_digest(other)


def test_the_order_of_a_set_which_differs_between_processes_does_not_count():
    assert code_digest(closure({"x", "y", "z"})) == code_digest(closure({"z", "y", "x"}))
    assert code_digest(closure({"x", "y", "z"})) != code_digest(closure({"x", "y"}))


def test_settings_count_and_what_a_cache_holds_does_not():
    assert code_digest(closure({"rate": 0.1})) != code_digest(closure({"rate": 0.2}))
    assert code_digest(closure({"loss": closure(1)})) != code_digest(closure({"loss": closure(2)}))
    assert code_digest(closure([1, [2]])) != code_digest(closure([1, [3]]))
    assert code_digest(closure({})) == code_digest(closure({"data": torch.ones(3)}))


class Loop:
    def __init__(self, width):
        self.width = width

    def __call__(self, rule, seed):
        return self.width


def test_it_sees_what_an_object_that_is_called_holds():
    assert code_digest(Loop(1)) == code_digest(Loop(1))
    assert code_digest(Loop(1)) != code_digest(Loop(2))


def test_an_object_is_described_without_its_address():
    assert described(Loop(1)) == described(Loop(1))
    assert " at 0x" not in described(Loop(1))
