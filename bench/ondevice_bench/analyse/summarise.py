"""Summaries of runs from their records: the estimates of each cell, with intervals."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ondevice_bench import metrics
from ondevice_bench.analyse.alternation import Origin, apart
from ondevice_bench.analyse.failed_rounds import count_rounds
from ondevice_bench.analyse.meters import is_metered
from ondevice_bench.analyse.missing_metrics import (
    EMULATED,
    MIXED_LAUNCHES,
    MIXED_METERS,
    missing_metrics,
)
from ondevice_bench.analyse.process_notes import (
    is_disturbed,
    is_imprecise,
    notes_of,
    process_of,
)
from ondevice_bench.analyse.summary import STATUS_ORDER, CellEstimates, CellSummary, RunSummary
from ondevice_bench.passes import OF_BOARD, PREPARING, rounds_of
from ondevice_bench.record.acceptance import Acceptance
from ondevice_bench.record.measurement import Measurement
from ondevice_bench.record.model import Run
from ondevice_bench.record.run_json import RunContent
from ondevice_bench.record.store import Store
from ondevice_bench.stats import Estimate, estimate
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.units import clock


def summarise(store: Store, run: Run) -> RunSummary:
    """Every planned, skipped and pending cell of the run."""
    return whole_run(run, cell_summaries(store, run))


def whole_run(
    run: Run, cells: Iterable[CellSummary], accepted: tuple[Acceptance, ...] = ()
) -> RunSummary:
    """The summary of all cells of a run. Only together they show which were measured apart."""
    found = RunSummary(run, tuple(cells), accepted)
    if not found.is_interleaved:
        return found
    names = dict.fromkeys(name for cell in found.planned for name in cell.begun)
    passes_apart: dict[str, set[str]] = defaultdict(set)
    for name in names:
        for cell_id in apart({cell.id: cell.begun.get(name, {}) for cell in found.planned}):
            passes_apart[cell_id].add(name)
    return replace(
        found,
        cells=tuple(
            replace(cell, apart=frozenset(passes_apart[cell.id]))
            if cell.id in passes_apart
            else cell
            for cell in found.cells
        ),
    )


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
    return whole_run(content.run, cells, content.accepted)


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
        problems=(*_problems(records), *waiting),
        notes=notes_of(records),
        unavailable=missing_metrics(run, records, exclusions, estimated.estimates),
        disturbed=Counter(r.key.pass_name for r in records if is_disturbed(r.details)),
        is_imprecise=any(is_imprecise(record.details.precision) for record in records),
        units=Counter(record.details.unit for record in records if record.details.unit),
        rounds=count_rounds(records),
    )


def _problems(records: Sequence[Measurement]) -> list[str]:
    """What went wrong, the worst first: a line with the status of the cell shows the first one."""
    failed = [record for record in records if record.status != "ok"]
    failed.sort(key=lambda record: STATUS_ORDER.index(record.status))
    return [f"{process_of(record)}: {record.reason}" for record in failed]


def _estimated(
    run: Run,
    item: PlannedCell,
    records: Sequence[Measurement],
    names: Collection[str] | None = None,
) -> tuple[CellEstimates, Mapping[str, str]]:
    """The estimates of these metrics or of all, and why a metric that was measured has none."""
    rounds: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    origins: dict[str, list[Origin]] = defaultdict(list)
    disturbances: dict[str, list[bool]] = defaultdict(list)
    launches: dict[str, str] = {}
    meters: dict[str, str] = {}
    exclusions: dict[str, str] = {}
    begun: dict[str, dict[Origin, str]] = defaultdict(dict)
    for record in records:
        if record.status == "ok":
            begun[record.key.pass_name][record.key.round, record.details.unit] = record.started
        for name, samples in _readings(record).items():
            if names is not None and name not in names:
                continue
            rounds[name].append(samples)
            origins[name].append((record.key.round, record.details.unit))
            disturbances[name].append(is_disturbed(record.details))
            if launches.setdefault(name, record.launch) != record.launch:
                exclusions[name] = MIXED_LAUNCHES
            meter = record.details.meter if is_metered(name) else ""
            if meter and meters.setdefault(name, meter) != meter:
                exclusions[name] = MIXED_METERS
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
        meters=meters,
        disturbances={
            name: tuple(disturbances[name]) for name in comparable if any(disturbances[name])
        },
        begun=begun,
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


def estimate_of(name: str, rounds: Sequence[Sequence[float]]) -> Estimate:
    """The estimate of a metric by the readings of each round."""
    if metrics.described(name).kind == "exact":
        readings = {value for samples in rounds for value in samples}
        if len(readings) == 1:
            (value,) = readings
            return Estimate(value, value, value, "exact")
    return estimate(rounds)
