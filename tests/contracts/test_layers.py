import ast
import subprocess
import sys
from pathlib import Path

import pytest

import autoloss_gym

PACKAGE = Path(autoloss_gym.__file__).parent
ORDER = (
    "names",
    "random",
    "tree",
    "losses",
    "optimizers",
    "task",
    "gradient_task",
    "tables",
    "resizing",
    "images",
    "datasets",
    "linear",
    "classifiers",
    "sample_scores",
    "image_judge",
    "convolutions",
    "adversarial",
    "dcgan",
    "penalties",
    "tasks",
    "weightings",
    "history",
    "features",
    "rewards",
    "controls",
    "construct",
    "instances",
    "rendering",
    "infos",
    "runs",
    "vector_env",
    "env",
    "adapters",
    "checker",
    "registration",
)
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
each_module = pytest.mark.parametrize(
    "path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE))
)


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


def packages(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path.read_text())}


def layer(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def modules_loaded_by(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(*sys.modules)"
    output = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(output.stdout.split())


def test_imports_are_found_in_every_form_and_place():
    source = "import a.b as c, d\nfrom e.f import g as h, i\ndef late():\n    from j import k"
    assert imported(source) == {"a.b", "d", "e.f.g", "e.f.i", "j.k"}


@each_module
def test_imports_run_one_way(path):
    """A module imports only what stands before it in the order; modules of one folder may import
    each other.
    """
    own = layer(path)
    assert own in ORDER, "a new module: give it its place in the order"
    for name in imported(path.read_text()):
        if name.startswith("autoloss_gym."):
            other = name.split(".")[1]
            assert ORDER.index(other) < ORDER.index(own) or (
                other == own and path.parent != PACKAGE
            ), name


@each_module
def test_the_package_never_imports_the_agents_nor_its_own_tests(path):
    assert not packages(path) & {"agents", "tests", "train_agent", "evaluate"}


@each_module
def test_only_what_acts_as_an_environment_imports_gymnasium(path):
    """Neither tasks nor weightings nor anything below them does."""
    environments = {"controls", "vector_env", "env", "adapters", "checker", "registration"}
    assert "gymnasium" not in packages(path) or layer(path) in environments


@each_module
def test_nothing_but_a_task_imports_a_task(path):
    """Environments get their task as an object or a name."""
    tasks = {name for name in imported(path.read_text()) if name.startswith("autoloss_gym.tasks")}
    assert not tasks or layer(path) == "tasks"


@each_module
def test_only_the_adapter_imports_stable_baselines3(path):
    assert (
        "stable_baselines3" not in packages(path)
        or path == PACKAGE / "adapters" / "stable_baselines3.py"
    )


def test_the_vector_environment_loads_no_task_of_its_own():
    loaded = modules_loaded_by("import autoloss_gym.environment.vector_env")
    assert "autoloss_gym.core.task" in loaded
    assert not {name for name in loaded if name.startswith("autoloss_gym.tasks")}


def test_importing_the_package_loads_neither_torch_nor_stable_baselines3_nor_tensorboard():
    loaded = modules_loaded_by("import autoloss_gym")
    assert "gymnasium" in loaded
    assert not {name.partition(".")[0] for name in loaded} & {
        "torch",
        "stable_baselines3",
        "tensorboard",
        "sklearn",
    }


def test_environments_load_neither_stable_baselines3_nor_tensorboard_nor_matplotlib():
    loaded = modules_loaded_by(
        "import gymnasium, autoloss_gym; gymnasium.make('AutoLoss/QuadraticRegression-v0').reset(seed=0)"
    )
    assert "torch" in loaded
    assert not {name.partition(".")[0] for name in loaded} & {
        "stable_baselines3",
        "tensorboard",
        "matplotlib",
        "sklearn",
    }


def test_every_public_name_can_be_had_from_the_package():
    for name in autoloss_gym.__all__:
        assert getattr(autoloss_gym, name).__name__ == name
