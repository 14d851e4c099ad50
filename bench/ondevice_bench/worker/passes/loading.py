"""The loading pass: batches from a folder of images, each loaded before the step that uses it.

One thread loads, in the process that trains. The step waits for it, as in a plain loop.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

from ondevice_bench.measure import clock, memory, rss_floors
from ondevice_bench.metrics import of_pass
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.specs import inputs as kinds
from ondevice_bench.specs.data import DataSource
from ondevice_bench.worker.workload import Workload, build, typed

FOLDER = "folder"
PEAKS = 3  # loads whose memory is read
IN_ONE_THREAD = (
    "one thread loads while the step waits; files that were read before come from memory, not "
    "from the card"
)
_PEAK = "loading_peak_bytes"


@dataclass(frozen=True)
class LoadedStep:
    """The time to load a batch, and the time of the step that trained on it."""

    loading: float
    step: float

    @property
    def share(self) -> float:
        """Loading, as a share of both."""
        return self.loading / (self.loading + self.step)


def measure(job: Job) -> PassResult:
    """Load a batch and train on it, again and again."""
    has_own_batch = isinstance(kinds.from_dict(job.inputs), kinds.OwnBatch)
    if has_own_batch or job.source is None or job.source["kind"] != FOLDER:
        reason = f"loading is measured for a folder of images, and data is {job.cell.data}"
        return PassResult(unavailable=dict.fromkeys(of_pass(job.pass_name), reason))
    began = time.perf_counter()
    files = _files(job)
    listing = time.perf_counter() - began
    workload = build(job)
    load = _loader(job, files)
    timed = clock.sample(
        lambda: _loaded_step(workload, load), lambda each: each.loading, job.sampling
    )
    samples = {
        "loading_seconds": [each.loading for each in timed.samples],
        "loading_share": [each.share for each in timed.samples],
    }
    unavailable = {}
    try:
        samples[_PEAK] = [_peak(load) for _ in range(PEAKS)]
    except memory.PeakUnavailable as error:
        unavailable[_PEAK] = str(error)
    return PassResult(
        metrics={name: median(values) for name, values in samples.items()},
        samples=samples,
        unavailable=unavailable,
        details={
            "images": len(files),
            "listing_seconds": listing,
            "step_seconds": median(each.step for each in timed.samples),
            "precision": timed.precision(job.sampling),
            "disturbed": {"loading_seconds": [each.loading for each in timed.disturbed]},
            "notes": [
                *workload.treatment.notes(),
                IN_ONE_THREAD,
                *timed.notes,
            ],
        },
    )


def _files(job: Job) -> Sequence[tuple[Path, int]]:
    """All images of the folder, in random order."""
    import random

    from ondevice_bench.data.readers import labelled_files

    assert job.source is not None
    source = DataSource(**{**job.source, "path": Path(job.source["path"])})
    files = labelled_files(source, kinds.from_dict(job.inputs))
    random.Random(job.cell.seed).shuffle(files)
    return files


def _loader(job: Job, files: Sequence[tuple[Path, int]]) -> Callable[[], Any]:
    """Each call loads the next batch. After the last image comes the first again."""
    import torch

    from ondevice_bench.data.readers import batch_of_files

    inputs, endless = kinds.from_dict(job.inputs), cycle(files)

    def load() -> Any:
        arrays = batch_of_files(list(islice(endless, job.cell.batch)), inputs)
        return typed(job, tuple(torch.from_numpy(arrays[name]) for name in ("inputs", "targets")))

    return load


def _loaded_step(workload: Workload, load: Callable[[], Any]) -> LoadedStep:
    start = time.perf_counter()
    workload.batch = load()
    loaded = time.perf_counter()
    workload.step()
    return LoadedStep(loaded - start, time.perf_counter() - loaded)


def _peak(load: Callable[[], Any]) -> float:
    """The memory that one load adds at its highest."""
    before = rss_floors.floor().total
    load()
    return float(max(0, rss_floors.peak() - before))
