"""Cells to jobs: specs are resolved here, in the parent, so that workers need none."""

import time
from dataclasses import asdict
from pathlib import Path

from bench.data.batch import BatchStore
from bench.hardware.state import allowed_cpus
from bench.run.job import Job
from bench.specs import registry
from bench.specs.option import resolved
from bench.suite.cell import Cell
from bench.suite.suite import Sampling


class JobMaker:
    """Makes the jobs of one run; `batches` is None where no pass reads a batch."""

    def __init__(self, batches: BatchStore | None, sampling: Sampling) -> None:
        self._batches = batches
        self._sampling = sampling
        self._cpus = allowed_cpus()

    def job(self, cell: Cell, pass_name: str) -> Job:
        """The job of one pass over one cell, asked for now."""
        model, method = registry.model(cell.model), registry.method(cell.method)
        model_options = resolved(model.options, dict(cell.model_options))
        inputs = model.inputs(model_options)
        batch = self._batches.batch(inputs, cell.batch, cell.seed) if self._batches else Path()
        return Job(
            cell=cell,
            pass_name=pass_name,
            model_module=model.implementation,
            model_options=model_options,
            method_module=method.implementation,
            method_options=resolved(method.options, dict(cell.method_options)),
            inputs=asdict(inputs),
            batch_path=str(batch.resolve()),
            sampling=self._sampling,
            cpus=self._cpus,
            asked_ns=time.monotonic_ns(),
        )
