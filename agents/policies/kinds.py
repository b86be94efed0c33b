"""Rows of the table of policies, and a policy that was read by one; imports nothing slow."""

import importlib
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import OwnClass, Reader
from .stored_paths import Trained

if TYPE_CHECKING:
    from autoloss_gym.controllers.policy import Policy

    from .policy import Candidates, Setting

# Installed, the package that holds `policies` is autoloss_gym.agents.
_APPLICATION = __package__.rpartition(".")[0]
_WIDTH = 100  # of the help text


@dataclass(frozen=True)
class Kind:
    """A row of the table.

    Args:
        name: the word before the colon.
        form: the ways to write it, for the help and for errors.
        help: the sentence that the help says about it.
        read: from the text after the colon to the value that the policy is built from; ValueError
            with the reason if that is not possible.
        builder: dotted name of (specification, setting) → policy or candidates, as module:function
            below `agents`.
    """

    name: str
    form: str
    help: str
    read: Reader
    builder: str


@dataclass(frozen=True)
class RuleKind(Kind):
    """A row of a weighting rule.

    Args:
        rule: its class, or a method of it that makes one, as module:Class or module:Class.method
            below `autoloss_gym.weightings`.
    """

    rule: str


@dataclass(frozen=True)
class Specification:
    """A policy as it was written, with its argument read.

    Args:
        text: what was written.
        kind: its row of the table.
        value: what the row's reader made of its argument.
    """

    text: str
    kind: Kind
    value: Any

    @property
    def zip_file(self) -> Path | None:
        """The model of Stable-Baselines3 that it names, if it names one."""
        return self.value.zip_file if isinstance(self.value, Trained) else None

    @property
    def own_module(self) -> str | None:
        """The module of the user's that building it imports, if it names one."""
        return self.value.module if isinstance(self.value, OwnClass) else None

    def build(self, setting: "Setting") -> "Policy | Candidates":
        """What it stands for; ValueError where the task does not have what it names."""
        module, _, function = self.kind.builder.partition(":")
        builder = getattr(importlib.import_module(f"{_APPLICATION}.{module}"), function)
        return builder(self, setting)


def help_text(kinds: Iterable[Kind], note: str) -> str:
    """All rows, each form above its explanation, and a note; rows that read the same are one."""
    lines = []
    for form, explanation in dict.fromkeys((kind.form, kind.help) for kind in kinds):
        lines += _wrapped(form, first=2, rest=4)
        lines += _wrapped(explanation, first=6, rest=6)
    lines += _wrapped(note, first=2, rest=2)
    return "\n".join(lines)


def _wrapped(text: str, first: int, rest: int) -> list[str]:
    """Lines with so many columns of indentation for the first and for the others."""
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=" " * first,
        subsequent_indent=" " * rest,
        break_on_hyphens=False,
    )
