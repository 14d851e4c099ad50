"""Layer by layer: the share of its input that a method stores, and the effect on its gradient."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from ondevice_bench.analyse.gradient import cosine_text, lowest_cosine_of_layers
from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.report.sections.section import Plot, Section
from ondevice_bench.report.sentences import SENTENCES
from ondevice_bench.units import natural_key

LAYER_PIXELS, FRAME_PIXELS = 14, 190
MOST_LAYERS = 160
SAME = 5e-4  # the map shows three digits
LONGEST = 26  # characters of a layer's name beside the map


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
    label = min(most, key=most.__getitem__)
    among = "" if len(most) == len(sizes) else ", among those that change the same layers"
    return SENTENCES["stored"].format(cell=label, share=f"{100 * most[label]:.1f} %", among=among)


def says_cosines(group: Group) -> str:
    """The layer with the lowest cosine."""
    shown = _by_label(group, _cosines)
    found = [
        (cosine, layer, member.label, moment)
        for member in group.members
        if member.label in shown
        for layer, (cosine, moment) in lowest_cosine_of_layers(member).items()
    ]
    if not found:
        return ""
    cosine, layer, label, moment = min(found)
    return SENTENCES["cosine"].format(
        layer=layer, cell=label, value=cosine_text(cosine), moment=moment
    )


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
        ticktext=[_short(name) for name in names],
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


def _short(name: str) -> str:
    """The name without its middle, if it is long: the number and the last words tell most."""
    if len(name) <= LONGEST:
        return name
    first, *rest = re.split(r"(?<=\d)\.", name, maxsplit=1)
    room = LONGEST - len(first) - 1
    if rest and room > 0:
        words = rest[0].split(".")
        ends = (".".join(words[at:]) for at in range(1, len(words) - 1))
        end = next((each for each in ends if len(each) <= room), rest[0][-room:])
        return f"{first}…{end}"
    half = (LONGEST - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


SECTION = Section(
    name="layers",
    title="Layer by layer",
    plots=(
        Plot(
            "stored-shares",
            "How much of the input of each changed layer is stored: 1 is the whole input. Dark is "
            "more. The colours end at the largest share here, or at 1. A stroke means that the "
            f"method does not change the layer. At most {MOST_LAYERS} layers are drawn.",
            stored_shares,
            is_wide=True,
            says=says_stored,
        ),
        Plot(
            "layer-cosines",
            "Cosine between the weight gradients of the method and of vanilla, for each layer: the "
            "lowest value of all comparisons. Dark is worse. All values below 0 have the darkest "
            "colour. Methods with the exact gradient are left out. At most "
            f"{MOST_LAYERS} layers are drawn.",
            gradient_cosines,
            is_wide=True,
            says=says_cosines,
        ),
    ),
)
