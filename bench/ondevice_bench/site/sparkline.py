"""A metric over the runs as a small drawing in SVG: a line, its intervals, its changes."""

from collections.abc import Sequence
from dataclasses import dataclass

from ondevice_bench import metrics
from ondevice_bench.analyse.series import Series

WIDTH, HEIGHT, MARGIN = 240.0, 44.0, 7.0
MOST_POINTS = 160  # more points are drawn as the lowest and the highest of each column
LEAST_SPAN = 0.1  # a share of a noisy metric's middle value: noise must not fill the whole height


@dataclass(frozen=True)
class Mark:
    """A triangle at the first run after a change. It points up if the number rose."""

    tone: str
    points: str


@dataclass(frozen=True)
class Sparkline:
    """The points that the template draws, as text for SVG."""

    line: str
    band: str
    marks: tuple[Mark, ...]
    last: tuple[str, str]


def sparkline(series: Series, runs: int) -> Sparkline:
    """The drawing of a series in a history with `runs` runs."""
    lows = [_or(p.estimate.lower, p.estimate.estimate) for p in series.points]
    highs = [_or(p.estimate.upper, p.estimate.estimate) for p in series.points]
    middle = [p.estimate.estimate for p in series.points]
    bottom, top = min(lows), max(highs)
    if metrics.BY_NAME[series.metric].kind == "noisy":
        least = LEAST_SPAN * abs(sorted(middle)[len(middle) // 2])
        grow = max(0.0, least - (top - bottom)) / 2
        bottom, top = bottom - grow, top + grow

    def x(place: int) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * (place / (runs - 1) if runs > 1 else 0.5)

    def y(value: float) -> float:
        share = (value - bottom) / (top - bottom) if top > bottom else 0.5
        return HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * share

    places = [x(point.place) for point in series.points]
    line = _thinned(list(zip(places, map(y, middle), strict=True)))
    upper = _thinned(list(zip(places, map(y, highs), strict=True)))
    lower = _thinned(list(zip(places, map(y, lows), strict=True)))
    marks = tuple(
        _mark(
            _tone(change.kind, is_better=change.is_better),
            x(change.after.place),
            y(change.after.estimate.estimate),
            up=change.after.estimate.estimate > change.before.estimate.estimate,
        )
        for change in series.changes
        if change.kind != "drifts"
    )
    has_band = any(low != high for low, high in zip(lows, highs, strict=True))
    return Sparkline(
        line=_text(line),
        band=_text([*upper, *reversed(lower)]) if has_band else "",
        marks=marks,
        last=(f"{places[-1]:.1f}", f"{y(middle[-1]):.1f}"),
    )


def _or(bound: float | None, value: float) -> float:
    return value if bound is None else bound


def _tone(kind: str, *, is_better: bool) -> str:
    if kind == "pending":
        return "pending"
    return "better" if is_better else "worse"


def _mark(tone: str, x: float, y: float, *, up: bool) -> Mark:
    way = -1 if up else 1
    corners = ((x, y + 6 * way), (x - 5, y - 3 * way), (x + 5, y - 3 * way))
    return Mark(tone, _text(corners))


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most `MOST_POINTS` points: the lowest and the highest of each column, in their order."""
    if len(points) <= MOST_POINTS:
        return list(points)
    size = -(-len(points) * 2 // MOST_POINTS)
    thin: list[tuple[float, float]] = []
    for start in range(0, len(points), size):
        column = points[start : start + size]
        ends = {min(column, key=lambda each: each[1]), max(column, key=lambda each: each[1])}
        thin += sorted(ends)
    return thin


def _text(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
