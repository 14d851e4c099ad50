"""The Pareto front: the points that no other point beats. Pure."""

from collections.abc import Sequence


def front(points: Sequence[Sequence[float]]) -> tuple[bool, ...]:
    """Whether each point is on the front: no other is as small everywhere and smaller somewhere."""
    return tuple(not any(_beats(other, point) for other in points) for point in points)


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
