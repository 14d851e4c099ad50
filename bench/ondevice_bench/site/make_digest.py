"""Makes the digest of a whole run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from statistics import median
from typing import Any

from ondevice_bench import metrics
from ondevice_bench.analyse.changed_settings import SETTINGS, setting_text
from ondevice_bench.analyse.history import METRICS
from ondevice_bench.analyse.series import TRAITS
from ondevice_bench.analyse.summarise import summarise_content
from ondevice_bench.analyse.summary import CellSummary
from ondevice_bench.record import rows
from ondevice_bench.record.model import Run
from ondevice_bench.record.rows import RecordRows
from ondevice_bench.record.run_json import RunContent
from ondevice_bench.site import digest_file
from ondevice_bench.site.digest import CellDigest, Digest, Process, RunFacts, hash_of
from ondevice_bench.suite.planned_cell import PlannedCell


def digest_of(content: RunContent) -> Digest:
    """The digest of a whole run. BadInput if its names are too long for a page."""
    records = sorted(content.records, key=lambda r: (r.key.cell, r.key.pass_name, r.key.round))
    run = content.run
    summary = summarise_content(replace(content, records=tuple(records)))
    processes: dict[str, dict[str, Process]] = {}
    for record in records:
        name = f"{record.key.pass_name}/{record.key.round}"
        content_hash = hash_of(_plain_rows(RecordRows.of(record)))
        process = Process(record.status, record.started, content_hash, record.unit)
        processes.setdefault(record.key.cell, {})[name] = process
    facts = RunFacts(
        id=run.id,
        suite=run.suite,
        title=_shortened(run.title),
        created=run.created,
        finished=run.finished,
        commit=run.commit,
        profile=run.profile,
        machine=run.machine,
        software=run.software,
        interleaved=summary.is_interleaved,
        identity=identity_of(run, content.cells),
        begun=hash_of(_row_of(replace(run, definition=""))),
        plan=tuple(hash_of(list(each)) for each in rows.cell_rows(run.id, content.cells)),
        settings=_settings_of(run),
    )
    cells = tuple(_digest_of_cell(each, processes.get(each.id, {})) for each in summary.planned)
    # reading checks the digest, so that a site never writes what it cannot read
    return digest_file.read(f"run {run.id}", digest_file.text_of(Digest(facts, cells)))


def identity_of(run: Run, cells: Iterable[PlannedCell]) -> str:
    """A hash of a run's definition and plan, without its origin and its end."""
    return hash_of([_row_of(run), [list(each) for each in rows.cell_rows(run.id, cells)]])


def _settings_of(run: Run) -> dict[str, Any]:
    """The settings that a change may come from."""
    kept = {name: run.settings[name] for name in SETTINGS if name in run.settings}
    if "power" in kept:
        kept["power"] = _shortened(setting_text(kept["power"]))
    return kept


def _row_of(run: Run) -> list[Any]:
    """The row of a run without its origin and its end."""
    return rows.run_row(replace(run.as_begun, origin="", finished=None))


def _digest_of_cell(summary: CellSummary, processes: Mapping[str, Process]) -> CellDigest:
    trace = summary.details_of("trace")
    names = [name for name in METRICS if name in summary.estimates]
    return CellDigest(
        cell=summary.planned.cell,
        status=summary.status,
        processes=processes,
        estimates={name: summary.estimates[name] for name in names},
        launches={
            name: summary.launches[name] if metrics.BY_NAME[name].kind == "noisy" else ""
            for name in names
        },
        rounds={
            name: tuple(median(samples) for samples in summary.samples[name] if samples)
            for name in names
            if metrics.BY_NAME[name].kind == "noisy"
        },
        units={
            name: tuple(
                unit
                for (_, unit), samples in zip(
                    summary.origins[name], summary.samples[name], strict=True
                )
                if samples
            )
            for name in names
            if metrics.BY_NAME[name].kind == "noisy" and name in summary.origins
        },
        disturbances={
            name: tuple(
                is_disturbed
                for is_disturbed, samples in zip(
                    summary.disturbances[name], summary.samples[name], strict=True
                )
                if samples
            )
            for name in names
            if metrics.BY_NAME[name].kind == "noisy" and name in summary.disturbances
        },
        meters={name: _shortened(summary.meters[name]) for name in names if name in summary.meters},
        traits={name: hash_of(_plain(getattr(trace, name))) for name in TRAITS},
    )


def _plain(trait: Any) -> Any:
    return {k: asdict(v) for k, v in trait.items()} if isinstance(trait, Mapping) else trait


def _plain_rows(found: RecordRows) -> Sequence[Any]:
    return [list(found.record), [list(m) for m in found.metrics], [list(s) for s in found.samples]]


def _shortened(title: str) -> str:
    return title if len(title) <= 200 else f"{title[:199]}…"
