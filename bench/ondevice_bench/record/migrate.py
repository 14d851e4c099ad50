"""The versions of the store's format.

| version | since | what changed |
| --- | --- | --- |
| 1 | 0.1.0 | runs, cells, records, metrics, samples, earlier attempts |
"""

import contextlib
import sqlite3
import time
from functools import cache
from pathlib import Path

from ondevice_bench.errors import BadInput

APPLICATION_ID = 0x0BE7C401
VERSION = 1
DURABILITY = "FULL"  # a board may lose power at any moment

_SCHEMA = """
CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    suite TEXT NOT NULL,
    suite_text TEXT NOT NULL,
    title TEXT NOT NULL,
    definition TEXT NOT NULL,
    origin TEXT NOT NULL,
    created TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    profile TEXT NOT NULL,
    profile_text TEXT NOT NULL,
    machine TEXT NOT NULL,
    software TEXT NOT NULL,
    settings TEXT NOT NULL,
    command TEXT NOT NULL,
    finished TEXT
);
CREATE TABLE cells (
    run TEXT NOT NULL REFERENCES runs (id),
    position INTEGER NOT NULL,
    cell TEXT NOT NULL,
    profile TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    definition TEXT NOT NULL,
    PRIMARY KEY (run, profile, cell)
);
CREATE INDEX cells_by_fingerprint ON cells (fingerprint);
CREATE TABLE records (
    number INTEGER PRIMARY KEY,
    run TEXT NOT NULL REFERENCES runs (id),
    cell TEXT NOT NULL,
    pass TEXT NOT NULL,
    round INTEGER NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    launch TEXT NOT NULL,
    started TEXT NOT NULL,
    seconds REAL NOT NULL,
    output TEXT NOT NULL,
    unavailable TEXT NOT NULL,
    details TEXT NOT NULL,
    state_before TEXT NOT NULL,
    state_after TEXT NOT NULL,
    UNIQUE (run, cell, pass, round)
);
CREATE TABLE metrics (
    record INTEGER NOT NULL REFERENCES records (number) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (record, name)
);
CREATE TABLE samples (
    record INTEGER NOT NULL REFERENCES records (number) ON DELETE CASCADE,
    name TEXT NOT NULL,
    samples TEXT NOT NULL,
    PRIMARY KEY (record, name)
);
CREATE TABLE earlier_attempts (
    run TEXT NOT NULL REFERENCES runs (id),
    cell TEXT NOT NULL,
    pass TEXT NOT NULL,
    round INTEGER NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    started TEXT NOT NULL,
    output TEXT NOT NULL
);
"""

# MIGRATIONS[n] brings a store of version n + 1 to version n + 2
MIGRATIONS: tuple[str, ...] = ()


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make a new store's tables, or convert an older store to this version."""
    try:
        _distrust(connection)
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA synchronous = {DURABILITY}")
        _make_or_convert(connection, path)
        _use_write_ahead_log(connection)
    except BaseException:
        connection.close()
        raise


def _make_or_convert(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection, path)
        if version < VERSION:
            steps = (_SCHEMA,) if version == 0 else MIGRATIONS[version - 1 :]
            for statement in ";".join(steps).split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        _require_own_tables(connection, path)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch to the log. SQLite does not wait for the other processes that do it now."""
    for pause in (*[0.05] * 100, None):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if pause is None:
                raise
            time.sleep(pause)
        else:
            return


def require_current(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse to read a store that is not of this version."""
    _distrust(connection)
    version = _version(connection, path)
    if version == 0:
        raise BadInput(f"{path}: an empty file, not a store of bench")
    if version < VERSION:
        raise BadInput(
            f"{path}: written by an older bench (format {version}): `bench run` converts it"
        )
    _require_own_tables(connection, path)


def _distrust(connection: sqlite3.Connection) -> None:
    """Run no code that the file names, and check its pages."""
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")


def _require_own_tables(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a store whose tables are not exactly ours, and one that acts by itself.

    A view, a virtual table or a generated column could compute for ever when it is read.
    """
    if _objects(connection) != _own_objects():
        raise BadInput(f"{path}: its tables are not those of a store of bench")
    if connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'trigger'").fetchone():
        raise BadInput(f"{path}: has triggers, which no store of bench has")


def _objects(connection: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """What has the name of one of our tables or indexes."""
    return connection.execute(
        "SELECT type, name, sql FROM sqlite_master "
        "WHERE name IN ('runs', 'cells', 'cells_by_fingerprint', 'records', 'metrics', 'samples', "
        "'earlier_attempts') ORDER BY name LIMIT 20"
    ).fetchall()


@cache
def _own_objects() -> list[tuple[str, str, str]]:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(";".join((_SCHEMA, *MIGRATIONS)))
        return _objects(connection)


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """The store's format; 0 for an empty file."""
    application = _pragma(connection, "application_id")
    version = _pragma(connection, "user_version")
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application != APPLICATION_ID and (tables or application or version):
        raise BadInput(f"{path}: a SQLite file of another program, not a store of bench")
    if version > VERSION:
        raise BadInput(
            f"{path}: written by a newer bench (format {version}, this one knows up to {VERSION}): "
            "upgrade ondevice-bench"
        )
    return version


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
