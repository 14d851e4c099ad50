"""Reads the ids of cells in a store, for completion in a shell: fast, without checks of rows.

Only these names are read. If a file is not a store, or is too slow to read, the answer is empty.
"""

import contextlib
import itertools
import sqlite3
from pathlib import Path

MOST = 2_000  # names; more of them are of no use
_STEPS = 2_000_000  # of SQLite's machine; a store of thousands of cells takes fewer
# a view with this name could compute for ever
_QUERY = "SELECT DISTINCT cell FROM cells LIMIT ?"
_IS_TABLE = "SELECT 1 FROM sqlite_master WHERE name = 'cells' AND type = 'table'"


def cell_names(path: Path) -> list[str]:
    """The ids of the cells in this store. None of them has a control character."""
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=0.05)
        with contextlib.closing(connection):
            connection.execute("PRAGMA trusted_schema = OFF")
            looks = iter(range(10))
            connection.set_progress_handler(lambda: next(looks, None) is None, _STEPS // 10)
            if connection.execute(_IS_TABLE).fetchone() is None:
                return []
            rows = itertools.islice(connection.execute(_QUERY, (MOST,)), MOST)
            return [cell for (cell,) in rows if isinstance(cell, str) and cell.isprintable()]
    except (sqlite3.Error, ValueError, OSError):
        return []
