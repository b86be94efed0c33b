"""The texts that `mutations.py` breaks stand in the code: the script itself takes minutes and is
run by hand.
"""

import pytest

from tests.mutations.mutations import MUTATIONS, ROOT, broken


@pytest.mark.parametrize(
    ("rule", "file", "replacements", "tests"), MUTATIONS, ids=[rule for rule, *_ in MUTATIONS]
)
def test_every_rule_can_be_broken(rule, file, replacements, tests):
    text = (ROOT / file).read_text()
    assert broken(text, replacements) != text
    assert all((ROOT / "tests" / name.partition("::")[0]).is_file() for name in tests.split())
