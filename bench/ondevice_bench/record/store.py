"""The store: one SQLite file. Every record is stored as soon as it exists."""

import contextlib
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ondevice_bench.errors import BadInput
from ondevice_bench.record import migrate, rows
from ondevice_bench.record.bounded_queries import BoundedQueries, Room, bytes_of
from ondevice_bench.record.details import Details
from ondevice_bench.record.measurement import Measurement
from ondevice_bench.record.model import Record, Run, TaskKey, status_of
from ondevice_bench.record.origin import IMPORTED
from ondevice_bench.record.rows import RecordRows
from ondevice_bench.record.run_json import first_line
from ondevice_bench.record.run_lengths import QUERIES
from ondevice_bench.record.store_file import (
    as_bad_input,
    identity,
    read_only,
    refuse_foreign,
    require_locks,
)
from ondevice_bench.suite.planned_cell import PlannedCell

OUT = Path("bench-out")
FILE_NAME = "results.sqlite"
PATIENCE = 30  # seconds that a writer waits for another one

_CELLS = 16  # that are read at once


class Store:
    """Runs, their cells and records. One writer at a time; readers at any time."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self.path = path
        self._file = identity(path)
        self._queries = BoundedQueries(connection, path)
        self._select = self._queries.rows

    @staticmethod
    def create(path: Path) -> "Store":
        """Open the store for writing; make it if there is none.

        It never deletes a file: another process may have filled it in the meantime.
        """
        refuse_foreign(path)
        require_locks(path.parent)
        with as_bad_input(path):
            connection = sqlite3.connect(path, isolation_level=None, timeout=PATIENCE)
            migrate.prepare(connection, path)
        return Store(connection, path)

    @staticmethod
    def open(path: Path) -> "Store":
        """Open an existing store for reading."""
        if not path.exists():
            raise BadInput(f"{path}: no such store")
        refuse_foreign(path)
        with as_bad_input(path):
            connection = read_only(path)
            migrate.require_current(connection, path)
        return Store(connection, path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the last writer leaves one file, without a write-ahead log."""
        self._db.close()

    def add_run(self, run: Run, cells: Iterable[PlannedCell]) -> None:
        """Store a run and its plan, completely or not at all."""
        with self._writing() as db:
            _insert_run(db, run, cells)

    def add_finished(
        self, run: Run, cells: Iterable[PlannedCell], records: Iterable[Record]
    ) -> None:
        """Store a whole run, completely or not at all."""
        with self._writing() as db:
            _insert_run(db, run, cells)
            db.execute("UPDATE runs SET finished = ? WHERE id = ?", (run.finished, run.id))
            for record in records:
                _replace_record(db, record)

    def merge(self, run: Run, cells: Sequence[PlannedCell], records: Sequence[Record]) -> int:
        """Store the new part of an imported run, completely or not at all.

        Returns the number of new records; BadInput if the store has a different run of this id.
        """
        with self._writing() as db:
            merged, new = self.check_merge(run, cells, records)
            if merged is None:
                _insert_run(db, replace(run, origin=IMPORTED), cells)
            else:
                known = self.cells(run.id)
                update = "UPDATE runs SET definition = ?, finished = ? WHERE id = ?"
                db.execute(update, (merged.definition, merged.finished, run.id))
                _insert_cells(db, run.id, cells[len(known) :], len(known))
            for record in new:
                _replace_record(db, record)
        return len(new)

    def check_merge(
        self, run: Run, cells: Sequence[PlannedCell], records: Sequence[Record]
    ) -> tuple[Run | None, list[Record]]:
        """The stored run as a merge would leave it, or None without one; and the new records.

        BadInput if the store has a different run of this id, or another record of it.
        """
        present = next(iter(self._runs("WHERE id = ?", run.id)), None)
        if present is None:
            return None, list(records)
        merged = _merged(present, self.cells(run.id), run, cells)
        if merged is None:
            raise BadInput(f"{self.path}: has another run {run.id}: nothing was imported")
        stored = {record.key: record for record in self.records(run.id)}
        return merged, [each for each in records if self._is_new(each, stored.get(each.key))]

    def extend_run(self, run: Run, cells: Sequence[PlannedCell]) -> None:
        """Store a run with a larger plan: its definition, and the cells that it has not had.

        It is unfinished then.
        """
        with self._writing() as db:
            known = {item.cell.id for item in self.cells(run.id)}
            new = [item for item in cells if item.cell.id not in known]
            update = "UPDATE runs SET definition = ?, finished = NULL WHERE id = ?"
            db.execute(update, (run.definition, run.id))
            _insert_cells(db, run.id, new, len(known))

    def finish_run(self, run: str, finished: str) -> None:
        """Note that the run's plan is complete."""
        with self._writing() as db:
            db.execute("UPDATE runs SET finished = ? WHERE id = ?", (finished, run))

    def add_record(self, record: Record) -> None:
        """Store a record with metrics and samples. An earlier attempt moves to its own table."""
        with self._writing() as db:
            _replace_record(db, record)

    def remove(self, choose: Callable[[Sequence[Run]], Iterable[Run]]) -> tuple[Run, ...]:
        """Remove the runs that `choose` names, all of them or none; returns them.

        It is given all runs in the order of their storage. No other writer adds any meanwhile.
        """
        with self._writing() as db:
            gone = tuple(choose(self.runs_as_added()))
            for run in gone:
                for table in ("records", "earlier_attempts", "cells"):  # and what is of records
                    db.execute(f"DELETE FROM {table} WHERE run = ?", (run.id,))
                db.execute("DELETE FROM runs WHERE id = ?", (run.id,))
        return gone

    def shrink(self) -> str:
        """Give the room of what was removed back to the disk. Why it could not, or an empty text.

        The results are the same either way.
        """
        try:
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError as error:
            return first_line(error)
        return ""

    @property
    def file_bytes(self) -> int:
        """The bytes of the file and of its log."""
        return bytes_of(self.path)

    def bytes_by_run(self) -> dict[str, int]:
        """The length of all texts and numbers of each run. The file has more than these."""
        found: dict[str, int] = defaultdict(int)
        with as_bad_input(self.path), self.one_state():
            for query in QUERIES:
                for run, length in self._select(query, types=(str, int)):
                    found[run] += length
        return found

    def runs_as_added(self) -> tuple[Run, ...]:
        """Every run, in the order in which they were stored."""
        return self._runs("ORDER BY rowid")

    def runs(self) -> tuple[Run, ...]:
        """Every run, the oldest first, from all machines."""
        return self._runs("ORDER BY created, rowid")

    def last_added(self, suite: str, origin: str, profile: str | None = None) -> Run | None:
        """The run of this suite and origin that was stored last, whatever the clock said then.

        With a profile, the last one of that profile.
        """
        wanted = {"suite": suite, "origin": origin, "profile": profile}
        given = {name: value for name, value in wanted.items() if value is not None}
        where = " AND ".join(f"{name} = ?" for name in given)
        clause = f"WHERE {where} ORDER BY rowid DESC LIMIT 1"
        return next(iter(self._runs(clause, *given.values())), None)

    def run(self, run_id: str) -> Run:
        """The run with this id; KeyError if the store has none."""
        runs = self._runs("WHERE id = ?", run_id)
        if not runs:
            raise KeyError(run_id)
        return runs[0]

    def cells(self, run: str) -> tuple[PlannedCell, ...]:
        """The run's plan, in its order."""
        query = (
            "SELECT definition, profile, state, reason FROM cells WHERE run = ? ORDER BY position"
        )
        with as_bad_input(self.path):
            return tuple(map(rows.cell_of, self._select(query, run)))

    def statuses(self, run: str) -> dict[TaskKey, str]:
        """The status of every record of the run, without its measurements."""
        query = "SELECT cell, pass, round, status FROM records WHERE run = ?"
        with as_bad_input(self.path):
            return {
                TaskKey(cell, name, number): status_of(status)
                for cell, name, number, status in self._select(query, run)
            }

    def attempts(self, run: str) -> dict[TaskKey, tuple[str, str]]:
        """The status of every record of the run, and when its process began."""
        query = "SELECT cell, pass, round, status, started FROM records WHERE run = ?"
        types = (str, str, int, str, str)
        with as_bad_input(self.path):
            return {
                TaskKey(cell, name, number): (status, started)
                for cell, name, number, status, started in self._select(query, run, types=types)
            }

    def units(self, run: str) -> dict[TaskKey, str]:
        """The unit that measured each record of the run; empty where the record names none."""
        query = (
            "SELECT cell, pass, round, coalesce(json_extract(details, '$.unit'), '') "
            "FROM records WHERE run = ?"
        )
        with as_bad_input(self.path):
            found = {}
            for row in self._select(query, run):
                rows.require_types(row, (str, str, int, str))
                found[TaskKey(*row[:3])] = row[3]
            return found

    def outcome(self, run: str, key: TaskKey) -> tuple[str, str, Details] | None:
        """Status, reason and details of one record; None if it does not exist yet."""
        query = (
            "SELECT status, reason, details FROM records "
            "WHERE run = ? AND cell = ? AND pass = ? AND round = ?"
        )
        with as_bad_input(self.path):
            for row in self._select(query, run, key.cell, key.pass_name, key.round):
                rows.require_types(row, [str] * 3)
                return row[0], row[1], Details.from_dict(rows.mapping(row[2]))
        return None

    def metric(self, run: str, key: TaskKey, name: str) -> float | None:
        """One metric of one record; None if it has none."""
        query = (
            "SELECT value FROM metrics WHERE name = ? AND record IN (SELECT number FROM records "
            "WHERE run = ? AND cell = ? AND pass = ? AND round = ?)"
        )
        with as_bad_input(self.path):
            for row in self._select(query, name, run, key.cell, key.pass_name, key.round):
                rows.require_types(row, (float,))
                return float(row[0])
        return None

    def records(self, run: str) -> tuple[Record, ...]:
        """Every record of the run, in the order in which they were stored."""
        query = (
            "SELECT number, cell, pass, round, status, reason, launch, started, seconds, "
            "output, unavailable, details, state_before, state_after FROM records "
            "WHERE run = ? ORDER BY number"
        )
        with as_bad_input(self.path), self.one_state():
            metrics, samples = self._values_of("WHERE run = ?", run)
            return tuple(
                rows.record_of(run, row, metrics.get(row[0], {}), samples.get(row[0], {}))
                for row in self._select(query, run)
            )

    def measurements(
        self, run: str, details_of: Collection[str] | None = None
    ) -> Iterator[tuple[PlannedCell, tuple[Measurement, ...]]]:
        """Each cell of the run's plan with its measurements, in the plan's order.

        Only some cells are read at once, so a run may be larger than the memory. With `details_of`,
        the measurements of other passes have no details.
        """
        room, left = self._queries.room(), iter(self.cells(run))
        while some := tuple(islice(left, _CELLS)):
            names = [item.cell.id for item in some if item.state == "planned"]
            with as_bad_input(self.path):
                found = self._measurements_of(run, names, details_of, room)
            for item in some:
                yield item, tuple(found[item.cell.id]) if item.state == "planned" else ()

    def _measurements_of(
        self, run: str, cells: Sequence[str], details_of: Collection[str] | None, room: Room
    ) -> Mapping[str, list[Measurement]]:
        """The measurements of each of these cells."""
        found: dict[str, list[Measurement]] = {cell: [] for cell in cells}
        if not cells:
            return found
        where = f"WHERE run = ? AND cell IN ({_places(cells)})"
        details = "details"
        if details_of is not None:
            details = f"iif(pass IN ({_places(details_of)}), details, '{{}}')"
        query = (
            f"SELECT cell, number, {', '.join(rows.MEASUREMENT_COLUMNS)}, {details} FROM records "
            f"{where} ORDER BY number"
        )
        with self.one_state():
            metrics, samples = self._values_of(where, run, *cells, room=room)
            for cell, *row in self._select(query, *(details_of or ()), run, *cells, room=room):
                number = row[0]
                found[cell].append(
                    rows.measurement_of(cell, row, metrics.get(number, {}), samples.get(number, {}))
                )
        return found

    def seconds_by_fingerprint(self, machine: Mapping[str, Any]) -> dict[tuple[str, str], float]:
        """The latest duration of each (key of a cell, pass) that succeeded on that machine."""
        this = "run IN (SELECT id FROM runs WHERE machine = ?)"
        of_cells = f"SELECT run, cell, fingerprint FROM cells WHERE state = 'planned' AND {this}"
        of_records = (
            f"SELECT run, cell, pass, seconds FROM records WHERE status = 'ok' AND {this} "
            "ORDER BY number"
        )
        seconds: dict[tuple[str, str], float] = {}
        with as_bad_input(self.path):
            known = rows.json_text(machine)
            fingerprints: dict[tuple[str, str], str] = {}
            for row in self._select(of_cells, known):
                rows.require_types(row, (str, str, str))
                fingerprints[row[0], row[1]] = row[2]
            for row in self._select(of_records, known):
                rows.require_types(row, (str, str, str, float))
                fingerprint = fingerprints.get((row[0], row[1]))
                if fingerprint is not None:
                    seconds[fingerprint, row[2]] = row[3]
        return seconds

    def _is_new(self, record: Record, stored: Record | None) -> bool:
        """Whether to store an imported record; BadInput if it contradicts the stored one."""
        if stored is None:
            return True
        if RecordRows.of(record) == RecordRows.of(stored):
            return False
        if (record.status == "ok") != (stored.status == "ok"):  # only a failure is repeated
            return record.status == "ok"
        if record.status != "ok" and record.started != stored.started:
            return record.started > stored.started
        raise BadInput(
            f"{self.path}: has another record of {record.key.cell} "
            f"({record.key.pass_name}, round {record.key.round}): nothing was imported"
        )

    def one_state(self) -> contextlib.AbstractContextManager[None]:
        """All queries within see the file in the same state, whatever a writer does."""
        return self._queries.one_state()

    def _runs(self, clause: str, *values: str) -> tuple[Run, ...]:
        query = f"SELECT {', '.join(rows.RUN_COLUMNS)} FROM runs {clause}"
        with as_bad_input(self.path):
            return tuple(map(rows.run_of, self._select(query, *values)))

    def _values_of(
        self, where: str, *values: str, room: Room | None = None
    ) -> tuple[Mapping[int, dict[str, float]], Mapping[int, dict[str, list[float]]]]:
        """The metrics and the samples of records, by the record's number."""
        numbers = f"WHERE record IN (SELECT number FROM records {where})"
        metrics: dict[int, dict[str, float]] = defaultdict(dict)
        query = f"SELECT record, name, value FROM metrics {numbers}"
        for record, name, value in self._select(query, *values, room=room, types=(int, str, float)):
            metrics[record][name] = value
        samples: dict[int, dict[str, list[float]]] = defaultdict(dict)
        query = f"SELECT record, name, samples FROM samples {numbers}"
        for record, name, text in self._select(query, *values, room=room, types=(int, str, str)):
            samples[record][name] = rows.samples_of(text)
        return metrics, samples

    def _require_in_place(self) -> None:
        """Refuse to write into a file that has no name any more."""
        if identity(self.path) != self._file:
            raise BadInput(f"{self.path}: was deleted or replaced, so its results are lost")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: at its end all of it is on disk, or none of it."""
        with as_bad_input(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._require_in_place()
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def _insert_run(db: sqlite3.Connection, run: Run, cells: Iterable[PlannedCell]) -> None:
    db.execute(
        f"INSERT INTO runs ({', '.join(rows.RUN_COLUMNS)}) "
        f"VALUES ({', '.join('?' * len(rows.RUN_COLUMNS))})",
        rows.run_row(run),
    )
    _insert_cells(db, run.id, cells)


def _merged(
    present: Run, known: Sequence[PlannedCell], run: Run, cells: Sequence[PlannedCell]
) -> Run | None:
    """The run that both are, at two moments; None if they are not. Its plan may have grown."""
    common = min(len(known), len(cells))
    if rows.cell_rows(run.id, known[:common]) != rows.cell_rows(run.id, cells[:common]):
        return None
    finished = max(filter(None, (present.finished, run.finished)), default=None)
    if len(known) != len(cells):
        later = run if len(cells) > len(known) else present
        finished, definition = later.finished, later.definition
        present, run = (replace(each, definition=definition) for each in (present, run))
    merged = replace(run, origin=present.origin, finished=finished)
    is_same = rows.run_row(replace(present, finished=finished)) == rows.run_row(merged)
    return merged if is_same else None


def _insert_cells(
    db: sqlite3.Connection, run: str, cells: Iterable[PlannedCell], first: int = 0
) -> None:
    db.executemany(
        "INSERT INTO cells (run, position, cell, profile, state, reason, fingerprint, "
        "definition) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        rows.cell_rows(run, cells, first),
    )


def _replace_record(db: sqlite3.Connection, record: Record) -> None:
    """Store a record. An earlier attempt of the same task moves to its own table."""
    its = RecordRows.of(record)
    key = its.record[:4]
    db.execute(
        "INSERT INTO earlier_attempts (run, cell, pass, round, status, reason, started, "
        "output) SELECT run, cell, pass, round, status, reason, started, output "
        "FROM records WHERE run = ? AND cell = ? AND pass = ? AND round = ?",
        key,
    )
    db.execute("DELETE FROM records WHERE run = ? AND cell = ? AND pass = ? AND round = ?", key)
    cursor = db.execute(
        "INSERT INTO records (run, cell, pass, round, status, reason, launch, started, "
        "seconds, output, unavailable, details, state_before, state_after) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        its.record,
    )
    number = cursor.lastrowid
    db.executemany(
        "INSERT INTO metrics (record, name, value) VALUES (?, ?, ?)",
        [(number, *row) for row in its.metrics],
    )
    db.executemany(
        "INSERT INTO samples (record, name, samples) VALUES (?, ?, ?)",
        [(number, *row) for row in its.samples],
    )


def _places(values: Collection[str]) -> str:
    """A place for each of the values in a query."""
    return ", ".join("?" * len(values))
