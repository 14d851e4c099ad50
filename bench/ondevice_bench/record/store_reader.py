"""What a store holds: queries for runs, plans, records, and the room that they take."""

import contextlib
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from ondevice_bench.record import rows
from ondevice_bench.record.bounded_queries import BoundedQueries, Room, bytes_of
from ondevice_bench.record.details import OF_METER, Details
from ondevice_bench.record.measurement import Measurement
from ondevice_bench.record.model import Record, Run, TaskKey, status_of
from ondevice_bench.record.origin import AB
from ondevice_bench.record.run_lengths import QUERIES
from ondevice_bench.record.store_file import as_bad_input
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.units import by_time

_CELLS = 16  # cells that are read at once
# parts of a record's details; empty if they have another type
_UNIT = "iif(json_type(details, '$.unit') = 'text', json_extract(details, '$.unit'), '')"
_SHARE = (
    "iif(json_type(details, '$.foreign_cpu_share') IN ('real', 'integer'), "
    "json_extract(details, '$.foreign_cpu_share'), NULL)"
)
_NOTES = "iif(json_type(details, '$.notes') = 'array', json_extract(details, '$.notes'), '[]')"


class StoreReader:
    """Reads runs, their cells and records from an open store."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.path = path
        self._queries = BoundedQueries(connection, path)
        self._select = self._queries.rows

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
        return tuple(sorted(self.runs_as_added(), key=lambda run: by_time(run.created)))

    def last_added(self, suite: str, origin: str, profile: str | None = None) -> tuple[Run, ...]:
        """The runs of this suite and origin. The last stored is first, even if the clock was wrong.

        With a profile, those of that profile.
        """
        wanted = {"suite": suite, "origin": origin, "profile": profile}
        given = {name: value for name, value in wanted.items() if value is not None}
        where = " AND ".join(f"{name} = ?" for name in given)
        return self._runs(f"WHERE {where} ORDER BY rowid DESC", *given.values())

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
        """The status of every record of the run, in the order in which they were stored."""
        query = "SELECT cell, pass, round, status FROM records WHERE run = ? ORDER BY number"
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
        """The unit that measured each record of the run; empty if the record names none."""
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
        the measurements of other passes have no details but the unit of their board, the share of
        other programs, and their notes if one of these is about a meter.
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
            details = (
                f"CASE WHEN pass IN ({_places(details_of)}) THEN details "
                f"WHEN instr(details, '{OF_METER}') "
                f"THEN json_object('unit', {_UNIT}, 'foreign_cpu_share', {_SHARE}, "
                f"'notes', json({_NOTES})) "
                "WHEN instr(details, '\"unit\"') OR instr(details, '\"foreign_cpu_share\"') "
                f"THEN json_object('unit', {_UNIT}, 'foreign_cpu_share', {_SHARE}) ELSE '{{}}' END"
            )
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
        """The latest duration of each (key of a cell, pass) that succeeded on that machine.

        Processes of `bench ab` are left out: they are short, and wait for their turn.
        """
        this = f"run IN (SELECT id FROM runs WHERE machine = ? AND origin != '{AB}')"
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


def _places(values: Collection[str]) -> str:
    """A place for each of the values in a query."""
    return ", ".join("?" * len(values))
