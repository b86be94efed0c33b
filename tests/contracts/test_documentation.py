"""What the documentation says is what the code does."""

import dataclasses
import importlib
import importlib.util
import inspect
import re

import gymnasium
import pytest
import yaml

import autoloss_gym
from autoloss_gym import GradientTask
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.registration import TASKS
from tests.support.paths import ROOT
from tests.support.prepared import run_python
from tests.support.variants import task_class

HEADINGS = [
    "Description",
    "Losses",
    "Action Space",
    "Observation Space",
    "Rewards",
    "Starting State",
    "Episode End",
    "Arguments",
    "References",
    "Version History",
]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    ]
}
# Guides whose toy is only there once their diff has been applied, which other tests do.
WITH_A_TOY = ("docs/guides/add_a_task.md",)
PYTHON_BLOCKS = [
    pytest.param(block, id=f"{page}-{number}")
    for page, text in PAGES.items()
    if page not in WITH_A_TOY
    for number, block in enumerate(re.findall(r"```python\n(.+?)```", text, re.DOTALL))
    if not block.startswith("# not run")
]
FOLDERS = "autoloss_gym|agents|benchmarks|docs|examples|studies|tests"


@pytest.mark.parametrize("id", TASKS)
def test_task_docstrings_have_the_headings_in_order(id):
    assert re.findall(r"^\s*## (.+)$", task_class(id).__doc__, re.MULTILINE) == HEADINGS


@pytest.mark.parametrize("id", TASKS)
def test_task_docstrings_name_every_argument(id):
    task = task_class(id)
    arguments = task.__doc__.split("## Arguments")[1].split("## References")[0]
    missing = [
        name
        for name in (field.name for field in dataclasses.fields(task) if field.init)
        if not re.search(rf"\b{name}\b", arguments)
    ]
    assert missing == []


def test_the_vector_environment_documents_every_argument():
    names = list(inspect.signature(AutoLossVectorEnv).parameters)
    assert [name for name in names if f"        {name}:" not in AutoLossVectorEnv.__doc__] == []


def test_the_regression_says_how_many_features_it_has():
    assert "11 numbers" in gymnasium.make("AutoLoss/QuadraticRegression-v1").unwrapped.task.__doc__
    assert gymnasium.make("AutoLoss/QuadraticRegression-v1").observation_space.shape == (11,)
    assert gymnasium.make(
        "AutoLoss/QuadraticRegression-v1", patience=3
    ).observation_space.shape == (12,)


def test_the_released_preset_has_the_settings_of_the_papers_code():
    task = gymnasium.make("AutoLoss/QuadraticRegression-v1", preset="released").unwrapped.task
    assert (task.optimizer.learning_rate, task.max_steps, task.validate_every, task.patience) == (
        5e-4,
        20_000,
        10,
        100,
    )
    assert (task.dimension, task.num_samples, task.noise, task.l1_coefficient) == (
        16,
        200,
        2.0,
        0.2,
    )


def test_the_readme_is_short():
    assert (ROOT / "README.md").stat().st_size <= 6000


def test_the_readme_lists_every_environment():
    cells = re.findall(r"^\| (`AutoLoss/.+?) \|", PAGES["README.md"], re.MULTILINE)
    listed = re.findall(r"`(AutoLoss/.+?)`", " ".join(cells))
    assert sorted(listed) == sorted(TASKS)


def test_the_citation_names_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == autoloss_gym.__version__


@pytest.mark.parametrize(
    "form", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")), ids=lambda form: form.name
)
def test_issue_forms_have_what_github_asks_for(form):
    content = yaml.safe_load(form.read_text())
    assert {"name", "description", "body"} <= content.keys()
    assert all({"type", "attributes"} <= part.keys() for part in content["body"])


@pytest.mark.parametrize("block", PYTHON_BLOCKS)
def test_python_in_the_documentation_runs(block, tmp_path):
    if "torchjd" in block or "AggregationPolicy" in block:
        pytest.importorskip("torchjd")
    block = re.sub(r"total_timesteps=[\d_]+", "total_timesteps=64", block)
    block = block.replace("range(999)", "range(9)").replace("range(500)", "range(50)")
    result = run_python("-W", "error", "-c", block, cwd=tmp_path)
    assert result.returncode == 0, result.stderr


def test_the_guide_shows_the_example_of_an_own_loop_as_it_is():
    example = (ROOT / "examples/own_training_loop.py").read_text()
    assert example in PAGES["docs/guides/own_loop.md"]


def test_the_guide_names_what_the_author_of_a_task_writes():
    table = PAGES["docs/guides/own_task.md"].split("## What to write")[1].split("\n\n")[2]
    named = set(re.findall(r"^\| `(\w+)", table, re.MULTILINE))
    assert named == {name for name in GradientTask.__abstractmethods__ if not name.startswith("_")}


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
        if re.match(r"\w+:", target):
            continue  # another site
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.exists(), target
        if anchor:
            assert anchor in _anchors(path.read_text()), target


def test_every_page_can_be_reached_from_the_readme():
    reached, waiting = set(), ["README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page not in PAGES:
            continue
        reached.add(page)
        for target in re.findall(r"\]\(([^)\s#]+)", PAGES[page]):
            path = ((ROOT / page).parent / target).resolve()
            if path.is_relative_to(ROOT.resolve()):
                waiting.append(str(path.relative_to(ROOT.resolve())))
    unlinked = {page for page in PAGES if page not in reached and "/add_a_" not in page}
    assert unlinked == set()


@pytest.mark.parametrize("page", PAGES)
def test_modules_that_commands_run_exist(page):
    for module in re.findall(r"python -m ([\w.]+)", PAGES[page]):
        assert importlib.util.find_spec(module), module


# Modules for libraries that come with an extra, and which.
NEEDING_MORE = {
    "autoloss_gym.adapters.lightning": "lightning",
    "autoloss_gym.adapters.transformers": "transformers",
}


@pytest.mark.parametrize("page", [page for page in PAGES if page not in WITH_A_TOY])
def test_modules_and_names_of_the_package_exist(page):
    for dotted in re.findall(r"(?<![\w/])autoloss_gym(?:\.\w+)+", PAGES[page]):
        module, names = dotted, []
        while not _is_module(module):
            module, _, name = module.rpartition(".")
            names.insert(0, name)
        if module in NEEDING_MORE:
            pytest.importorskip(NEEDING_MORE[module])
        found = importlib.import_module(module)
        for name in names:
            assert hasattr(found, name), dotted
            found = getattr(found, name)


@pytest.mark.parametrize("page", PAGES)
def test_files_and_folders_that_are_named_exist(page):
    without_links = re.sub(r"\]\([^)]*\)", "", PAGES[page])
    for path in re.findall(rf"(?<![\w./-])((?:{FOLDERS})/[\w./-]*\w/?)", without_links):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("command", ["train_agent.py", "evaluate.py"])
def test_options_of_the_commands_exist(command):
    known = run_python(ROOT / command, "--help").stdout
    for text in PAGES.values():
        for line in text.replace("\\\n", " ").splitlines():
            if not re.match(rf"    (?:for .*)?python (?:\.\./)?{command} ", line):
                continue
            for option in re.findall(r" (--[\w-]+)", line.split("#")[0]):
                assert re.search(rf"{option}\b", known), line


def _anchors(text):
    """The anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    words = [re.sub(r"[^\w\s-]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in words}


def _is_module(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
