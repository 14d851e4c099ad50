"""Matches cell ids with patterns: a glob over the whole id, or a word anywhere in it."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase


def matches(cell_id: str, pattern: str) -> bool:
    """`vit_b_32/*/s0` is a glob. `vit`, without `*` or `?`, matches anywhere in the id.

    A number at an end of such a word is a whole number: `s1` is not found in `s10`, `alpha=8` is
    not found in `alpha=8.5`, and `rank=4` is not found in `rank=4x8`.
    """
    if any(mark in pattern for mark in "*?"):
        return fnmatchcase(cell_id, pattern.replace("[", "[[]"))
    if pattern not in cell_id:
        return False
    start = r"(?<!\d)(?<!\d[.x])" if pattern[:1].isdigit() else ""
    end = r"(?!\d|\.0*[1-9]|x\d|e[-+]?\d)" if pattern[-1:].isdigit() else ""
    return re.search(f"{start}{re.escape(pattern)}{end}", cell_id) is not None


def matches_any(cell_id: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns matches this id."""
    return any(matches(cell_id, pattern) for pattern in patterns)
