"""A step asks nothing of the device: every place where the host waits is known, with its reason."""

from collections import Counter

import pytest

from tests.support.host_waits import found
from tests.support.known_waits import KNOWN_WAITS, PACKAGE, modules_of_a_step

WAITS_IN_WORDS = {
    "item": "def f(x): return x.mean().item()",
    "tolist": "def f(x): return x.tolist()",
    "cpu": "class A:\n def f(self, x): return self.g(x.cpu())",
    "numpy": "def f(x): return [y.numpy() for y in x]",
    "nonzero": "def f(x): return torch.nonzero(x)",
    "linalg": "def f(x): return torch.linalg.eigvalsh(x)",
    "number": "def f(x): return bool(x.any())",
    "condition": "def f(x):\n if not torch.isfinite(x).all(): return x",
    "mask": "def f(x): return x[x > 0]",
    "upload": "def f(x): return torch.tensor([1.0], device=x.device)",
}
MASKS = [
    "def f(x): return x[:, ~x.bad]",
    "def f(x, mask: Bool[Tensor, ' runs']): return x[mask]",
    "def f(x):\n mask = torch.isnan(x).any(dim=1)\n x[mask] = 0",
    "def f(x):\n mask = x.a & x.b\n return [y[mask] for y in x]",
]
NO_WAITS = [
    "def f(x): return np.flatnonzero(x).item",
    "def f(x, rows: Int64[Tensor, ' runs']): return x[rows]",
    "def f(x: dict[str, Tensor | None]) -> list[Tensor | None]: return float(x)",
    "def f(x):\n if len(x) == 1: return torch.where(x > 0, x, 0.0).any(dim=1)",
    "Names = dict[str, int | None]",
]


@pytest.mark.parametrize("kind", WAITS_IN_WORDS)
def test_a_wait_of_each_kind_is_seen(kind):
    assert [seen for _, seen in found(WAITS_IN_WORDS[kind])] == [kind]


@pytest.mark.parametrize("source", MASKS)
def test_an_index_that_is_a_mask_is_seen(source):
    assert found(source) == [("f", "mask")]


@pytest.mark.parametrize("source", NO_WAITS)
def test_what_stays_on_the_host_or_on_the_device_is_no_wait(source):
    assert found(source) == []


def test_functions_are_named_with_their_class_and_without_functions_within_them():
    source = "class A:\n def f(self):\n  def g(x): return x.item()\n  return lambda x: x.cpu()"
    assert found(source) == [("A.f", "item"), ("A.f", "cpu")]


def test_every_wait_of_the_host_is_known_with_its_reason():
    """A new one must be avoided, or stand in `tests.support.known_waits` with its reason."""
    files = modules_of_a_step()
    seen = {file: Counter(found((PACKAGE / file).read_text())) for file in files}
    known: dict[str, Counter[tuple[str, str]]] = {file: Counter() for file in files}
    for each in KNOWN_WAITS:
        known[each.file].update((each.function, kind) for kind in each.kinds.split())
    assert seen == known


def test_every_known_wait_lies_on_the_way_of_a_step():
    assert {each.file for each in KNOWN_WAITS} <= set(modules_of_a_step())
    assert all(each.reason for each in KNOWN_WAITS)
