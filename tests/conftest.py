"""Every test checks the shapes and types that the package's annotations promise, on the first calls
of each function and on some of the others, and runs on one thread.

What the package keeps between processes is kept in a folder of the tests.
"""

import os
from collections.abc import Generator, Iterator

import jaxtyping
import pytest
import torch

from tests.support.annotations import Checks, install_checks

torch.set_num_threads(1)
install_checks("autoloss_gym")
# Files whose tests take many seconds each: they begin first, so that none is left alone at the end.
LONGEST = (
    "tests/environment/test_runs.py",
    "tests/contracts/test_random_inputs.py",
    "tests/contracts/test_stored_files.py",
    "tests/studies/",
    "tests/agents/test_installed.py",
    "tests/agents/test_commands.py",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--device", default="cpu", help="where the tests of test_device.py run: cpu or cuda"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    Checks.tests += 1
    return (yield)


@pytest.fixture
def as_users_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the checks of annotations, which would refuse bad types before the package."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture
def device(request: pytest.FixtureRequest) -> str:
    return request.config.getoption("--device")


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One folder for all processes of pytest-xdist, so that each classifier is trained once."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOLOSS_GYM_CACHE", str(folder))
        yield
