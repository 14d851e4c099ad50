"""What else costs time on a board, in sentences. The page and the terminal share them."""

from collections.abc import Iterator

from ondevice_bench import units
from ondevice_bench.analyse.summary import CellSummary
from ondevice_bench.report.sentences import SENTENCES

HALF = 0.5  # of loading and a step: beyond it, loading takes longer than the step


def beside_step(cell: CellSummary, label: str) -> Iterator[str]:
    """Whether loading takes longer than the step, and how long one example takes."""
    found = {name: each.estimate for name, each in cell.estimates.items()}
    if "loading_share" in found:
        yield SENTENCES["loading"].format(
            cell=label,
            longer="loading" if found["loading_share"] > HALF else "the step",
            loading=units.seconds(found["loading_seconds"]),
            share=units.percent(found["loading_share"]),
        )
    if "latency_p95_seconds" in found:
        yield SENTENCES["latency"].format(
            cell=label,
            latency=units.seconds(found["latency_seconds"]),
            p95=units.seconds(found["latency_p95_seconds"]),
        )
