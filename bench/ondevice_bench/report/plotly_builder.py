"""Figures as plain values of plotly."""

from array import array
from collections.abc import Mapping
from typing import Any, Literal

NAMES_IN_A_ROW = 3  # of a legend, at least: a wide figure has more
CHECKED = 30  # items of a list that plotly checks
# left of an axis of numbers, for its title and its longest number. With `automargin` plotly lays
# out a figure twice, so only axes of names have it.
NUMBERS_PIXELS = 68
FRAME: dict[str, Any] = {
    "height": 320,  # the page keeps this place before it draws the figure
    "margin": {"l": NUMBERS_PIXELS, "r": 16, "t": 8, "b": 44},
    "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "xanchor": "left"},
    "font": {"family": "inherit", "size": 12},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
}
BAND, BANDS = "band", "bands"  # annotations that the page's script moves
NAME_PIXELS = 12  # the height of a row of names of bands
LIMIT_COLOUR = "#C9352B"
GRID = {"gridcolor": "rgba(128,128,128,0.22)", "zerolinecolor": "rgba(128,128,128,0.4)"}


class Canvas:
    """One figure. A page has thousands, and plotly's own check of one is slow."""

    def __init__(self) -> None:
        self._data: list[dict[str, Any]] = []
        self._layout: dict[str, Any] = {"xaxis": {}, "yaxis": {}}

    def add(self, kind: str, **trace: Any) -> None:
        """Add a trace of one of plotly's kinds: bar, scatter, heatmap."""
        self._data.append({"type": kind, **trace})

    @property
    def rows_of_legend(self) -> int:
        """About how many rows the names of the traces take above the figure."""
        named = [trace for trace in self._data if trace.get("showlegend", True)]
        return -(-len(named) // NAMES_IN_A_ROW)

    def lay_out(self, **settings: Any) -> None:
        """Set up the whole figure."""
        self._layout |= settings

    def x_axis(self, title: str = "", **settings: Any) -> None:
        """Set up the horizontal axis."""
        self._layout["xaxis"] |= _axis(title, settings)

    def y_axis(self, title: str = "", **settings: Any) -> None:
        """Set up the vertical axis."""
        self._layout["yaxis"] |= _axis(title, settings)

    def upright(self, x: float, text: str) -> None:
        """Add a dotted line from bottom to top, with words along it."""
        span = {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper"}
        line = {"width": 1, "color": "rgba(128,128,128,0.5)", "dash": "dot"}
        self._layout.setdefault("shapes", []).append({**span, "line": line})
        place = {"x": x, "y": 1, "yref": "paper", "xanchor": "left", "yanchor": "top"}
        words = {"text": text, "textangle": -90, "showarrow": False, "font": {"size": 10}}
        self._layout.setdefault("annotations", []).append({**place, **words})

    def level(self, y: float, text: str) -> None:
        """Add a dashed line across the figure, with words at its end."""
        span = {"type": "line", "x0": 0, "x1": 1, "xref": "paper", "y0": y, "y1": y}
        line = {"width": 1, "color": "rgba(128,128,128,0.9)", "dash": "dash"}
        self._layout.setdefault("shapes", []).append({**span, "line": line, "layer": "below"})
        place = {"x": 1, "xref": "paper", "y": y, "xanchor": "right", "yanchor": "bottom"}
        words = {"text": text, "showarrow": False, "font": {"size": 10}}
        self._layout.setdefault("annotations", []).append({**place, **words})
        self._layout["yaxis"]["autorangeoptions"] = {"include": [y]}

    def limit(self, axis: Literal["x", "y"], value: float, text: str) -> None:
        """Add a line at a limit, with words beside it. The axis reaches at least to the line."""
        other = "y" if axis == "x" else "x"
        whole = {f"{other}0": 0, f"{other}1": 1, f"{other}ref": "paper"}
        line = {"width": 1.5, "color": LIMIT_COLOUR, "dash": "dash"}
        span = {"type": "line", f"{axis}0": value, f"{axis}1": value, **whole, "line": line}
        self._layout.setdefault("shapes", []).append(span)
        place = {axis: value, other: 1, f"{other}ref": "paper", "showarrow": False}
        upright = {"textangle": -90, "xanchor": "left", "yanchor": "top"}
        level = {"xanchor": "right", "yanchor": "bottom"}
        words = {"text": text, "font": {"size": 10, "color": LIMIT_COLOUR}}
        self._layout.setdefault("annotations", []).append(
            {**place, **words, **(upright if axis == "x" else level)}
        )
        self._layout[f"{axis}axis"]["autorangeoptions"] = {"include": [value]}

    def band(self, start: float, end: float, text: str, colour: str = "") -> None:
        """Add a band from bottom to top, with words above it. Without a colour it is not shaded.

        The page's script puts the words in rows, so that none covers another one.
        """
        if colour:
            span = {"type": "rect", "x0": start, "x1": end, "y0": 0, "y1": 1, "yref": "paper"}
            look = {"fillcolor": colour, "opacity": 0.13, "line": {"width": 0}, "layer": "below"}
            self._layout.setdefault("shapes", []).append({**span, **look})
        place = {"x": start, "y": 1, "yref": "paper", "xanchor": "left", "yanchor": "bottom"}
        words = {"text": text, "showarrow": False, "font": {"size": 10}}
        self._layout.setdefault("annotations", []).append({"name": BAND, **place, **words})

    def whose_bands(self, text: str) -> None:
        """Say above the names of the bands what they are."""
        place = {"x": 0, "xref": "paper", "y": 1, "yref": "paper", "yshift": NAME_PIXELS}
        anchors = {"xanchor": "left", "yanchor": "bottom"}
        words = {"text": text, "showarrow": False, "font": {"size": 10}}
        self._layout.setdefault("annotations", []).append(
            {"name": BANDS, **place, **anchors, **words}
        )

    def plain(self) -> dict[str, Any]:
        """The figure as plotly's JSON."""
        axes = {axis: {**GRID, **self._layout[axis]} for axis in ("xaxis", "yaxis")}
        return {"data": self._data, "layout": {**FRAME, **self._layout, **axes}}


def _axis(title: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    return {**({"title": {"text": title}} if title else {}), **settings}


def require_drawable(canvas: Canvas) -> None:
    """Let plotly check every name, and the values of the first points; ValueError if it cannot."""
    import plotly.graph_objects as go

    go.Figure(_beginning(canvas.plain()))


def _beginning(value: Any) -> Any:
    """The value with only the first items of each list. plotly takes long for many."""
    if isinstance(value, dict):
        return {key: _beginning(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, array)):
        return [_beginning(item) for item in value[:CHECKED]]
    return value
