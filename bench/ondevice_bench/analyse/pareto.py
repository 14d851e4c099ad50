"""The Pareto front: the points that no other point beats. Pure."""

from collections.abc import Sequence
from math import inf


def front(points: Sequence[tuple[float, float]]) -> tuple[bool, ...]:
    """Whether each point is on the front: no other is as small in both and smaller in one."""
    lowest: dict[float, float] = {}  # the second number, by the first
    for one, other in points:
        lowest[one] = min(lowest.get(one, inf), other)
    is_best, least = {}, inf
    for one in sorted(lowest):
        is_best[one] = lowest[one] < least
        least = min(least, lowest[one])
    return tuple(is_best[one] and other == lowest[one] for one, other in points)
