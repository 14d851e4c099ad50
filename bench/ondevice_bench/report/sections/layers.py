"""Layer by layer: the share of its input that a method stores, and the effect on its gradient."""

from collections.abc import Callable, Sequence
from typing import Any

from ondevice_bench.analyse.gradient import (
    cosine_text,
    gradient_quality,
    lowest_cosine_of_layers,
)
from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.analyse.verdict import first
from ondevice_bench.report.judge import Judge
from ondevice_bench.report.module_names import short_names
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.report.sections.section import Plot, Section
from ondevice_bench.report.sentences import LISTED, SENTENCES, of_goal
from ondevice_bench.units import natural_key

LAYER_PIXELS, FRAME_PIXELS = 14, 190
MOST_LAYERS = 160
SAME = 5e-4  # the map shows three digits
LONGEST = 36  # characters of a layer's name beside the map
LOW = 0.9  # the cosine below which a layer is counted
HINT = "The tooltip has the whole name."
NAMES = "Short names leave out words that do not help to tell layers apart."


def stored_shares(group: Group) -> Canvas | None:
    """The share of each layer's input that is stored."""
    shares = _by_label(group, _shares)
    highest = max((share for each in shares.values() for share in each.values()), default=1.0)
    # most colours are for small shares: 0.003 and 0.1 would look like 0 on an even scale
    scale = [[0, "#f2faf6"], [0.02, "#d3e9de"], [0.1, "#a3cfb9"], [0.4, "#4d9876"], [1, "#0b5d3f"]]
    return _heat_map(shares, "stored share", scale, min(highest, 1.0))


def gradient_cosines(group: Group) -> Canvas | None:
    """The lowest cosine of each layer's weight gradient with vanilla's, over all moments."""
    scale = [[0, "#7a1f12"], [0.5, "#d98a63"], [1, "#f6ede4"]]
    return _heat_map(_by_label(group, _cosines), "lowest cosine", scale)


def says_stored(group: Group, judge: Judge) -> str:
    """The cell that stores the smallest share, among most cells that change the same layers.

    The shares of different layers cannot be compared.
    """
    shown = _by_label(group, _shares)
    members = [member for member in group.members if member.label in shown]
    by_layers: dict[frozenset[str], list[CellWithBaseline]] = {}
    for member in members:
        by_layers.setdefault(frozenset(_sizes(member)), []).append(member)
    most = max(by_layers.values(), key=len, default=[])
    if not most or len(most) == 1 < len(members):
        return ""

    def text(member: CellWithBaseline) -> str:
        return f"{100 * _share(member):.1f} %"

    least = text(min(most, key=_share))
    cells = judge.names([member for member in most if text(member) == least], LISTED)
    lines = [
        SENTENCES["stored"].format(cells=cells, share=least),
        of_goal(most, judge, "share", _share, text),
    ]
    if len(most) < len(members):
        compared = first([member.label for member in most], LISTED)
        lines.append(SENTENCES["same layers"].format(cells=compared))
    return "\n".join(filter(None, lines))


def _share(member: CellWithBaseline) -> float:
    """The share of the inputs of all changed layers that is stored."""
    stored, whole = (sum(part) for part in zip(*_sizes(member).values(), strict=True))
    return float(stored / whole)


def says_cosines(group: Group) -> str:
    """The layer with the lowest cosine, and its cell: all numbers are the lowest, as on the map."""
    shown = _by_label(group, _cosines)
    found = [
        (cosine, layer, place)
        for place, member in enumerate(group.members)
        if member.label in shown
        for layer, cosine in shown[member.label].items()
    ]
    if not found:
        return ""
    cosine, layer, place = min(found)
    member = group.members[place]
    text = SENTENCES["cosine"].format(layer=layer, cell=member.label, value=cosine_text(cosine))
    together, others = gradient_quality(member).lowest, shown[member.label].values()
    if together is None or len(others) < 2:
        return text
    whole = SENTENCES["cosine of all"].format(
        value=cosine_text(together),
        count=sum(each < LOW for each in others),
        layers=len(others),
        limit=LOW,
    )
    return f"{text}\n{whole}"


def _by_label(
    group: Group, values_of: Callable[[CellWithBaseline], dict[str, float]]
) -> dict[str, dict[str, float]]:
    """The values of each cell, without cells that have 1 everywhere."""
    by_label = {member.label: values_of(member) for member in group.members}
    return {
        label: values
        for label, values in by_label.items()
        if any(abs(value - 1) > SAME for value in values.values())
    }


def _sizes(member: CellWithBaseline) -> dict[str, tuple[int, int]]:
    """What each layer stores of its input, and the whole input."""
    return {
        name: (size.stored, size.whole)
        for name, layer in member.cell.details_of("trace").treated.items()
        if (size := layer.declared) is not None and size.whole
    }


def _shares(member: CellWithBaseline) -> dict[str, float]:
    return {name: stored / whole for name, (stored, whole) in _sizes(member).items()}


def _cosines(member: CellWithBaseline) -> dict[str, float]:
    return {name: cosine for name, (cosine, _) in lowest_cosine_of_layers(member).items()}


def _heat_map(
    by_cell: dict[str, dict[str, float]], title: str, scale: list[Any], end: float = 1.0
) -> Canvas | None:
    """A column for each cell, a row for each layer. The colours go from 0 to `end`."""
    labels = [label for label, values in by_cell.items() if values]
    layers = {name for label in labels for name in by_cell[label]}
    names = sorted(layers, key=natural_key)[:MOST_LAYERS]
    if not names:
        return None
    short = short_names(names)
    plot = Canvas()
    plot.add(
        "heatmap",
        z=[[by_cell[label].get(name) for label in labels] for name in names],
        x=labels,
        y=names,
        zmin=0,
        zmax=end,
        colorscale=scale,
        colorbar={"title": {"text": title, "side": "right"}, "thickness": 12},
        hovertemplate="%{y}<br>%{x}: %{z:.3f}<extra></extra>",
    )
    _hatch(plot, [(label, n) for n in names for label in labels if n not in by_cell[label]])
    plot.lay_out(height=FRAME_PIXELS + LAYER_PIXELS * len(names), showlegend=False)
    plot.x_axis(type="category", automargin=True, tickangle=-35, side="top", showgrid=False)
    plot.y_axis(
        type="category",
        showgrid=False,
        autorange="reversed",
        automargin=True,
        tickvals=names,
        ticktext=[_cut(short[name]) for name in names],
    )
    return plot


def _hatch(plot: Canvas, places: Sequence[tuple[str, str]]) -> None:
    """A stroke if the method does not change the layer, or has no number."""
    if places:
        plot.add(
            "scatter",
            x=[label for label, _ in places],
            y=[name for _, name in places],
            mode="markers",
            marker={"symbol": "line-ne-open", "size": 9, "color": "rgba(128,128,128,0.6)"},
            hovertemplate="%{y}<br>%{x}: no number<extra></extra>",
        )


def _cut(name: str) -> str:
    """The name without its middle, if it is still too long."""
    if len(name) <= LONGEST:
        return name
    half = (LONGEST - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


def plots(judge: Judge) -> tuple[Plot, ...]:
    """What is stored of each layer's input, and each layer's gradient."""
    return (
        Plot(
            "stored-shares",
            "How much of the input of each changed layer is stored: 1 is the whole input. Dark is "
            "more; most colours are for small shares. The scale ends at the highest share, or at "
            "1: values above 1 look like 1. A stroke means that the method does not change the "
            f"layer. {NAMES} At most {MOST_LAYERS} layers are drawn.",
            stored_shares,
            is_wide=True,
            says=lambda group: says_stored(group, judge),
            hint=HINT,
        ),
        Plot(
            "layer-cosines",
            "Cosine between the weight gradients of the method and of plain training, for each "
            "layer. Map and title have the lowest of three comparisons. At steps 1 and 10, both "
            "have the same weights. At step 1, the third comparison is with the uncompressed "
            "network. Dark is worse, and values below 0 look like 0. A stroke means that there is "
            f"no number. Methods with the exact gradient are left out. {NAMES} At most "
            f"{MOST_LAYERS} layers are drawn.",
            gradient_cosines,
            is_wide=True,
            says=says_cosines,
            hint=HINT,
        ),
    )


SECTION = Section(name="layers", title="Layer by layer", plots_of=lambda data: plots(data.judge))
