"""What no other choice beats in everything. Pure."""

from collections.abc import Sequence


def front(points: Sequence[Sequence[float]]) -> tuple[bool, ...]:
    """For each point whether none is as small in every coordinate and smaller in one."""
    return tuple(not any(_beats(other, point) for other in points) for point in points)


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
