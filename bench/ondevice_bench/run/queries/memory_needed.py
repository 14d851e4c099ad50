"""How much memory a suite needs at least on this machine."""

from ondevice_bench.run.queries.preview import outline
from ondevice_bench.run.request import request
from ondevice_bench.suite.suite import Suite


def memory_needed(suite: Suite, hardware: str | None) -> int | None:
    """The bytes of all tensors at the peak of the suite's largest step of plain training."""
    planned = request(suite, "", hardware)
    here = [item for item in planned.plan if item.state == "planned"]
    outlines = outline(suite, planned.board, here, planned.threads, {})
    peaks = (item.vanilla.peak_bytes for item in outlines)
    return max((peak for peak in peaks if peak is not None), default=None)
