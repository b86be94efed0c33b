"""Signatures that are read from the source are those of the classes."""

import ast
import dataclasses
import importlib
import inspect
import subprocess
import sys

import pytest

from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.registration import TASKS
from autoloss_gym.tools.signatures import environment_signature, task_signature


def class_of(task):
    module, _, name = task.partition(":")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("task", TASKS.values())
def test_the_arguments_of_a_task_are_its_fields_in_their_order(task):
    fields = [field.name for field in dataclasses.fields(class_of(task)) if field.init]
    assert list(task_signature(task).arguments) == fields


@pytest.mark.parametrize("task", TASKS.values())
def test_plain_defaults_are_those_of_the_fields(task):
    checked = 0
    for field in dataclasses.fields(class_of(task)):
        if field.init and isinstance(field.default, int | float | str | None):
            default = task_signature(task).arguments[field.name]
            assert default is not None
            assert value_of(default) == field.default
            checked += 1
    assert checked > 3


def value_of(source):
    return ast.literal_eval(source)


@pytest.mark.parametrize("task", TASKS.values())
def test_documentation_and_presets_are_those_of_the_task(task):
    cls, signature = class_of(task), task_signature(task)
    assert signature.documentation == inspect.cleandoc(cls.__doc__)
    assert signature.presets == tuple(getattr(cls, "presets", {}))
    assert "\n" not in signature.summary
    assert signature.summary.endswith((".", "?"))


def test_the_arguments_of_the_environment_are_those_of_its_constructor():
    parameters = inspect.signature(AutoLossVectorEnv).parameters
    own = [name for name in parameters if name != "task_arguments"]
    signature = environment_signature()
    assert list(signature.arguments) == own
    assert signature.arguments["task"] is None
    assert signature.arguments["num_envs"] == "1"
    assert signature.arguments["control"] == "'pair'"


def test_a_task_of_a_users_module_has_the_fields_of_the_bases_that_it_imports_from_the_door(
    tmp_path, monkeypatch
):
    (tmp_path / "users_task.py").write_text(
        "from dataclasses import dataclass\n"
        "from typing import ClassVar\n"
        "from autoloss_gym import GradientTask\n"
        "class Mine(GradientTask):\n"
        '    """One line\n    and its end.\n\n    More."""\n'
        "    kind: ClassVar[str] = 'a'\n"
        "    width: int = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    signature = task_signature("users_task:Mine")
    assert signature.summary == "One line and its end."
    assert list(signature.arguments)[-1] == "width"
    assert {"max_steps", "optimizer"} <= set(signature.arguments)
    assert "kind" not in signature.arguments


@pytest.mark.parametrize("task", ["autoloss_gym.core.task:Nothing", "no_such_module:Task"])
def test_what_has_no_source_is_an_error(task):
    with pytest.raises(ValueError, match="expected 'module:Class'"):
        task_signature(task)


def test_reading_a_signature_imports_no_torch():
    program = (
        "import sys\n"
        "from autoloss_gym.tools.signatures import environment_signature, task_signature\n"
        f"signatures = [task_signature(task) for task in {list(TASKS.values())}]\n"
        "environment_signature()\n"
        "print('torch' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout == "False\n"
