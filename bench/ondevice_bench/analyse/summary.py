"""A run's records, cell by cell, as estimates with intervals."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from sys import intern
from typing import Any

from ondevice_bench import metrics
from ondevice_bench.analyse.failed_rounds import Rounds, count_rounds
from ondevice_bench.hardware.finding import DoctorFinding
from ondevice_bench.notebook import html_table
from ondevice_bench.passes import CALIBRATE, OF_BOARD, PREPARING, rounds_of
from ondevice_bench.record.acceptance import Acceptance
from ondevice_bench.record.details import Details, Precision
from ondevice_bench.record.measurement import Measurement
from ondevice_bench.record.model import Run
from ondevice_bench.record.origin import PYTEST
from ondevice_bench.record.run_json import RunContent
from ondevice_bench.record.store import Store
from ondevice_bench.stats import Estimate, estimate
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.suite.suite import DISTURBED_SHARE
from ondevice_bench.units import clock, interval, number_of, quantity

STATUS_ORDER = ("oom", "timeout", "failed", "skipped", "ok")
MIXED_LAUNCHES = "some processes were forked and others spawned, so their values are not combined"
EMULATED = "measured under emulation, which does not show a board's time or memory"
NOT_INTERLEAVED = (
    "not interleaved: all processes of a cell ran one after another, so a drift of the machine "
    "looks like a difference between cells"
)


Origin = tuple[int, str]  # a round, and the unit of the board that measured it


@dataclass(frozen=True)
class CellEstimates:
    """The estimates of one cell in a run: all that CSV and a history need."""

    id: str
    planned: PlannedCell
    status: str
    estimates: Mapping[str, Estimate]
    samples: Mapping[str, tuple[tuple[float, ...], ...]]
    launches: Mapping[str, str]  # by metric: whether its processes were forked or spawned
    details: Mapping[str, Details]  # by pass, of its first process that succeeded
    # by metric: round and unit of each process in `samples`; empty for a run on one board
    origins: Mapping[str, tuple[Origin, ...]] = field(default_factory=dict, kw_only=True)

    def details_of(self, pass_name: str) -> Details:
        """The details of a pass. They are empty if the pass has no record."""
        return self.details.get(pass_name, Details())


@dataclass(frozen=True)
class CellSummary(CellEstimates):
    """The results of one cell in a run; `unavailable` has the reason for each missing metric."""

    problems: tuple[str, ...]
    notes: tuple[str, ...]
    unavailable: Mapping[str, str]
    is_disturbed: bool = False  # whether other processes used the processors during its samples
    is_imprecise: bool = (
        False  # whether a round did not reach the precision that the suite asks for
    )
    units: Mapping[str, int] = field(default_factory=dict)  # processes on each board of a fleet
    rounds: Mapping[str, Rounds] = field(default_factory=dict)  # by pass: how many failed

    def _repr_html_(self) -> str:
        rows = (
            (
                metrics.described(name).label,
                quantity(each.estimate, metrics.described(name).unit),
                _bounds(each, metrics.described(name).unit),
            )
            for name, each in self.estimates.items()
        )
        return html_table(f"{self.id}: {self.status}", ("metric", "estimate", "interval"), rows)

    def to_dict(self) -> dict[str, Any]:
        """The summary as plain values, without raw samples."""
        return {
            "cell": self.planned.cell.id,
            "fingerprint": self.planned.cell.fingerprint,
            "allocator": self.planned.cell.allocator or None,
            "profile": self.planned.profile,
            "status": self.status,
            "problems": list(self.problems),
            "notes": list(self.notes),
            "metrics": {
                name: {
                    **estimate.to_dict(),
                    "unit": metrics.described(name).unit,
                    "scope": metrics.described(name).scope,
                }
                for name, estimate in self.estimates.items()
            },
            "unavailable": dict(self.unavailable),
        }


@dataclass(frozen=True)
class RunSummary:
    """A run and all its cells. A baseline may have changes that somebody accepted since."""

    run: Run
    cells: tuple[CellSummary, ...]
    accepted: tuple[Acceptance, ...] = ()

    def _repr_html_(self) -> str:
        described = [metrics.described(name) for name in metrics.HEADLINES]
        rows = (
            (
                cell.id,
                *(
                    quantity(cell.estimates[each.name].estimate, each.unit)
                    if each.name in cell.estimates
                    else "–"
                    for each in described
                ),
                cell.status,
            )
            for cell in self.cells
        )
        titles = ("cell", *(each.label for each in described), "status")
        return html_table(f"{self.run.id} on {self.run.profile}", titles, rows)

    @property
    def notes(self) -> tuple[str, ...]:
        """The doctor's warnings about the machine when the run began."""
        findings = map(DoctorFinding.from_dict, self.run.settings.get("doctor", []))
        return tuple(
            f"{finding.subject}: {finding.observation}: {finding.effect}"
            for finding in findings
            if finding.level == "warning"
        )

    @property
    def planned(self) -> tuple[CellSummary, ...]:
        """The cells that this run was to measure: not those of other boards, nor the refused."""
        return tuple(cell for cell in self.cells if cell.planned.state == "planned")

    @property
    def is_interleaved(self) -> bool:
        """Whether rounds alternated between the cells. Old runs of pytest did not."""
        return bool(self.run.settings.get("interleaved", self.run.origin != PYTEST))

    @property
    def statuses(self) -> dict[str, int]:
        """The number of cells of each status."""
        return dict(Counter(cell.status for cell in self.cells))

    def to_dict(self) -> dict[str, Any]:
        """The run as plain values, without raw samples."""
        return {
            "run": self.run.id,
            "suite": self.run.suite,
            "profile": self.run.profile,
            "finished": self.run.finished,
            "interleaved": self.is_interleaved,
            "notes": list(self.notes),
            "cells": [cell.to_dict() for cell in self.cells],
        }


def summarise(store: Store, run: Run) -> RunSummary:
    """Every planned, skipped and pending cell of the run."""
    return RunSummary(run, tuple(cell_summaries(store, run)))


def cell_summaries(store: Store, run: Run) -> Iterator[CellSummary]:
    """The same cells, one at a time: a run may be larger than the memory."""
    for item, measurements in store.measurements(run.id):
        yield _summarised(run, item, measurements)


def cell_estimates(
    store: Store,
    run: Run,
    names: Collection[str] = metrics.BY_NAME,
    details_of: Collection[str] = (),
) -> Iterator[CellEstimates]:
    """The estimates of the same cells: of these metrics, with the details of these passes."""
    for item, measurements in store.measurements(run.id, details_of):
        if item.state == "planned":
            yield _estimated(run, item, measurements, names)[0]
        else:
            yield _unmeasured(run, item)


def summarise_content(content: RunContent) -> RunSummary:
    """The summary of a run that is in no store."""
    by_cell: dict[str, list[Measurement]] = {}
    for record in content.records:
        by_cell.setdefault(record.key.cell, []).append(Measurement.of(record))
    cells = (
        _summarised(content.run, item, by_cell.get(item.cell.id, [])) for item in content.cells
    )
    return RunSummary(content.run, tuple(cells), content.accepted)


def _summarised(run: Run, item: PlannedCell, found: Sequence[Measurement]) -> CellSummary:
    return summarise_cell(run, item, found) if item.state == "planned" else _unmeasured(run, item)


def _unmeasured(run: Run, item: PlannedCell) -> CellSummary:
    """A cell that was skipped, or that is pending on another board."""
    board = "" if item.profile == run.profile else f" on {item.profile}"
    return CellSummary(
        id=f"{item.cell.id}{board}",
        planned=item,
        status=item.state,
        problems=(item.reason,),
        notes=(),
        estimates={},
        samples={},
        unavailable=dict.fromkeys(metrics.BY_NAME, item.reason),
        details={},
        launches={},
    )


def summarise_cell(run: Run, item: PlannedCell, records: Sequence[Measurement]) -> CellSummary:
    """A cell that was planned, from what its processes measured."""
    estimated, exclusions = _estimated(run, item, records)
    records = _of_cell(records)
    remaining = _remaining(run, records)
    waiting = [_waiting(run, remaining)] if remaining else []
    return CellSummary(
        **vars(estimated),
        problems=(*(f"{_where(r)}: {r.reason}" for r in records if r.status != "ok"), *waiting),
        notes=(
            *_grouped_notes([(record, _notes(record.details)) for record in records]),
            *_imprecision([(record, record.details.precision) for record in records]),
        ),
        unavailable=_unavailable(run, records, exclusions, estimated.estimates),
        is_disturbed=any(_is_disturbed(record.details) for record in records),
        is_imprecise=any(_is_imprecise(record.details.precision) for record in records),
        units=Counter(record.details.unit for record in records if record.details.unit),
        rounds=count_rounds(records),
    )


def _estimated(
    run: Run,
    item: PlannedCell,
    records: Sequence[Measurement],
    names: Collection[str] | None = None,
) -> tuple[CellEstimates, Mapping[str, str]]:
    """The estimates of these metrics or of all, and why a metric that was measured has none."""
    rounds: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    origins: dict[str, list[Origin]] = defaultdict(list)
    launches: dict[str, str] = {}
    exclusions: dict[str, str] = {}
    for record in records:
        for name, samples in _readings(record).items():
            if names is not None and name not in names:
                continue
            rounds[name].append(samples)
            origins[name].append((record.key.round, record.details.unit))
            if launches.setdefault(name, record.launch) != record.launch:
                exclusions[name] = MIXED_LAUNCHES
    if run.settings.get("emulated"):
        noisy = (name for name in rounds if metrics.described(name).kind == "noisy")
        exclusions |= dict.fromkeys(noisy, EMULATED)
    comparable = {name: tuple(each) for name, each in rounds.items() if name not in exclusions}
    records = _of_cell(records)
    statuses = {record.status for record in records}
    worst = next((status for status in STATUS_ORDER if status in statuses), "ok")
    estimated = CellEstimates(
        id=item.cell.id,
        planned=item,
        status="unfinished" if worst == "ok" and _remaining(run, records) else worst,
        estimates={name: estimate_of(name, samples) for name, samples in comparable.items()},
        samples=comparable,
        launches={name: launches[name] for name in comparable},
        details={r.key.pass_name: r.details for r in reversed(records) if r.status == "ok"},
        origins={
            name: tuple(origins[name])
            for name in comparable
            if any(unit for _, unit in origins[name])
        },
    )
    return estimated, exclusions


def _of_cell(records: Sequence[Measurement]) -> list[Measurement]:
    """The records that say something of the cell, and not only of the board."""
    return [record for record in records if record.key.pass_name not in OF_BOARD]


def _remaining(run: Run, records: Sequence[Measurement]) -> int:
    """How many processes have not measured the cell yet."""
    measured = [record for record in records if record.key.pass_name not in PREPARING]
    return max(0, _processes(run) - len(measured))


def _readings(record: Measurement) -> dict[str, tuple[float, ...]]:
    """The readings of each metric in a record: its samples, or else its value.

    Samples count also without a value: a record may be older than the metric that they are of.
    """
    if not record.samples:
        return {name: (value,) for name, value in record.metrics.items()}
    sampled = {
        name: tuple(record.samples[name])
        for name in metrics.of_pass(record.key.pass_name)
        if record.samples.get(name)
    }
    values = {
        name: tuple(record.samples.get(name) or [value]) for name, value in record.metrics.items()
    }
    return {**values, **sampled}


def _waiting(run: Run, count: int) -> str:
    budget = run.settings.get("budget_seconds")
    if budget is None:
        return f"{count} of {_processes(run)} measurements are still to come"
    return f"{count} of {_processes(run)} measurements were not reached within {clock(budget)}"


def _processes(run: Run) -> int:
    """How many processes measure a cell of the run, without the one that chooses its ranks."""
    return sum(rounds_of(name, run.settings["rounds"]) for name in run.settings["measure"])


def _where(record: Measurement) -> str:
    return f"{record.key.pass_name}, round {record.key.round}"


def _unavailable(
    run: Run, records: Sequence[Measurement], exclusions: Mapping[str, str], known: Collection[str]
) -> dict[str, str]:
    """The reason for each metric that has no estimate."""
    by_pass: dict[str, list[Measurement]] = {}
    for record in records:
        by_pass.setdefault(record.key.pass_name, []).append(record)
    reasons = {
        name: exclusions.get(name) or _why(run, metric, by_pass.get(metric.pass_name, ()))
        for name, metric in metrics.BY_NAME.items()
        if name not in known
    }
    return {name: intern(reason) for name, reason in reasons.items()}  # thousands are equal


def was_not_run(pass_name: str) -> str:
    """The reason for the metrics of a pass that the suite does not ask for."""
    return f"the pass `{pass_name}` was not run (add `measure: +{pass_name}`)"


def _why(run: Run, metric: metrics.Metric, of_pass: Sequence[Measurement]) -> str:
    """Why a metric has no estimate, by the records of its pass."""
    pass_name = metric.pass_name
    if pass_name == CALIBRATE and not of_pass:
        return "the method has no ranks to choose"
    if pass_name not in (CALIBRATE, *run.settings["measure"]):
        return was_not_run(pass_name)
    reasons = [r.unavailable[metric.name] for r in of_pass if metric.name in r.unavailable]
    failures = [f"{_where(r)}: {r.status}: {r.reason}" for r in of_pass if r.status != "ok"]
    if any(record.status == "ok" for record in of_pass) and not reasons:
        version = run.software.get("bench", "of an unknown version")
        return f"the {pass_name} pass of bench {version}, which made this run, did not measure it"
    return "; ".join([*reasons, *failures]) or f"the {pass_name} pass has not run yet"


def estimate_of(name: str, rounds: Sequence[Sequence[float]]) -> Estimate:
    """The estimate of a metric by the readings of each round."""
    if metrics.described(name).kind == "exact":
        readings = {value for samples in rounds for value in samples}
        if len(readings) == 1:
            (value,) = readings
            return Estimate(value, value, value, "exact")
    return estimate(rounds)


def _bounds(each: Estimate, unit: str) -> str:
    if each.lower is None or each.upper is None or each.basis == "exact":
        return each.basis
    return interval(each.lower, each.upper, unit)


def _notes(details: Details) -> list[str]:
    """Warnings for a reader of the record's numbers."""
    notes = list(details.notes)
    if _is_disturbed(details):
        share = f"{details.foreign_cpu_share:.0%} of a core"
        notes.append(f"disturbed: other processes took {share} during the samples")
    if details.swap_bytes:  # only in old records: new ones have no peak in this case
        notes.append(f"{details.swap_bytes:.0f} bytes were in swap, so the peak is too low")
    return notes


def _is_disturbed(details: Details) -> bool:
    return (details.foreign_cpu_share or 0.0) > DISTURBED_SHARE


def _is_imprecise(precision: Precision | None) -> bool:
    return precision is not None and (
        precision.reached is None or precision.reached > precision.asked
    )


def _grouped_notes(notes: Sequence[tuple[Measurement, Sequence[str]]]) -> list[str]:
    """Each note once, with the processes that it is of."""
    by_note: dict[str, list[Measurement]] = {}
    for record, texts in notes:
        for text in texts:
            by_note.setdefault(text, []).append(record)
    return [f"{_together(records)}: {text}" for text, records in by_note.items()]


def _imprecision(precisions: Sequence[tuple[Measurement, Precision | None]]) -> list[str]:
    """Rounds that did not reach the precision of the suite, in one line for all of them."""
    unbounded = [(record, each) for record, each in precisions if each and each.reached is None]
    imprecise = [
        (record, each, each.reached)
        for record, each in precisions
        if each and each.reached is not None and each.reached > each.asked
    ]
    notes = []
    if unbounded:
        limits = " and ".join(dict.fromkeys(each.ended_by for _, each in unbounded))
        rounds = _count([record for record, _ in unbounded])
        notes.append(f"{rounds}: too few samples for an interval, because {limits} ended them")
    if imprecise:
        limits = " and ".join(dict.fromkeys(each.ended_by for _, each, _ in imprecise))
        rounds = _count([record for record, *_ in imprecise])
        of_worst = " of the worst one" if len(imprecise) > 1 else ""
        widest = max(share for *_, share in imprecise)
        notes.append(
            f"{rounds}: the median{of_worst} is known to ±{widest:.1%} only (the suite asks for "
            f"±{imprecise[0][1].asked:.1%}), because {limits} ended the samples"
        )
    return notes


def _count(records: Sequence[Measurement]) -> str:
    counts = Counter(record.key.pass_name for record in records)
    return " and ".join(f"{name}, {number_of(n, 'round')}" for name, n in counts.items())


def _together(records: Sequence[Measurement]) -> str:
    if len(records) == 1:
        return _where(records[0])
    names = list(dict.fromkeys(record.key.pass_name for record in records))
    return f"{names[0]}, {len(records)} rounds" if len(names) == 1 else ", ".join(names)
