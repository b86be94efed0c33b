"""The texts that the mutations break stand in the code: breaking them takes minutes, by hand."""

import pytest

from tests.mutations.mutations import MUTATIONS, broken
from tests.support.paths import ROOT


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.rule)
def test_every_rule_can_be_broken(mutation):
    text = (ROOT / mutation.file).read_text()
    assert broken(text, mutation.replacements) != text
    names = [name.partition("::")[0] for name in mutation.tests.split()]
    assert all((ROOT / "tests" / name).is_file() for name in names)
