"""Layer by layer: the share of its input that a method stores, and the effect on its gradient."""

from collections.abc import Callable, Sequence
from typing import Any

from ondevice_bench.analyse.gradient import (
    MOMENTS,
    cosine_text,
    cosines_of_layers,
    lowest_cosine_of_layers,
)
from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.analyse.verdict import first
from ondevice_bench.report.module_names import short_names
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.report.sections.section import Plot, Section
from ondevice_bench.report.sentences import LISTED, SENTENCES
from ondevice_bench.units import natural_key

LAYER_PIXELS, FRAME_PIXELS = 14, 190
MOST_LAYERS = 160
SAME = 5e-4  # the map shows three digits
LONGEST = 36  # characters of a layer's name beside the map
LOW = 0.9  # the cosine below which a layer is counted
HINT = "The tooltip has the whole name."
NAMES = "A name leaves out the words that tell no layers apart."


def stored_shares(group: Group) -> Canvas | None:
    """The share of each layer's input that is stored."""
    shares = _by_label(group, _shares)
    highest = max((share for each in shares.values() for share in each.values()), default=1.0)
    scale = [[0, "#e3f1ea"], [1, "#0b5d3f"]]
    return _heat_map(shares, "stored share", scale, min(highest, 1.0))


def gradient_cosines(group: Group) -> Canvas | None:
    """The lowest cosine of each layer's weight gradient with vanilla's, over all moments."""
    scale = [[0, "#7a1f12"], [0.5, "#d98a63"], [1, "#f6ede4"]]
    return _heat_map(_by_label(group, _cosines), "lowest cosine", scale)


def says_stored(group: Group) -> str:
    """The cell that stores the smallest share, among most cells that change the same layers.

    The shares of different layers cannot be compared.
    """
    shown = _by_label(group, _shares)
    sizes = {m.label: _sizes(m) for m in group.members if m.label in shown}
    by_layers: dict[frozenset[str], dict[str, float]] = {}
    for label, of_cell in sizes.items():
        stored, whole = (sum(part) for part in zip(*of_cell.values(), strict=True))
        by_layers.setdefault(frozenset(of_cell), {})[label] = stored / whole
    most = max(by_layers.values(), key=len, default={})
    if not most or len(most) == 1 < len(sizes):
        return ""
    shares = {label: f"{100 * share:.1f} %" for label, share in most.items()}
    least = shares[min(most, key=most.__getitem__)]
    cells = [label for label, share in shares.items() if share == least]
    text = SENTENCES["stored"].format(cells=first(cells, LISTED), share=least)
    return text if len(most) == len(sizes) else f"{text}\n{SENTENCES['same layers']}"


def says_cosines(group: Group) -> str:
    """The layer with the lowest cosine, and what all layers have together at the same moment."""
    shown = _by_label(group, _cosines)
    found = [
        (cosine, layer, place, metric)
        for place, member in enumerate(group.members)
        if member.label in shown
        for layer, (cosine, metric) in lowest_cosine_of_layers(member).items()
    ]
    if not found:
        return ""
    cosine, layer, place, metric = min(found)
    member = group.members[place]
    text = SENTENCES["cosine"].format(
        layer=layer, cell=member.label, value=cosine_text(cosine), moment=_moment(metric)
    )
    together = member.cell.estimates.get(metric)
    others = cosines_of_layers(member, metric)
    if together is None or len(others) < 2:
        return text
    whole = SENTENCES["cosine of all"].format(
        value=cosine_text(together.estimate),
        count=sum(each < LOW for each in others),
        layers=len(others),
        limit=LOW,
    )
    return f"{text}\n{whole}"


def _moment(metric: str) -> str:
    """The moment of a comparison, and the network on its other side."""
    words = MOMENTS[metric]
    return words if "against" in words else f"{words}, against plain training with the same weights"


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
    plot.x_axis(type="category", automargin=True, tickangle=-35, showgrid=False)
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


SECTION = Section(
    name="layers",
    title="Layer by layer",
    plots=(
        Plot(
            "stored-shares",
            "How much of the input of each changed layer is stored: 1 is the whole input. Dark is "
            "more, and values above 1 look like 1. A stroke means that the method does not change "
            f"the layer. {NAMES} At most {MOST_LAYERS} layers are drawn.",
            stored_shares,
            is_wide=True,
            says=says_stored,
            hint=HINT,
        ),
        Plot(
            "layer-cosines",
            "Cosine between the weight gradients of the method and of plain training, for each "
            "layer: the lowest of three comparisons. At steps 1 and 10, both have the same "
            "weights. At step 1, the third comparison is with the uncompressed network. Dark is "
            "worse, and values below 0 look like 0. A stroke means that there is no number. "
            f"Methods with the exact gradient are left out. {NAMES} At most "
            f"{MOST_LAYERS} layers are drawn.",
            gradient_cosines,
            is_wide=True,
            says=says_cosines,
            hint=HINT,
        ),
    ),
)
