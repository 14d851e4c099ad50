"""Queries for the bytes of each run in a store: the length of its texts, and 8 for each number."""

from ondevice_bench.record.rows import RUN_COLUMNS


def _length(*columns: str) -> str:
    return " + ".join(f"length(CAST({column} AS BLOB))" for column in columns)


_RECORD = ("cell", "reason", "output", "unavailable", "details", "state_before", "state_after")
_OF_RECORDS = "FROM records JOIN {} ON record = number GROUP BY run"
# the rows of each query are the id of a run and a number of bytes
QUERIES = (
    f"SELECT id, {_length(*RUN_COLUMNS[1:-1])} FROM runs",
    f"SELECT run, sum({_length('cell', 'definition', 'reason')}) FROM cells GROUP BY run",
    f"SELECT run, sum({_length('reason', 'output')}) FROM earlier_attempts GROUP BY run",
    f"SELECT run, sum({_length(*_RECORD)}) FROM records GROUP BY run",
    f"SELECT run, sum(8 + {_length('name')}) {_OF_RECORDS.format('metrics')}",
    f"SELECT run, sum({_length('name', 'samples')}) {_OF_RECORDS.format('samples')}",
)
