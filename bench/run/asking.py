"""Asking a process about one network: its layers, its spectra; nothing of it is stored."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.data.batch import BatchStore, NoBatch
from bench.errors import BadInput
from bench.hardware.state import allowed_cpus
from bench.run.job import Findings
from bench.run.jobs import JobMaker
from bench.run.launch import SpawnLauncher, worker_environment
from bench.suite.plan import plan
from bench.suite.suite import Suite

TIMEOUT = 3600.0


class Refused(BadInput):
    """The network has no such thing; the text says why."""


def ask(suite: Suite, pass_name: str, *, with_batch: bool) -> Findings:
    """What the pass finds out about the suite's first cell; Refused where a plan would skip it."""
    (item, *_) = plan(suite, "here")
    if item.state == "skipped":
        raise Refused(item.reason)
    launcher = SpawnLauncher(worker_environment(len(allowed_cpus())))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        batches = BatchStore(Path(folder)) if with_batch else None
        jobs = JobMaker(batches, suite.sampling, suite.data, suite.weight_sources)
        try:
            job = jobs.job(item.cell, pass_name)
        except NoBatch as error:
            raise Refused(str(error)) from None
        reply = launcher.launch(job, TIMEOUT, lambda: None).reply
    if reply.status != "ok":
        raise BadInput(f"{item.cell.model}: {reply.reason}")
    return reply.findings


def layers(suite: Suite) -> Mapping[str, Any]:
    """Every layer of the network: shapes, parameters, FLOPs, bytes, and what chooses it."""
    found = ask(suite, "layers", with_batch=False)
    return {**found.metrics, **found.details}


def spectra(suite: Suite) -> Mapping[str, Any]:
    """The ranks of weights and inputs at each share of energy."""
    return ask(suite, "spectrum", with_batch=True).details
