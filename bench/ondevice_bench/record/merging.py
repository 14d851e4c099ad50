"""What an import adds to a run that a store has already."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from ondevice_bench.errors import BadInput
from ondevice_bench.record import rows
from ondevice_bench.record.model import BEGUN_WITH, Record, Run, Status
from ondevice_bench.record.rows import RecordRows
from ondevice_bench.suite.planned_cell import PlannedCell


class Attempt(Protocol):
    """A process of a run."""

    @property
    def status(self) -> Status:
        """How it ended."""

    @property
    def started(self) -> str:
        """When it began."""

    @property
    def unit(self) -> str:
        """Its board, in a run of a fleet; else empty."""


def replaces(new: Attempt, old: Attempt) -> bool:
    """Whether `new` is a later attempt that counts in place of `old`.

    A failure is repeated. In a fleet, so is what succeeded: a portion starts again on another board
    if the board that had begun it is lost. An older site does not know the boards of its processes.
    """
    if new.unit or old.unit:
        return new.started > old.started
    if (new.status == "ok") != (old.status == "ok"):
        return new.status == "ok"
    return new.status != "ok" and new.started > old.started


def merged_run(
    present: Run, known: Sequence[PlannedCell], run: Run, cells: Sequence[PlannedCell]
) -> Run | None:
    """Both as one run, if they are the same run at two moments; else None. Its plan may grow."""
    common = min(len(known), len(cells))
    if rows.cell_rows(run.id, known[:common]) != rows.cell_rows(run.id, cells[:common]):
        return None
    finished = max(filter(None, (present.finished, run.finished)), default=None)
    if len(known) != len(cells):
        later = run if len(cells) > len(known) else present
        finished, definition = later.finished, later.definition
        present, run = (replace(each, definition=definition) for each in (present, run))
    merged = replace(run, origin=present.origin, finished=finished)
    known_row = rows.run_row(replace(present.as_begun, finished=finished))
    is_same = known_row == rows.run_row(merged.as_begun)
    return merged if is_same else None


def went_on(present: Run, stored: Iterable[Attempt], run: Run, new: Iterable[Attempt]) -> bool:
    """Whether an imported run was continued by a command that the stored one does not know."""
    if (BEGUN_WITH in run.settings) != (BEGUN_WITH in present.settings):
        return BEGUN_WITH in run.settings
    last = max((each.started for each in stored), default="")
    return any(each.started > last for each in new)


def new_records(path: Path, stored: Iterable[Record], records: Iterable[Record]) -> list[Record]:
    """The records to store; BadInput if one of them contradicts the one in the store there."""
    by_key = {record.key: record for record in stored}
    return [each for each in records if _is_new(path, each, by_key.get(each.key))]


def _is_new(path: Path, record: Record, stored: Record | None) -> bool:
    """Whether to store an imported record; BadInput if it contradicts the stored one."""
    if stored is None:
        return True
    if RecordRows.of(record) == RecordRows.of(stored):
        return False
    if replaces(record, stored) or replaces(stored, record):
        return replaces(record, stored)
    raise BadInput(
        f"{path}: has another record of {record.key.cell} "
        f"({record.key.pass_name}, round {record.key.round}): nothing was imported"
    )
