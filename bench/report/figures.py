"""The plots of the page, as plotly's JSON."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.analyse.frame import estimates_frame
from bench.analyse.summary import RunSummary
from bench.record import metrics
from bench.units import MIB

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

# one colour per method and per part, everywhere, for ever (Okabe and Ito's palette)
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
PART_COLOURS = {
    "rss_batch_bytes": "#56B4E9",
    "rss_weights_bytes": "#0072B2",
    "rss_optimizer_bytes": "#009E73",
    "rss_libraries_bytes": "#999999",
    "rss_warmup_bytes": "#E69F00",
    "rss_step_bytes": "#D55E00",
}
ROW_PIXELS = 44


def step_times(summary: RunSummary) -> str | None:
    """Step time of each cell: median, interval, raw samples; None without any."""
    import plotly.graph_objects as go

    frame = estimates_frame(summary)
    steps = frame[frame["metric"] == "step_seconds"]
    if steps.empty:
        return None
    plot = go.Figure()
    for cell in summary.cells:
        for samples in cell.samples.get("step_seconds", ()):
            plot.add_scatter(
                x=[value * 1e3 for value in samples],
                y=[cell.id] * len(samples),
                mode="markers",
                marker={"size": 5, "opacity": 0.35, "color": OTHER_COLOUR},
                hovertemplate="%{x:.4g} ms<extra>one sample</extra>",
                showlegend=False,
            )
    for method, rows in steps.groupby("method", sort=False):
        plot.add_scatter(
            x=rows["estimate"] * 1e3,
            y=rows["cell"],
            mode="markers",
            name=str(method),
            marker={"size": 11, "color": METHOD_COLOURS.get(str(method), OTHER_COLOUR)},
            error_x=_error_bars(rows),
            hovertemplate="%{y}<br>%{x:.4g} ms<extra>median</extra>",
        )
    return _finished(plot, "milliseconds", len(steps))


def peak_parts(summary: RunSummary) -> str | None:
    """The peak over the runtime floor of each cell, split into what came when."""
    import plotly.graph_objects as go

    frame = estimates_frame(summary)
    plot = go.Figure()
    for name in metrics.PEAK_PARTS:
        rows = frame[frame["metric"] == name]
        if rows.empty:  # a run of an older version, or no memory pass
            continue
        plot.add_bar(
            x=rows["estimate"] / MIB,
            y=rows["cell"],
            orientation="h",
            name=metrics.BY_NAME[name].label,
            marker={"color": PART_COLOURS[name]},
            hovertemplate="%{y}<br>%{x:.1f} MiB<extra>%{fullData.name}</extra>",
        )
    plot.update_layout(barmode="relative")
    cells = frame[frame["metric"].isin(metrics.PEAK_PARTS)]["cell"].nunique()
    return _finished(plot, "MiB", cells) if cells else None


def _error_bars(rows: "pandas.DataFrame") -> dict[str, object]:
    # a cell without an interval has none drawn: plotly leaves out what is missing
    return {
        "type": "data",
        "symmetric": False,
        "array": (rows["upper"].astype(float) - rows["estimate"]) * 1e3,
        "arrayminus": (rows["estimate"] - rows["lower"].astype(float)) * 1e3,
        "thickness": 2,
        "width": 6,
    }


def _finished(plot: "go.Figure", axis: str, rows: int) -> str:
    plot.update_layout(
        height=140 + ROW_PIXELS * rows,
        margin={"l": 10, "r": 20, "t": 40, "b": 50},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        font={"family": "inherit"},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    plot.update_xaxes(title=axis, rangemode="tozero", gridcolor="rgba(128,128,128,0.25)")
    plot.update_yaxes(type="category", autorange="reversed", automargin=True)
    figure = json.loads(plot.to_json())
    figure["layout"].pop("template", None)  # 7 kB of defaults that the page sets itself
    return json.dumps(figure)


@dataclass(frozen=True)
class Plot:
    """A plot of the page, with the sentence that says what it shows."""

    name: str
    title: str
    text: str
    draw: Callable[[RunSummary], str | None]


PLOTS = (
    Plot(
        name="step-times",
        title="Step time",
        text="Wall time of one training step: each sample, the median and its interval.",
        draw=step_times,
    ),
    Plot(
        name="peak-parts",
        title="Where the peak memory comes from",
        text="Resident memory of the process over one that has torch ready: what came with the "
        "batch, the weights and the optimizer's state, code of libraries that was touched since, "
        "what else stays after the first step, and what the step adds at its highest moment.",
        draw=peak_parts,
    ),
)
