"""The store: one SQLite file. Every record is stored as soon as it exists."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from ondevice_bench.errors import BadInput, first_line
from ondevice_bench.record import migrate, rows
from ondevice_bench.record.merging import merged_run, new_records, went_on
from ondevice_bench.record.model import Record, Run
from ondevice_bench.record.origin import after_import
from ondevice_bench.record.rows import RecordRows
from ondevice_bench.record.run_json import checked_cell
from ondevice_bench.record.store_file import (
    as_bad_input,
    identity,
    read_only,
    refuse_foreign,
    require_locks,
)
from ondevice_bench.record.store_reader import StoreReader
from ondevice_bench.suite.planned_cell import PlannedCell

OUT = Path("bench-out")
FILE_NAME = "results.sqlite"
PATIENCE = 30  # seconds that a writer waits for another one


class Store(StoreReader):
    """Runs, their cells and records. One writer at a time; readers at any time."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        super().__init__(connection, path)
        self._db = connection
        self._file = identity(path)

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
                _insert_run(db, replace(run, origin=after_import(run.origin)), cells)
            else:
                known = self.cells(run.id)
                settings = rows.json_text(merged.settings)
                update = "UPDATE runs SET definition = ?, finished = ?, settings = ? WHERE id = ?"
                db.execute(update, (merged.definition, merged.finished, settings, run.id))
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
        merged = merged_run(present, self.cells(run.id), run, cells)
        if merged is None:
            raise BadInput(f"{self.path}: has another run {run.id}: nothing was imported")
        stored = self.records(run.id)
        new = new_records(self.path, stored, records)
        later = run if went_on(present, stored, run, new) else present
        return replace(merged, settings=later.settings), new

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

    def change_settings(self, run: Run) -> None:
        """Store the settings of a run again."""
        with self._writing() as db:
            values = (rows.json_text(run.settings), run.id)
            db.execute("UPDATE runs SET settings = ? WHERE id = ?", values)

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

    def _require_in_place(self) -> None:
        """Refuse to write into a file that no longer has a name."""
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
    row = rows.run_row(run)
    with _readable():
        rows.run_of(tuple(row))
    db.execute(
        f"INSERT INTO runs ({', '.join(rows.RUN_COLUMNS)}) "
        f"VALUES ({', '.join('?' * len(rows.RUN_COLUMNS))})",
        row,
    )
    _insert_cells(db, run.id, cells)


def _insert_cells(
    db: sqlite3.Connection, run: str, cells: Iterable[PlannedCell], first: int = 0
) -> None:
    found = rows.cell_rows(run, cells, first)
    with _readable():
        for *_, definition in found:
            checked_cell(definition)
    db.executemany(
        "INSERT INTO cells (run, position, cell, profile, state, reason, fingerprint, "
        "definition) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        found,
    )


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """Refuse what no command could read again, before anything is measured for it."""
    try:
        yield
    except ValueError as error:
        raise BadInput(f"the run cannot be stored: {first_line(error)}") from None


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
