"""Layer by layer: the share of its input that a method stores, and the effect on its gradient."""

import re
from typing import Any

from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.report.sections.section import Plot, Section

LAYER_PIXELS, FRAME_PIXELS = 14, 190
MOST_LAYERS = 160


def stored_shares(group: Group) -> Canvas | None:
    """The share of each layer's input that is stored."""
    shares = {member.label: _shares(member) for member in group.members}
    return _heat_map(shares, "stored share", [[0, "#0b3d2e"], [0.5, "#4aa27f"], [1, "#e8f3ee"]])


def gradient_cosines(group: Group) -> Canvas | None:
    """The cosine of each layer's weight gradient with vanilla's, at the first step."""
    cosines = {member.label: _cosines(member) for member in group.members}
    return _heat_map(cosines, "cosine", [[0, "#7a1f12"], [0.5, "#e0916f"], [1, "#f3efe8"]])


def _shares(member: CellWithBaseline) -> dict[str, float]:
    return {
        name: size.stored / size.whole
        for name, layer in member.cell.details_of("trace").treated.items()
        if (size := layer.declared) is not None and size.whole
    }


def _cosines(member: CellWithBaseline) -> dict[str, float]:
    gradients = member.cell.details_of("fidelity").layers.get("_first", {})
    return {
        name: gradient.cosine for name, gradient in gradients.items() if gradient.cosine is not None
    }


def _heat_map(by_cell: dict[str, dict[str, float]], title: str, scale: list[Any]) -> Canvas | None:
    labels = [label for label, values in by_cell.items() if values]
    layers = {name for label in labels for name in by_cell[label]}
    names = sorted(layers, key=_natural)[:MOST_LAYERS]
    if not names:
        return None
    plot = Canvas()
    plot.add(
        "heatmap",
        z=[[by_cell[label].get(name) for label in labels] for name in names],
        x=labels,
        y=names,
        zmin=0,
        zmax=1,
        colorscale=scale,
        colorbar={"title": {"text": title, "side": "right"}, "thickness": 12},
        hovertemplate="%{y}<br>%{x}: %{z:.3f}<extra></extra>",
    )
    plot.lay_out(height=FRAME_PIXELS + LAYER_PIXELS * len(names))
    plot.x_axis(type="category", automargin=True, tickangle=-35)
    plot.y_axis(type="category", autorange="reversed", automargin=True)
    return plot


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """`blocks.2` before `blocks.10`."""
    parts = re.split(r"(\d+)", name)
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]


SECTION = Section(
    name="layers",
    title="Layer by layer",
    plots=(
        Plot(
            "stored-shares",
            "How much of the input of each changed layer is stored: 1 is the whole input.",
            stored_shares,
            is_wide=True,
        ),
        Plot(
            "layer-cosines",
            "Cosine between the weight gradients of the method and of vanilla, for each layer, at "
            "the first step.",
            gradient_cosines,
            is_wide=True,
        ),
    ),
)
