"""Queries that end: a damaged or hostile file gives no more than a file of its size can hold."""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from ondevice_bench.record import rows
from ondevice_bench.record.rows import Row

# a damaged tree of pages can lead to the same page again and again
STEPS_A_BYTE = 32  # of SQLite's machine, for one query; our rows need 10 to 37 each
_STEPS = 10_000  # between two looks at the count
_SOME = 64  # rows that are read at once


class Room:
    """What a file of this size can hold: the bytes of rows, and the steps to read them."""

    def __init__(self, size: int) -> None:
        self.bytes = size
        self.looks = iter(range(100 + self.bytes * STEPS_A_BYTE // _STEPS))


class BoundedQueries:
    """Reads the rows of one connection to a store."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db, self._path = connection, path
        self._room: Room | None = None  # of the query of the moment
        self._size: int | None = None  # of the file, while all queries see one state of it
        connection.set_progress_handler(self._has_too_many_steps, _STEPS)

    @contextlib.contextmanager
    def one_state(self) -> Iterator[None]:
        """All queries within see the file in the same state, whatever a writer does."""
        is_first = not self._db.in_transaction
        if is_first:
            self._db.execute("BEGIN")
        try:
            if is_first:
                self._size = bytes_of(self._path)
            yield
        finally:  # SQLite ends it itself where memory or a disk fails
            if is_first:
                self._size = None
            if is_first and self._db.in_transaction:
                self._db.execute("COMMIT")

    def room(self) -> Room:
        """Room for all that the file holds. Queries for different parts of it may share it."""
        return Room(bytes_of(self._path) if self._size is None else self._size)

    def rows(
        self,
        query: str,
        *values: str | int,
        room: Room | None = None,
        types: Sequence[type] | None = None,
    ) -> Iterator[Row]:
        """The rows of a query; ValueError if there are more than the room can hold.

        The values have these types, or it is a ValueError, too.
        """
        room = self._room = room or self.room()
        try:
            cursor = self._db.execute(query, values)
            while some := cursor.fetchmany(_SOME):
                room.bytes -= len(some) + rows.text_length(some, types)
                if room.bytes < 0:
                    raise ValueError("more rows than it has room for")
                yield from some
                if len(some) < _SOME:
                    break
        except sqlite3.OperationalError as error:
            code = getattr(error, "sqlite_errorcode", None)  # none for text that is no UTF-8
            if code == sqlite3.SQLITE_INTERRUPT:
                raise ValueError("more pages than it has room for") from None
            raise
        finally:
            if self._room is room:
                self._room = None

    def _has_too_many_steps(self) -> bool:
        """Whether a query has taken more steps than the file has room for; SQLite asks it."""
        return self._room is not None and next(self._room.looks, None) is None


def bytes_of(path: Path) -> int:
    """The bytes of a store and of its log."""
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())
