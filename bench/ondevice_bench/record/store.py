"""The store: one SQLite file. Every record is stored as soon as it exists."""

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
PATIENCE = 30  # seconds that a writer waits for another one
IMPORTED = "import"  # the origin of a run from a bundle, which never resumes

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
_FIELDS = {"commit_id": "commit"}  # columns that are not named like their field
_RUN_JSON = ("machine", "software", "settings")
_RECORD_JSON = ("unavailable", "details", "state_before", "state_after")


class Store:
    """Runs, their cells and records. One writer at a time; readers at any time."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self.path = path

    @staticmethod
    def create(path: Path) -> "Store":
        """Open the store for writing; make it if there is none.

        It never deletes a file: another process may have filled it in the meantime.
        """
        _refuse_foreign(path)
        with _as_bad_input(path):
            connection = sqlite3.connect(path, isolation_level=None, timeout=PATIENCE)
            migrate.prepare(connection, path)
        return Store(connection, path)

    @staticmethod
    def open(path: Path) -> "Store":
        """Open an existing store for reading."""
        if not path.exists():
            raise BadInput(f"{path}: no such store")
        _refuse_foreign(path)
        with _as_bad_input(path):
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

    def add_run(self, run: Run, cells: Iterable[PlannedCell]) -> None:
        """Store a run and its plan, completely or not at all."""
        with self._writing() as db:
            _insert_run(db, run, cells)

    def merge(self, run: Run, cells: Sequence[PlannedCell], records: Sequence[Record]) -> int:
        """Store the new part of an imported run, completely or not at all.

        Returns the number of new records; BadInput if the store has a different run of this id.
        """
        with self._writing() as db:
            present = next(iter(self._runs("WHERE id = ?", run.id)), None)
            if present is None:
                _insert_run(db, replace(run, origin=IMPORTED), cells)
            else:
                finished = max(filter(None, (present.finished, run.finished)), default=None)
                merged = replace(run, origin=present.origin, finished=finished)
                if _run_row(replace(present, finished=finished)) != _run_row(merged) or (
                    _cell_rows(run.id, self.cells(run.id)) != _cell_rows(run.id, cells)
                ):
                    raise BadInput(f"{self.path}: has another run {run.id}: nothing was imported")
                db.execute("UPDATE runs SET finished = ? WHERE id = ?", (finished, run.id))
            stored = {record.key: record for record in self.records(run.id)}
            new = [record for record in records if self._is_new(record, stored.get(record.key))]
            for record in new:
                _replace_record(db, record)
        return len(new)

    def finish_run(self, run: str, finished: str) -> None:
        """Note that the run's plan is complete."""
        with self._writing() as db:
            db.execute("UPDATE runs SET finished = ? WHERE id = ?", (finished, run))

    def add_record(self, record: Record) -> None:
        """Store a record with metrics and samples. An earlier attempt moves to its own table."""
        with self._writing() as db:
            _replace_record(db, record)

    def runs(self) -> tuple[Run, ...]:
        """Every run, the oldest first, from all machines."""
        return self._runs("ORDER BY created, rowid")

    def run(self, run_id: str) -> Run:
        """The run with this id; KeyError if the store has none."""
        runs = self._runs("WHERE id = ?", run_id)
        if not runs:
            raise KeyError(run_id)
        return runs[0]

    def cells(self, run: str) -> tuple[PlannedCell, ...]:
        """The run's plan, in its order."""
        with _as_bad_input(self.path):
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
        """The status of every record of the run, without its measurements."""
        with _as_bad_input(self.path):
            rows = self._db.execute(
                "SELECT cell, pass, round, status FROM records WHERE run = ?", (run,)
            ).fetchall()
        return {TaskKey(cell, name, number): status for cell, name, number, status in rows}

    def outcome(self, run: str, key: TaskKey) -> tuple[str, str, Details] | None:
        """Status, reason and details of one record; None if it does not exist yet."""
        with _as_bad_input(self.path):
            row = self._db.execute(
                "SELECT status, reason, details FROM records "
                "WHERE run = ? AND cell = ? AND pass = ? AND round = ?",
                (run, key.cell, key.pass_name, key.round),
            ).fetchone()
        return None if row is None else (row[0], row[1], Details.from_dict(json.loads(row[2])))

    def records(self, run: str) -> tuple[Record, ...]:
        """Every record of the run, in the order in which they were stored."""
        with _as_bad_input(self.path):
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
        with _as_bad_input(self.path):
            rows = self._db.execute(
                "SELECT cells.fingerprint, records.pass, records.seconds FROM records "
                "JOIN cells ON cells.run = records.run AND cells.cell = records.cell "
                "AND cells.state = 'planned' JOIN runs ON runs.id = records.run "
                "WHERE records.status = 'ok' AND runs.machine = ? ORDER BY records.number",
                (_json(machine),),
            ).fetchall()
        return {(fingerprint, name): seconds for fingerprint, name, seconds in rows}

    def _is_new(self, record: Record, stored: Record | None) -> bool:
        """Whether to store an imported record; BadInput if it contradicts the stored one."""
        if stored is None:
            return True
        if _Rows.of(record) == _Rows.of(stored):
            return False
        first, second = sorted((record, stored), key=lambda each: each.started)
        if first.status != "ok" and first.started < second.started:  # a task that was repeated
            return second is record
        raise BadInput(
            f"{self.path}: has another record of {record.key.cell} "
            f"({record.key.pass_name}, round {record.key.round}): nothing was imported"
        )

    def _runs(self, clause: str, *values: str) -> tuple[Run, ...]:
        with _as_bad_input(self.path):
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
        """One transaction: at its end all of it is on disk, or none of it."""
        with _as_bad_input(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


@dataclass(frozen=True)
class _Rows:
    """A record as its rows. Equal records have equal rows, wherever they come from."""

    record: tuple[Any, ...]
    metrics: tuple[tuple[str, float], ...]
    samples: tuple[tuple[str, str], ...]

    @staticmethod
    def of(record: Record) -> "_Rows":
        return _Rows(
            (
                record.run,
                record.key.cell,
                record.key.pass_name,
                record.key.round,
                record.status,
                record.reason,
                record.launch,
                record.started,
                float(record.seconds),
                record.output,
                *(_json(getattr(record, column)) for column in _RECORD_JSON),
            ),
            tuple(sorted((name, float(value)) for name, value in record.metrics.items())),
            tuple(sorted((name, _json(values)) for name, values in record.samples.items())),
        )


def _insert_run(db: sqlite3.Connection, run: Run, cells: Iterable[PlannedCell]) -> None:
    db.execute(
        f"INSERT INTO runs ({', '.join(_RUN_COLUMNS)}) "
        f"VALUES ({', '.join('?' * len(_RUN_COLUMNS))})",
        _run_row(run),
    )
    db.executemany(
        "INSERT INTO cells (run, position, cell, profile, state, reason, fingerprint, "
        "definition) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        _cell_rows(run.id, cells),
    )


def _cell_rows(run: str, cells: Iterable[PlannedCell]) -> list[tuple[Any, ...]]:
    return [
        (
            run,
            position,
            item.cell.id,
            item.profile,
            item.state,
            item.reason,
            item.cell.fingerprint,
            _json(item.cell.to_dict()),
        )
        for position, item in enumerate(cells)
    ]


def _replace_record(db: sqlite3.Connection, record: Record) -> None:
    """Store a record. An earlier attempt of the same task moves to its own table."""
    rows = _Rows.of(record)
    key = rows.record[:4]
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
        rows.record,
    )
    number = cursor.lastrowid
    db.executemany(
        "INSERT INTO metrics (record, name, value) VALUES (?, ?, ?)",
        [(number, *row) for row in rows.metrics],
    )
    db.executemany(
        "INSERT INTO samples (record, name, samples) VALUES (?, ?, ?)",
        [(number, *row) for row in rows.samples],
    )


def _read_only(path: Path) -> sqlite3.Connection:
    """Open for reading beside a writer. If the folder is read-only, open without touching it."""
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
    """A clear error for a file that is not SQLite, before SQLite touches it."""
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
        raise BadInput(f"{path}: not a store of bench (not a SQLite file)")


@contextlib.contextmanager
def _as_bad_input(path: Path) -> Iterator[None]:
    """Errors of SQLite as bad input: a full or read-only disk, a damaged or locked file."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise BadInput(f"{path}: {error}") from error


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _run_row(run: Run) -> list[Any]:
    values = {column: getattr(run, _FIELDS.get(column, column)) for column in _RUN_COLUMNS}
    return [_json(v) if column in _RUN_JSON else v for column, v in values.items()]


def _run(row: tuple[Any, ...]) -> Run:
    values = dict(zip(_RUN_COLUMNS, row, strict=True))
    values.update({field: values.pop(column) for column, field in _FIELDS.items()})
    values.update({column: json.loads(values[column]) for column in _RUN_JSON})
    return Run(**values)
