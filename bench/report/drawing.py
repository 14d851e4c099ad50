"""How plots look: colours, axes, and plotly's JSON with every array stored once."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.analyse.groups import Member
from bench.record import metrics
from bench.stats import Estimate
from bench.units import MIB

if TYPE_CHECKING:
    import plotly.graph_objects as go

# one colour per method and per part, everywhere, for ever (Okabe and Ito's palette, and three more)
METHOD_COLOURS = {
    "vanilla": "#0072B2",
    "gradient_filter": "#F0E442",
    "svd": "#56B4E9",
    "hosvd": "#CC79A7",
    "asi": "#009E73",
    "wsi": "#E69F00",
    "wasi": "#D55E00",
    "lora": "#7F5AB6",
    "checkpoint": "#8C6D31",
    "microbatch": "#5B7083",
    "saved_bf16": "#A0A0A0",
}
OTHER_COLOUR = "#888888"
SHARED = 24  # characters from which on a part is stored apart
ROW_PIXELS, FRAME_PIXELS = 30, 110
SCALES = {"bytes": (1 / MIB, "MiB"), "seconds": (1e3, "ms"), "flops": (1e-9, "GFLOP")}


def colour(method: str) -> str:
    """The method's own colour; one grey for what nobody has named."""
    return METHOD_COLOURS.get(method, OTHER_COLOUR)


def axis_of(metric: str) -> tuple[float, str]:
    """What a metric is multiplied with for an axis, and the axis's title."""
    described = metrics.BY_NAME[metric]
    scale, unit = SCALES.get(described.unit, (1.0, described.unit))
    return scale, f"{described.label}, {unit}" if unit else described.label


def bars(
    plot: "go.Figure", members: Sequence[Member], metric: str, shade: str, name: str = ""
) -> None:
    """One part of a stack over the members that have it; none where it is nothing everywhere."""
    having = [member for member in members if metric in member.cell.estimates]
    if not any(member.cell.estimates[metric].estimate for member in having):
        return
    scale, _ = axis_of(metric)
    plot.add_bar(
        x=[member.cell.estimates[metric].estimate * scale for member in having],
        y=[member.label for member in having],
        orientation="h",
        name=name or metrics.BY_NAME[metric].label,
        marker={"color": shade},
        hovertemplate="%{y}<br>%{x:.4g}<extra>%{fullData.name}</extra>",
    )


def stacked(members: Sequence[Member], colours: Mapping[str, str], title: str) -> "go.Figure":
    """The metrics of each member end to end, in their order."""
    plot = new_plot()
    for name, shade in colours.items():
        bars(plot, members, name, shade)
    return rows(plot, members, title)


def error_bars(estimates: Sequence[Estimate], scale: float) -> dict[str, Any]:
    """Intervals; none is drawn where there is none."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [None if e.upper is None else (e.upper - e.estimate) * scale for e in estimates],
        "arrayminus": [
            None if e.lower is None else (e.estimate - e.lower) * scale for e in estimates
        ],
        "thickness": 1.5,
        "width": 4,
    }


def rows(plot: "go.Figure", members: Sequence[Member], title: str) -> "go.Figure":
    """One row for each member, the first at the top."""
    labels = [member.label for member in members]
    plot.update_layout(height=FRAME_PIXELS + ROW_PIXELS * len(labels), barmode="relative")
    plot.update_xaxes(title=title, rangemode="tozero")
    plot.update_yaxes(
        type="category", categoryorder="array", categoryarray=labels[::-1], automargin=True
    )
    return plot


def new_plot() -> "go.Figure":
    """An empty figure."""
    import plotly.graph_objects as go

    return go.Figure()


class Pool:
    """Every array of the page's figures, and every part of their looks, each once."""

    def __init__(self) -> None:
        self.arrays: list[str] = []
        self._places: dict[str, int] = {}

    def packed(self, plot: "go.Figure") -> dict[str, Any]:
        """The figure as plain values, its arrays by their place in the pool."""
        plot.update_layout(
            margin={"l": 8, "r": 16, "t": 8, "b": 44},
            legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "xanchor": "left"},
            font={"family": "inherit", "size": 12},
            paper_bgcolor="rgba(0,0,0,0)",
            plot_bgcolor="rgba(0,0,0,0)",
            template=None,
        )
        for update in (plot.update_xaxes, plot.update_yaxes):
            update(gridcolor="rgba(128,128,128,0.22)", zerolinecolor="rgba(128,128,128,0.4)")
        plain = plot.to_plotly_json()
        for trace in plain["data"]:
            trace.pop("uid", None)
        return {name: self._packed(part) for name, part in plain.items()}

    def _packed(self, value: Any) -> Any:
        if isinstance(value, dict):
            packed = {key: self._packed(item) for key, item in value.items()}
            text = json.dumps(packed)
            return {"$": self._place(text)} if len(text) > SHARED else packed
        if isinstance(value, (list, tuple)) or hasattr(value, "tolist"):
            items = value.tolist() if hasattr(value, "tolist") else list(value)
            if any(isinstance(item, (dict, list, tuple)) for item in items):
                return [self._packed(item) for item in items]
            return {"$": self._place(json.dumps([_short(item) for item in items]))}
        return value

    def _place(self, text: str) -> int:
        if text not in self._places:
            self._places[text] = len(self.arrays)
            self.arrays.append(text)
        return self._places[text]


def _short(value: Any) -> Any:
    """Five digits are more than a screen shows."""
    return float(f"{value:.5g}") if isinstance(value, float) else value
