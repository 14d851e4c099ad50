"""Cells to jobs: specs are resolved here, in the parent, so that workers need none."""

import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ondevice_bench import passes
from ondevice_bench.data.batch import BatchStore
from ondevice_bench.hardware.profile import Profile
from ondevice_bench.passes import CALIBRATE
from ondevice_bench.protocol.job import Job, MethodCall, RankNumbers, Reply, WeightsCall
from ondevice_bench.running.hosts.host import Host
from ondevice_bench.running.named_files import NamedFiles
from ondevice_bench.running.queries import user_models
from ondevice_bench.specs import composition, registry, trained
from ondevice_bench.specs.data import ALL, HELD_OUT, LEARN, TRAIN, VALIDATION, DataSource
from ondevice_bench.specs.inputs import Inputs, OwnBatch, to_dict
from ondevice_bench.specs.model import ModelSpec
from ondevice_bench.specs.option import resolved
from ondevice_bench.specs.weights import WeightSource
from ondevice_bench.suite.cell import Cell, LearningPlan
from ondevice_bench.suite.suite import Sampling

TRAINED_EXAMPLES, HELD_OUT_EXAMPLES = 512, 256
SAMPLING, SYNTHETIC = Sampling(), DataSource()
RANDOM_WEIGHTS = {"random": WeightSource()}


class JobMaker:
    """Makes the jobs for a host; `batches` is None if no pass reads a batch.

    A job takes the host's processors, and the host's memory cap if none is given.
    """

    def __init__(
        self,
        host: Host,
        batches: BatchStore | None,
        sampling: Sampling = SAMPLING,
        data: DataSource = SYNTHETIC,
        weights: Mapping[str, WeightSource] = RANDOM_WEIGHTS,
        sustain: float = 0.0,
    ) -> None:
        self._host = host
        self._batches = batches
        self._sampling = sampling
        self._data = data
        self._weights = weights
        self._sustain = sustain
        self.files = NamedFiles(data, weights)
        self._checked: set[Path] = set()  # files that were made from the data
        self._memory_cap = host.memory_cap

    def job(
        self, cell: Cell, pass_name: str, ranks: Mapping[str, RankNumbers] | None = None
    ) -> Job:
        """The job of one pass over one cell, NoBatch if the data has none."""
        model = registry.model(cell.model)
        chosen = {**resolved(model.options, dict(cell.model_options)), **dict(cell.model_options)}
        inputs = model.inputs(chosen)
        options = {**(model.fixed or {}), **chosen}
        described = passes.BY_NAME[pass_name]
        batch: Path | None = None
        calibration: Path | None = None
        if described.batch != "none":
            # ranks are chosen on another batch than the one that is measured
            use = CALIBRATE if described.batch == "calibration" else "batch"
            batch = self._batch(cell, model, inputs, use)
            keeps = any(spec.keeps_calibration for spec in composition.specs(cell.method))
            if use != CALIBRATE and keeps:
                calibration = self._batch(cell, model, inputs, CALIBRATE)
        examples: Mapping[str, Path] | None = None
        if described.batch == "examples":
            examples = self._examples(cell, inputs, _examples_of(cell, pass_name))
        if ranks is None:
            ranks = _trained(cell)
        return Job(
            cell=cell,
            pass_name=pass_name,
            model=self._host.code(model.implementation),
            model_options=options,
            methods=self._calls(cell),
            layout=None if model.is_own else asdict(model.layout),
            inputs=to_dict(inputs),
            batch_path=self._host.put(batch) if batch else "",
            weights=self._weights_call(cell, model),
            sampling=self._sampling,
            cpus=self._host.cpus,
            created_ns=time.monotonic_ns(),
            ranks=ranks,
            calibration_path=self._host.put(calibration) if calibration else "",
            examples=(
                {split: self._host.put(file) for split, file in examples.items()}
                if examples
                else None
            ),
            memory_cap=self._cap(examples or {}) if described.is_capped else None,
            sustain=self._sustain if described.lasts else 0.0,
            throttled_by=self._host.profile.declared.throttling or "",
            power=_power(self._host.profile),
            source=self._source() if described.reads_data else None,
        )

    def reply(self, job: Job, timeout: float) -> Reply:
        """What a worker replies; BadInput if a file of the user's is not the one that was named."""
        reply = self._host.run(job, timeout).reply
        self.files.require_unchanged(job.cell)
        return reply

    def _cap(self, examples: Mapping[str, Path]) -> int | None:
        """The memory cap. All examples are in memory, which is not part of a training step."""
        if self._memory_cap is None:
            return None
        return self._memory_cap + sum(file.stat().st_size for file in examples.values())

    def _batch(self, cell: Cell, model: ModelSpec, inputs: Inputs, use: str) -> Path | None:
        if self._batches is None:
            return None
        if isinstance(inputs, OwnBatch):
            return user_models.batch(self._host, self._batches, model.implementation, cell, use)
        # if a cell learns, nothing but its tests sees an example of the test split
        split = LEARN if cell.learning is not None and self._data.has_labels else ALL
        if use == CALIBRATE and cell.calibrated_on:
            split = cell.calibrated_on
        return self._checked_data(
            self._batches.batch(self._data, inputs, cell.batch, cell.seed, use, split)
        )

    def _examples(
        self, cell: Cell, inputs: Inputs, sizes: Mapping[str, int]
    ) -> Mapping[str, Path] | None:
        if self._batches is None or isinstance(inputs, OwnBatch) or not self._data.has_labels:
            return None
        return {
            split: self._checked_data(
                self._batches.examples(self._data, inputs, size, cell.seed, split)
            )
            for split, size in sizes.items()
        }

    def _checked_data(self, made: Path) -> Path:
        """A file that was made from the data; BadInput if they are not those that were named."""
        if made not in self._checked:
            self.files.require_unchanged_data()
            self._checked.add(made)
        return made

    def _source(self) -> Mapping[str, Any]:
        # a worker itself reads nothing but a folder of images
        path = self._data.path if self._data.kind == "folder" else None
        return {**asdict(self._data), "path": None if path is None else self._host.put(path)}

    def _weights_call(self, cell: Cell, model: ModelSpec) -> WeightsCall:
        source = self._weights[cell.weights]
        file = source.file(model.pretrained)
        if file is not None:
            return {"kind": "file", "path": self._host.put(file)}
        return {"kind": source.kind, "decay": source.decay}

    def _calls(self, cell: Cell) -> tuple[MethodCall, ...]:
        """Each part of the cell's method with its own options; a user's own method takes any."""
        calls: list[MethodCall] = []
        for part in composition.parts(cell.method):
            given = part.own(cell.method_options)
            options = {**resolved(part.spec.options, given), **given}
            layers = (part.layers,) if part.layers else ()
            calls.append((self._host.code(part.spec.implementation), options, *layers))
        return tuple(calls)


def _power(profile: Profile) -> Mapping[str, Any] | None:
    """The meter of the profile. A command runs in the folder of the profile."""
    power = profile.declared.power
    folder = os.path.abspath(profile.path.parent)
    return None if power is None else {**asdict(power), "folder": folder}


def _examples_of(cell: Cell, pass_name: str) -> Mapping[str, int]:
    """The splits that a pass reads, with the number of their examples; it can read no other."""
    plan = cell.learning or LearningPlan()
    match pass_name:
        case passes.LEARNING_RATE:
            return {LEARN: plan.examples, VALIDATION: plan.validation}
        case passes.LEARNING:
            return {LEARN: plan.examples, HELD_OUT: plan.test}
        case _:
            return {TRAIN: TRAINED_EXAMPLES, HELD_OUT: HELD_OUT_EXAMPLES}


def _trained(cell: Cell) -> Mapping[str, RankNumbers] | None:
    """The ranks of the model's table, if the cell's method asks for them."""
    for name, value in cell.method_options:
        if name.rpartition(".")[2] == trained.RULE:
            return trained.ranks(cell.model, float(value))
    return None
