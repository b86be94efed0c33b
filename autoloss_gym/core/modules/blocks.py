"""Which parameters of a module make up a block, and which blocks a loss updates."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from autoloss_gym.core.loss import BUFFERS
from autoloss_gym.core.modules.template import Template
from autoloss_gym.core.task import Pair
from autoloss_gym.tools.arguments import mapping
from autoloss_gym.tools.names import shown, unknown

Blocks = dict[str, tuple[str, ...]]  # full names of parameters, by block
OWN = "own"  # the block of parameters that belong to the module itself, and to no child
WHOLE = "module"  # the block of all parameters


def blocks_and_pairs(
    template: Template, blocks: Any, pairs: Any, reached: Mapping[str, frozenset[str]]
) -> tuple[Blocks, tuple[Pair, ...]]:
    """Blocks of parameters, and for each loss those that it updates.

    Args:
        template: the module.
        blocks: patterns of parameter names by block; None for a block of each child.
        pairs: blocks by loss; None for those that it depends on.
        reached: parameters on which each loss depends.

    Raises:
        ValueError: a name or pattern means nothing, a parameter is in two blocks or in none, or a
            loss does not depend on a block that it is to update.
    """
    chosen = _of_children(template) if blocks is None else _by_patterns(template, blocks)
    _check_all_are_there(chosen, reached)
    users = {loss: _users(chosen, names) for loss, names in reached.items()}
    if pairs is not None:
        given = _given(pairs, chosen, users)
        return chosen, tuple(Pair(loss, given[loss], cheap=False) for loss in reached)
    if blocks is None:
        chosen = _merged(chosen, users)
        users = {loss: _users(chosen, names) for loss, names in reached.items()}
    return chosen, tuple(Pair(loss, users[loss], cheap=False) for loss in reached)


def _of_children(template: Template) -> Blocks:
    """One block for each child, and one of the parameters that belong to no child."""
    blocks: dict[str, list[str]] = {}
    children = {name for name, _ in template.module.named_children()}
    for name in template.names:
        child = name.partition(".")[0]
        block = child if child in children else OWN
        # A block may not be called as the buffers are.
        block = f"{block}_" if block == BUFFERS else block
        blocks.setdefault(block, []).append(name)
    return {block: tuple(names) for block, names in blocks.items()}


def _by_patterns(template: Template, given: Any) -> Blocks:
    blocks: Blocks = {}
    owner: dict[str, str] = {}
    for block, patterns in mapping("blocks", given).items():
        if block == BUFFERS:
            raise ValueError(f"blocks: {block!r} names the module's buffers; choose another name")
        names = []
        for pattern in _words(f"blocks[{block!r}]", patterns, "patterns such as 'trunk.*'"):
            names += [name for name in _matched(template, pattern) if name not in names]
        for name in names:
            if name in owner:
                raise ValueError(
                    f"blocks: parameter {name!r} is in {owner[name]!r} and in {block!r}; expected "
                    "one block for each parameter: give pairs, in which losses may share blocks"
                )
            owner[name] = block
        blocks[block] = tuple(names)
    if not blocks:
        raise ValueError("blocks={}: expected at least one block, or None for one of each child")
    return blocks


def _matched(template: Template, pattern: str) -> list[str]:
    """Parameters that a pattern, a name or the name of a part of the module stands for."""
    found = []
    for name in (*template.names, *template.shared):
        if fnmatchcase(name, pattern) or name.startswith(f"{pattern}."):
            stands = template.shared.get(name, name)
            if stands in template.names and stands not in found:
                found.append(stands)
    if found:
        return found
    if any(fnmatchcase(name, pattern) for name in template.constants):
        raise ValueError(
            f"blocks: {pattern!r} matches only parameters with requires_grad=False, which are not "
            "trained; leave it out"
        )
    raise ValueError(f"blocks: {unknown('pattern of parameters', pattern, template.names)}")


def _check_all_are_there(blocks: Blocks, reached: Mapping[str, frozenset[str]]) -> None:
    inside = {name for names in blocks.values() for name in names}
    for loss, names in reached.items():
        for name in sorted(names - inside):
            raise ValueError(
                f"blocks: parameter {name!r} is in none, and {loss} depends on it; add a pattern "
                "for it, or freeze it in the factory with requires_grad_(False)"
            )


def _users(blocks: Blocks, reached: frozenset[str]) -> tuple[str, ...]:
    """The blocks of which a loss depends on some parameter."""
    return tuple(block for block, names in blocks.items() if reached.intersection(names))


def _merged(blocks: Blocks, users: Mapping[str, tuple[str, ...]]) -> Blocks:
    """Blocks that the same losses update as one: an optimizer's step costs as much for each."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for block in blocks:
        losses = tuple(loss for loss, used in users.items() if block in used)
        if losses:  # what no loss depends on is not trained
            groups.setdefault(losses, []).append(block)
    merged: Blocks = {}
    for members in groups.values():
        name = WHOLE if len(groups) == 1 and len(members) > 1 else "+".join(members)
        merged[name] = tuple(each for member in members for each in blocks[member])
    return merged


def _given(
    pairs: Any, blocks: Blocks, users: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """The blocks that the user names for each loss."""
    given = {}
    for loss, names in mapping("pairs", pairs).items():
        if loss not in users:
            raise ValueError(f"pairs: {unknown('loss', loss, users)}")
        words = _words(f"pairs[{loss!r}]", names, "names of blocks")
        for name in words:
            if name not in blocks:
                raise ValueError(f"pairs[{loss!r}]: {unknown('block', name, blocks)}")
            if name not in users[loss]:
                raise ValueError(
                    f"pairs[{loss!r}]: the loss does not depend on block {name!r}; it depends on "
                    f"{', '.join(users[loss])}"
                )
        given[loss] = words
    missing = [loss for loss in users if loss not in given]
    if missing:
        raise ValueError(
            f"pairs has no {', '.join(map(repr, missing))}; expected the blocks of every loss, or "
            "None for those that it depends on"
        )
    return given


def _words(name: str, given: Any, what: str) -> tuple[str, ...]:
    """One word, or several in a tuple or list."""
    words: Sequence[Any] = (given,) if isinstance(given, str) else given
    if not (isinstance(words, tuple | list) and words and all(isinstance(x, str) for x in words)):
        raise ValueError(f"{name}={shown(given)}: expected {what}, one or a tuple of them")
    return tuple(dict.fromkeys(words))
