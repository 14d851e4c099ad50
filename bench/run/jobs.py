"""Cells to jobs: specs are resolved here, in the parent, so that workers need none."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from bench.data.batch import BatchStore
from bench.hardware.state import allowed_cpus
from bench.run.job import Job, MethodCall, RankNumbers
from bench.specs import registry
from bench.specs.option import resolved
from bench.suite.cell import Cell
from bench.suite.passes import CALIBRATE
from bench.suite.suite import Sampling


class JobMaker:
    """Makes the jobs of one run; `batches` is None where no pass reads a batch."""

    def __init__(self, batches: BatchStore | None, sampling: Sampling) -> None:
        self._batches = batches
        self._sampling = sampling
        self._cpus = allowed_cpus()

    def job(
        self, cell: Cell, pass_name: str, ranks: Mapping[str, RankNumbers] | None = None
    ) -> Job:
        """The job of one pass over one cell, asked for now."""
        model = registry.model(cell.model)
        model_options = resolved(model.options, dict(cell.model_options))
        inputs = model.inputs(model_options)
        batch = Path()
        if self._batches is not None:
            # ranks are chosen on another batch than the one that is measured
            use = CALIBRATE if pass_name == CALIBRATE else "batch"
            batch = self._batches.batch(inputs, cell.batch, cell.seed, use)
        return Job(
            cell=cell,
            pass_name=pass_name,
            model_module=model.implementation,
            model_options=model_options,
            methods=_calls(cell),
            layout=asdict(model.layout),
            inputs=asdict(inputs),
            batch_path=str(batch.resolve()),
            sampling=self._sampling,
            cpus=self._cpus,
            asked_ns=time.monotonic_ns(),
            ranks=ranks,
        )


def _calls(cell: Cell) -> tuple[MethodCall, ...]:
    """Each part of the cell's method with its own options; a user's own method takes any."""
    specs = registry.parts(cell.method)
    calls = []
    for spec in specs:
        prefix = f"{spec.name}." if len(specs) > 1 else ""
        given = {
            name.removeprefix(prefix): value
            for name, value in cell.method_options
            if name.startswith(prefix)
        }
        calls.append((spec.implementation, {**resolved(spec.options, given), **given}))
    return tuple(calls)
