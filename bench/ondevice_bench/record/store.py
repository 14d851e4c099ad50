"""The store: one SQLite file, every record in it the moment it exists."""

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ondevice_bench.errors import BadInput
from ondevice_bench.record import migrate
from ondevice_bench.record.details import Details
from ondevice_bench.record.model import Record, Run, TaskKey
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.planned_cell import PlannedCell

OUT = Path("bench-out")
FILE_NAME = "results.sqlite"
IMPORTED = "import"  # the origin of a run that came in a bundle: never gone on with

_RUN_COLUMNS = (
    "id",
    "suite",
    "suite_text",
    "title",
    "definition",
    "origin",
    "created",
    "commit_id",
    "profile",
    "profile_text",
    "machine",
    "software",
    "settings",
    "command",
    "finished",
)
_RUN_JSON = ("machine", "software", "settings")
_RECORD_JSON = ("unavailable", "details", "state_before", "state_after")


class Store:
    """Runs, their cells and records. One writer at a time; readers at any time."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self.path = path

    @staticmethod
    def create(path: Path) -> "Store":
        """Open the store for writing; make it where there is none."""
        _refuse_foreign(path)
        is_new = not path.exists()
        try:
            with _said(path):
                connection = sqlite3.connect(path, isolation_level=None, timeout=30)
                migrate.prepare(connection, path)
        except BadInput:
            if is_new:
                path.unlink(missing_ok=True)
            raise
        return Store(connection, path)

    @staticmethod
    def open(path: Path) -> "Store":
        """Open an existing store for reading."""
        if not path.exists():
            raise BadInput(f"{path}: no such store")
        _refuse_foreign(path)
        with _said(path):
            connection = _read_only(path)
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

    def remove(self) -> None:
        """Close and delete a store that has come to hold nothing."""
        self.close()
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def add_run(self, run: Run, cells: Iterable[PlannedCell]) -> None:
        """Store a run and its plan, whole or not at all."""
        with self._writing() as db:
            _insert_run(db, run, cells)

    def merge(self, run: Run, cells: Sequence[PlannedCell], records: Sequence[Record]) -> int:
        """Store what of an imported run is not there yet, all of it or nothing.

        Returns how many records are new; BadInput where the store has the run otherwise.
        """
        imported = replace(run, origin=IMPORTED)
        known = next(iter(self._runs("WHERE id = ?", run.id)), None)
        if known is not None:
            alike = replace(imported, origin=known.origin, finished=known.finished)
            if known != alike or self.cells(run.id) != tuple(cells):
                raise BadInput(f"{self.path}: has another run {run.id}: nothing was imported")
        stored = {record.key: record for record in self.records(run.id)}
        for record in records:
            if stored.get(record.key, record) != record:
                raise BadInput(
                    f"{self.path}: has another record of {record.key.cell} "
                    f"({record.key.pass_name}, round {record.key.round}): nothing was imported"
                )
        new = [record for record in records if record.key not in stored]
        with self._writing() as db:
            if known is None:
                _insert_run(db, imported, cells)
            elif run.finished is not None:
                db.execute("UPDATE runs SET finished = ? WHERE id = ?", (run.finished, run.id))
            for record in new:
                _insert_record(db, record)
        return len(new)

    def finish_run(self, run: str, finished: str) -> None:
        """Note that nothing of the run's plan is left to do."""
        with self._writing() as db:
            db.execute("UPDATE runs SET finished = ? WHERE id = ?", (finished, run))

    def add_record(self, record: Record) -> None:
        """Store a record with its metrics and samples; an earlier attempt is kept aside."""
        key = (record.run, record.key.cell, record.key.pass_name, record.key.round)
        with self._writing() as db:
            db.execute(
                "INSERT INTO earlier_attempts (run, cell, pass, round, status, reason, started, "
                "output) SELECT run, cell, pass, round, status, reason, started, output "
                "FROM records WHERE run = ? AND cell = ? AND pass = ? AND round = ?",
                key,
            )
            db.execute(
                "DELETE FROM records WHERE run = ? AND cell = ? AND pass = ? AND round = ?", key
            )
            _insert_record(db, record)

    def runs(self) -> tuple[Run, ...]:
        """Every run, the oldest first, wherever it was measured."""
        return self._runs("ORDER BY created, rowid")

    def run(self, run_id: str) -> Run:
        """The run of that id; KeyError where the store has none."""
        runs = self._runs("WHERE id = ?", run_id)
        if not runs:
            raise KeyError(run_id)
        return runs[0]

    def cells(self, run: str) -> tuple[PlannedCell, ...]:
        """The run's plan, in its order."""
        with _said(self.path):
            rows = self._db.execute(
                "SELECT definition, profile, state, reason FROM cells WHERE run = ? "
                "ORDER BY position",
                (run,),
            ).fetchall()
        return tuple(
            PlannedCell(Cell.from_dict(json.loads(definition)), profile, state, reason)
            for definition, profile, state, reason in rows
        )

    def statuses(self, run: str) -> dict[TaskKey, str]:
        """The status of every record of the run, without what it measured."""
        with _said(self.path):
            rows = self._db.execute(
                "SELECT cell, pass, round, status FROM records WHERE run = ?", (run,)
            ).fetchall()
        return {TaskKey(cell, name, number): status for cell, name, number, status in rows}

    def outcome(self, run: str, key: TaskKey) -> tuple[str, str, Details] | None:
        """Status, reason and details of one record; None where there is none yet."""
        with _said(self.path):
            row = self._db.execute(
                "SELECT status, reason, details FROM records "
                "WHERE run = ? AND cell = ? AND pass = ? AND round = ?",
                (run, key.cell, key.pass_name, key.round),
            ).fetchone()
        return None if row is None else (row[0], row[1], Details.from_dict(json.loads(row[2])))

    def records(self, run: str) -> tuple[Record, ...]:
        """Every record of the run, in the order in which they were stored."""
        with _said(self.path):
            metrics = self._grouped(run, "metrics", "value")
            samples = self._grouped(run, "samples", "samples")
            rows = self._db.execute(
                "SELECT number, cell, pass, round, status, reason, launch, started, seconds, "
                "output, unavailable, details, state_before, state_after FROM records "
                "WHERE run = ? ORDER BY number",
                (run,),
            ).fetchall()
        return tuple(
            Record(
                run=run,
                key=TaskKey(*row[1:4]),
                status=row[4],
                reason=row[5],
                launch=row[6],
                started=row[7],
                seconds=row[8],
                output=row[9],
                metrics=metrics.get(row[0], {}),
                samples={n: json.loads(v) for n, v in samples.get(row[0], {}).items()},
                **{
                    column: json.loads(text)
                    for column, text in zip(_RECORD_JSON, row[10:], strict=True)
                },
            )
            for row in rows
        )

    def seconds_by_fingerprint(self, machine: Mapping[str, Any]) -> dict[tuple[str, str], float]:
        """The latest duration of each (fingerprint, pass) that succeeded on that machine."""
        with _said(self.path):
            rows = self._db.execute(
                "SELECT cells.fingerprint, records.pass, records.seconds FROM records "
                "JOIN cells ON cells.run = records.run AND cells.cell = records.cell "
                "AND cells.state = 'planned' JOIN runs ON runs.id = records.run "
                "WHERE records.status = 'ok' AND runs.machine = ? ORDER BY records.number",
                (_json(machine),),
            ).fetchall()
        return {(fingerprint, name): seconds for fingerprint, name, seconds in rows}

    def _runs(self, clause: str, *values: str) -> tuple[Run, ...]:
        with _said(self.path):
            rows = self._db.execute(
                f"SELECT {', '.join(_RUN_COLUMNS)} FROM runs {clause}", values
            ).fetchall()
        return tuple(_run(row) for row in rows)

    def _grouped(self, run: str, table: str, column: str) -> dict[int, dict[str, Any]]:
        groups: dict[int, dict[str, Any]] = {}
        query = (
            f"SELECT record, name, {column} FROM {table} "
            "JOIN records ON records.number = record WHERE records.run = ?"
        )
        for number, name, value in self._db.execute(query, (run,)):
            groups.setdefault(number, {})[name] = value
        return groups

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is on disk when this ends, or none of it."""
        with _said(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def _insert_run(db: sqlite3.Connection, run: Run, cells: Iterable[PlannedCell]) -> None:
    db.execute(
        f"INSERT INTO runs ({', '.join(_RUN_COLUMNS)}) "
        f"VALUES ({', '.join('?' * len(_RUN_COLUMNS))})",
        [_run_value(run, column) for column in _RUN_COLUMNS],
    )
    db.executemany(
        "INSERT INTO cells (run, position, cell, profile, state, reason, fingerprint, "
        "definition) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                run.id,
                position,
                item.cell.id,
                item.profile,
                item.state,
                item.reason,
                item.cell.fingerprint,
                _json(item.cell.to_dict()),
            )
            for position, item in enumerate(cells)
        ],
    )


def _insert_record(db: sqlite3.Connection, record: Record) -> None:
    cursor = db.execute(
        "INSERT INTO records (run, cell, pass, round, status, reason, launch, started, "
        "seconds, output, unavailable, details, state_before, state_after) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            record.run,
            record.key.cell,
            record.key.pass_name,
            record.key.round,
            record.status,
            record.reason,
            record.launch,
            record.started,
            record.seconds,
            record.output,
            *(_json(getattr(record, column)) for column in _RECORD_JSON),
        ),
    )
    number = cursor.lastrowid
    db.executemany(
        "INSERT INTO metrics (record, name, value) VALUES (?, ?, ?)",
        [(number, name, value) for name, value in record.metrics.items()],
    )
    db.executemany(
        "INSERT INTO samples (record, name, samples) VALUES (?, ?, ?)",
        [(number, name, _json(values)) for name, values in record.samples.items()],
    )


def _read_only(path: Path) -> sqlite3.Connection:
    """Read beside a writer where possible; without touching the folder where it is read-only."""
    uri = path.resolve().as_uri()
    connection = sqlite3.connect(f"{uri}?mode=ro", uri=True, isolation_level=None)
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchall()
    except sqlite3.OperationalError:
        connection.close()
        if path.with_name(f"{path.name}-wal").exists():
            raise
        connection = sqlite3.connect(f"{uri}?mode=ro&immutable=1", uri=True, isolation_level=None)
    return connection


def _refuse_foreign(path: Path) -> None:
    """A clear word for what is no SQLite file at all, before SQLite touches it."""
    if path.is_dir():
        raise BadInput(f"{path}: is a folder, not a store")
    if not path.exists():
        return
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    if head and head != b"SQLite format 3\0":
        raise BadInput(f"{path}: not a store of bench (no SQLite file)")


@contextlib.contextmanager
def _said(path: Path) -> Iterator[None]:
    """SQLite's complaints as bad input: a full or read-only disk, a damaged or locked file."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise BadInput(f"{path}: {error}") from error


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _run_value(run: Run, column: str) -> Any:
    value = getattr(run, "commit" if column == "commit_id" else column)
    return _json(value) if column in _RUN_JSON else value


def _run(row: tuple[Any, ...]) -> Run:
    values = dict(zip(_RUN_COLUMNS, row, strict=True))
    values["commit"] = values.pop("commit_id")
    values.update({column: json.loads(values[column]) for column in _RUN_JSON})
    return Run(**values)
