"""Asking a process about one network: its layers, its spectra; nothing of it is stored."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ondevice_bench.data.batch import BatchStore, NoBatch
from ondevice_bench.errors import BadInput
from ondevice_bench.protocol.job import PassResult, RankNumbers
from ondevice_bench.running.hosts.host import Host
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.running.work_folder import work_folder
from ondevice_bench.suite.board import HERE
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.plan import plan
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.suite.suite import Suite

TIMEOUT = 3600.0
_HASH = re.compile(r"@\w+")  # of the user's code, in a name


class SkippedCell(BadInput):
    """The network has no such thing; the text says why."""


def ask(
    host: Host,
    suite: Suite,
    pass_name: str,
    *,
    with_batch: bool,
    layers: str = "",
    ranks: Mapping[str, RankNumbers] | None = None,
) -> PassResult:
    """What the pass finds out about the suite's first cell; SkippedCell if a plan would skip it.

    `layers` are looked at instead of the cell's: vanilla treats none, and its cells name none.
    `ranks` by layer go before the cell's own rule.
    """
    (first, *_) = plan(suite, HERE)
    return ask_about(
        host, suite, first, pass_name, with_batch=with_batch, layers=layers, ranks=ranks
    )


def ask_about(
    host: Host,
    suite: Suite,
    item: PlannedCell,
    pass_name: str,
    *,
    with_batch: bool,
    layers: str,
    ranks: Mapping[str, RankNumbers] | None = None,
) -> PassResult:
    """What the pass finds out about this cell; SkippedCell if the plan skips it."""
    if item.state == "skipped":
        raise SkippedCell(item.reason)
    cell = replace(item.cell, layers=layers) if layers else item.cell
    with work_folder("batches") as folder:
        batches = BatchStore(folder) if with_batch else None
        jobs = JobMaker(host, batches, suite.sampling, suite.data, suite.weight_sources)
        try:
            job = jobs.job(cell, pass_name, ranks)
        except NoBatch as error:
            raise SkippedCell(str(error)) from None
        reply = jobs.reply(job, TIMEOUT)
    if reply.status != "ok":
        raise BadInput(f"{asked(cell)}: {reply.reason}")
    return reply.result


def asked(cell: Cell) -> str:
    """The network, and the method if there is one: either may be at fault."""
    model, method = (_HASH.sub("", name) for name in (cell.model, cell.method))
    return model if method == "vanilla" else f"{method} on {model}"


def layers(host: Host, suite: Suite) -> Mapping[str, Any]:
    """Every layer of the network: shapes, parameters, FLOPs, bytes, and what chooses it."""
    result = ask(host, suite, "layers", with_batch=False)
    return {**result.metrics, **result.details}


def spectra(host: Host, suite: Suite) -> Mapping[str, Any]:
    """The ranks of weights and inputs at each share of energy."""
    return ask(host, suite, "spectrum", with_batch=True).details
