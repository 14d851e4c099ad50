"""The highest level of live tensors in a step of each cell, by shapes alone."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from ondevice_bench.running.hosts.host import Host
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.suite import Suite

TIMEOUT = 300.0


def peaks(
    host: Host, suite: Suite, cells: Sequence[Cell], tell: Callable[[str], None]
) -> Iterator[tuple[Cell, int | None]]:
    """Each cell with its bytes; None if shapes alone do not tell, as with ranks by data."""
    jobs = JobMaker(host, None, suite.sampling, suite.data, suite.weight_sources)
    for number, cell in enumerate(cells, 1):
        tell(f"{number}/{len(cells)} · memory by shapes: {cell.id}")
        reply = jobs.reply(jobs.job(replace(cell, allocator=""), "live_peak"), TIMEOUT)
        bytes_ = reply.result.metrics.get("peak_bytes") if reply.status == "ok" else None
        yield cell, None if bytes_ is None else int(bytes_)
