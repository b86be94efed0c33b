"""Imports run one way, folder by folder, and nothing slow is loaded before it is needed."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

import autoloss_gym
from tests.support.paths import ROOT

PACKAGE = Path(autoloss_gym.__file__).parent
# A folder imports from itself and from what stands above it.
ORDER = (
    "tools",
    "random",
    "networks",
    "optimizers",
    "core",
    "weightings",
    "losses",
    "data",
    "scoring",
    "signals",
    "controls",
    "controllers",
    "tasks",
    "environment",
    "adapters",
    "registration",
)
# Libraries that only one file imports.
ADAPTED = {
    "stable_baselines3": "stable_baselines3.py",
    "lightning": "lightning.py",
    "pytorch_lightning": "lightning.py",
    "transformers": "transformers.py",
}
DOORS = ("__init__", "checker")  # they may look at everything
MODULES = sorted(PACKAGE.rglob("*.py"))


def imported(source: str) -> set[str]:
    """Full names of all that a module imports, wherever in it the import stands."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@functools.cache
def imports_of(path: Path) -> set[str]:
    return imported(path.read_text())


def packages(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports_of(path)}


def layer(path: Path) -> str:
    """The folder of a module, or its own name where it lies in none."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def modules_loaded_by(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(*sys.modules)"
    command = [sys.executable, "-W", "error", "-c", program]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return set(output.stdout.split())


def test_imports_are_found_in_every_form_and_place():
    source = "import a.b as c, d\nfrom e.f import g as h, i\ndef late():\n    from j import k"
    assert imported(source) == {"a.b", "d", "e.f.g", "e.f.i", "j.k"}


def test_imports_run_one_way():
    for path in MODULES:
        own = layer(path)
        if own in DOORS:
            continue
        assert own in ORDER, f"a new folder: give {own} its place in the order"
        for name in imports_of(path):
            if name.startswith("autoloss_gym."):
                assert ORDER.index(name.split(".")[1]) <= ORDER.index(own), (path, name)


def test_the_package_never_imports_the_agents_nor_its_own_tests():
    outside = {"agents", "studies", "benchmarks", "tests", "train_agent", "evaluate"}
    for path in MODULES:
        assert not packages(path) & outside, path
        assert not any(name.startswith("autoloss_gym.agents") for name in imports_of(path)), path


def test_only_what_acts_as_an_environment_imports_gymnasium():
    environments = {"controls", "environment", "adapters", "checker", "registration"}
    importing = [path for path in MODULES if "gymnasium" in packages(path)]
    assert [path for path in importing if layer(path) not in environments] == []


def test_signals_and_controllers_know_no_task():
    """They are shared by environments and by anyone's own training loop."""
    for path in MODULES:
        if layer(path) in ("signals", "controls", "controllers"):
            last = {name.rpartition(".")[2] for name in imports_of(path)}
            assert not last & {"Task", "GradientTask"}, path


def test_nothing_but_a_task_imports_a_task():
    """Environments get their task as an object or a name."""
    for path in MODULES:
        tasks = {name for name in imports_of(path) if name.startswith("autoloss_gym.tasks")}
        assert not tasks or layer(path) == "tasks", path


@pytest.mark.parametrize("library", ADAPTED)
def test_only_its_adapter_imports_a_library(library):
    adapter = PACKAGE / "adapters" / ADAPTED[library]
    assert [path for path in MODULES if library in packages(path) and path != adapter] == []


def test_adapters_of_training_loops_know_no_environment():
    for path in MODULES:
        if layer(path) == "adapters" and path.name not in ("stable_baselines3.py", "__init__.py"):
            names = imports_of(path)
            assert not any(name.startswith("autoloss_gym.environment") for name in names), path
            assert "gymnasium" not in packages(path), path


def test_agents_are_imported_relatively_so_that_they_can_be_installed_elsewhere():
    for path in (ROOT / "agents").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                assert node.module.partition(".")[0] != "agents", path
            if isinstance(node, ast.Import):
                assert not any(alias.name.startswith("agents") for alias in node.names), path


def test_learners_policies_evaluation_and_commands_stand_on_each_other_in_this_order():
    rules = {
        "learners": ("policies", "evaluation", "commands"),
        "policies": ("evaluation", "commands"),
        "evaluation": ("commands",),
    }
    for folder, forbidden in rules.items():
        for path in (ROOT / "agents" / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and node.level == 2:
                    assert str(node.module).partition(".")[0] not in forbidden, (path, node.module)


def test_the_vector_environment_loads_no_task_of_its_own():
    loaded = modules_loaded_by("import autoloss_gym.environment.vector_env")
    assert "autoloss_gym.core.task" in loaded
    assert not {name for name in loaded if name.startswith("autoloss_gym.tasks")}


def test_importing_the_package_loads_neither_torch_nor_stable_baselines3_nor_tensorboard():
    loaded = modules_loaded_by("import autoloss_gym")
    slow = {"torch", "stable_baselines3", "tensorboard", "sklearn"}
    assert "gymnasium" in loaded
    assert not {name.partition(".")[0] for name in loaded} & slow


def test_environments_load_neither_stable_baselines3_nor_tensorboard_nor_matplotlib():
    make = "gymnasium.make('AutoLoss/QuadraticRegression-v1').reset(seed=0)"
    loaded = modules_loaded_by(f"import gymnasium, autoloss_gym; {make}")
    slow = {"stable_baselines3", "tensorboard", "matplotlib", "sklearn"}
    assert "torch" in loaded
    assert not {name.partition(".")[0] for name in loaded} & slow


def test_a_comparison_on_an_own_loop_loads_nothing_that_only_environments_and_figures_need():
    loaded = modules_loaded_by("import autoloss_gym; autoloss_gym.compare")
    slow = {"stable_baselines3", "tensorboard", "matplotlib", "cmaes", "rich"}
    assert "agents.evaluation.own_loops.comparison" in loaded
    assert not {name.partition(".")[0] for name in loaded} & slow


def test_another_package_named_agents_is_not_taken_for_that_of_the_checkout(tmp_path):
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "__init__.py").write_text("")
    program = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; sys.meta_path[:] = ["
    program += "each for each in sys.meta_path if 'editable' not in repr(each).lower()]; "
    command = [sys.executable, "-c", program + "import autoloss_gym; autoloss_gym.compare"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    line = result.stderr.splitlines()[-1]
    assert line.startswith(f"ImportError: 'agents' is {tmp_path}")
    assert line.endswith("or install autoloss_gym")


def test_every_public_name_can_be_had_from_the_package():
    for name in autoloss_gym.__all__:
        assert getattr(autoloss_gym, name).__name__ == name
