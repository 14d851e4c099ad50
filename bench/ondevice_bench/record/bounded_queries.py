"""Queries with limits: a damaged or hostile file cannot return more than its size allows."""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from ondevice_bench.record import rows
from ondevice_bench.record.rows import Row

# in a damaged tree of pages, a query can visit the same page again and again
STEPS_A_BYTE = 32  # of SQLite's virtual machine, for one query; our rows need 10 to 37 each
_STEPS_BETWEEN_CHECKS = 10_000
_ROWS_AT_ONCE = 64


class Room:
    """The limits of a query, by the size of the file: bytes of rows, and steps to read them."""

    def __init__(self, size: int) -> None:
        self.bytes = size
        self.checks = iter(range(100 + self.bytes * STEPS_A_BYTE // _STEPS_BETWEEN_CHECKS))


class BoundedQueries:
    """Reads the rows of one connection to a store."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db, self._path = connection, path
        self._room: Room | None = None  # of the current query
        self._size: int | None = None  # of the file, while all queries see one state of it
        connection.set_progress_handler(self._has_too_many_steps, _STEPS_BETWEEN_CHECKS)

    @contextlib.contextmanager
    def one_state(self) -> Iterator[None]:
        """All queries in this context see the same state of the file, even if somebody writes."""
        is_first = not self._db.in_transaction
        if is_first:
            self._db.execute("BEGIN")
        try:
            if is_first:
                self._size = bytes_of(self._path)
            yield
        finally:  # SQLite has ended the transaction itself if memory or the disk failed
            if is_first:
                self._size = None
            if is_first and self._db.in_transaction:
                self._db.execute("COMMIT")

    def room(self) -> Room:
        """The limits for one reading of the whole file. Queries for parts of it may share them."""
        return Room(bytes_of(self._path) if self._size is None else self._size)

    def rows(
        self,
        query: str,
        *values: str | int,
        room: Room | None = None,
        types: Sequence[type] | None = None,
    ) -> Iterator[Row]:
        """The rows of a query; ValueError if there are more than the file has room for.

        A value of another type than these is a ValueError, too.
        """
        room = self._room = room or self.room()
        try:
            cursor = self._db.execute(query, values)
            while some := cursor.fetchmany(_ROWS_AT_ONCE):
                room.bytes -= len(some) + rows.text_length(some, types)
                if room.bytes < 0:
                    raise ValueError("more rows than it has room for")
                yield from some
                if len(some) < _ROWS_AT_ONCE:
                    break
        except sqlite3.OperationalError as error:
            code = getattr(error, "sqlite_errorcode", None)  # none for text that is not UTF-8
            if code == sqlite3.SQLITE_INTERRUPT:
                raise ValueError("more pages than it has room for") from None
            raise
        finally:
            if self._room is room:
                self._room = None

    def _has_too_many_steps(self) -> bool:
        """Whether the query has taken more steps than its limit. SQLite calls this."""
        return self._room is not None and next(self._room.checks, None) is None


def bytes_of(path: Path) -> int:
    """The bytes of a store and of its log."""
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())
