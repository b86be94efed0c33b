"""Blocks that are made when they are asked for."""

import pytest

from autoloss_gym.core.blocks import OnDemand


def test_a_block_is_made_once_and_only_if_it_is_asked_for():
    made = []

    def make(name):
        made.append(name)
        return name.upper()

    blocks = OnDemand(("a", "b"), make)
    assert list(blocks) == ["a", "b"]
    assert made == []
    assert blocks["b"] == blocks["b"] == "B"
    assert made == ["b"]
    assert dict(blocks) == {"a": "A", "b": "B"}
    assert "c" not in blocks
    with pytest.raises(KeyError):
        blocks["c"]
