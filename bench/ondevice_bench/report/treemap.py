"""Rectangles whose areas are sizes: the squarified treemap of Bruls, Huizing and van Wijk. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Rectangle:
    """A part of the map."""

    x: float
    y: float
    width: float
    height: float


def treemap(sizes: Sequence[float], width: float, height: float) -> tuple[Rectangle, ...]:
    """A rectangle for each size; together they fill the map. All sizes but the last one fall."""
    total = sum(sizes)
    areas = [size / total * width * height for size in sizes]
    left = Rectangle(0.0, 0.0, width, height)
    found: list[Rectangle] = []
    row: list[float] = []
    for area in areas:
        side = min(left.width, left.height)
        if row and _worst([*row, area], side) > _worst(row, side):
            placed, left = _placed(row, left)
            found += placed
            row = []
        row.append(area)
    return (*found, *_placed(row, left)[0])


def _worst(row: Sequence[float], side: float) -> float:
    """The most stretched rectangle of a row along this side; 1 is a square."""
    if side <= 0:
        return float("inf")
    depth = sum(row) / side
    lengths = [area / depth for area in row]
    return max(max(length / depth, depth / length) for length in lengths)


def _placed(row: Sequence[float], left: Rectangle) -> tuple[list[Rectangle], Rectangle]:
    """The row along the shorter side of what is left, and what is left then."""
    side = min(left.width, left.height)
    depth = sum(row) / side if side > 0 else 0.0
    found = []
    offset = 0.0
    for area in row:
        length = area / depth if depth > 0 else 0.0
        if left.width >= left.height:
            found.append(Rectangle(left.x, left.y + offset, depth, length))
        else:
            found.append(Rectangle(left.x + offset, left.y, length, depth))
        offset += length
    if left.width >= left.height:
        rest = Rectangle(left.x + depth, left.y, max(0.0, left.width - depth), left.height)
    else:
        rest = Rectangle(left.x, left.y + depth, left.width, max(0.0, left.height - depth))
    return found, rest
