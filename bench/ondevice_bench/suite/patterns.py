"""Matches cell ids with patterns: a glob over the whole id, or a word anywhere in it."""

from collections.abc import Iterable
from fnmatch import fnmatchcase


def matches(cell_id: str, pattern: str) -> bool:
    """`vit_b_32/*/s0` is a glob. `vit`, without `*` or `?`, matches anywhere in the id."""
    if any(mark in pattern for mark in "*?"):
        return fnmatchcase(cell_id, pattern.replace("[", "[[]"))
    return pattern in cell_id


def matches_any(cell_id: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns matches this id."""
    return any(matches(cell_id, pattern) for pattern in patterns)
