"""A store may be damaged, or made by somebody else: it is drawn, or refused in one line."""

import os
import shutil
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ondevice_bench.analyse.summarise import summarise
from ondevice_bench.errors import BadInput
from ondevice_bench.record.store import Store
from tests.record.conftest import CELL, make_run, planned
from tests.report import synthetic
from tests.report.test_hostile import draw_everything

JSON = st.sampled_from(["{", "[]", "{}", "1", "null", '"x"', '{"a": 1}', "[" * 100_000, "[NaN]"])
VALUES = (
    JSON
    | st.text(max_size=8)
    | st.binary(max_size=8)
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
)
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT {} FROM n"


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A store with a run of two cells."""
    path = tmp_path_factory.mktemp("good") / "results.sqlite"
    cells = synthetic.cells()[:2]
    with Store.create(path) as store:
        store.add_run(synthetic.run_of(), synthetic.planned(cells))
        for record in synthetic.records(cells):
            store.add_record(record)
    return path


def change(path, *statements):
    """Change a store without the care of `Store`."""
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("PRAGMA ignore_check_constraints = ON")
        for statement, *values in statements:
            raw.execute(statement, values)


def read_all(path, which="text"):
    """Read whatever the store has, and draw it; or the line that says why not."""
    try:
        with Store.open(path) as store:
            summaries = [summarise(store, run) for run in store.runs()]
            for run in store.runs():
                store.statuses(run.id)
                store.seconds_by_fingerprint(run.machine)
    except BadInput as error:
        (line,) = error.lines
        assert line.startswith(f"{path}: ")
        assert len(line) < 500 + len(str(path))
        return line
    for summary in summaries:
        draw_everything(summary, which)
    return ""


COLUMNS = [
    (table, column)
    for table, columns in {
        "runs": "id suite title origin created commit_id profile machine software settings "
        "command finished",
        "cells": "position cell profile state reason fingerprint definition",
        "records": "cell pass round status reason launch started seconds output unavailable "
        "details state_before state_after",
        "metrics": "name value",
        "samples": "name samples",
    }.items()
    for column in columns.split()
]


@settings(max_examples=100)
@given(st.sampled_from(COLUMNS), VALUES, st.booleans())
def test_whatever_a_column_holds_is_drawn_or_refused_in_one_line(good, place, value, in_all):
    path = good.with_name("changed.sqlite")
    shutil.copy(good, path)
    table, column = place
    which = "" if in_all else f" WHERE rowid = (SELECT max(rowid) FROM {table})"
    try:
        change(path, (f"UPDATE OR REPLACE {table} SET {column} = ?{which}", value))
    except (sqlite3.IntegrityError, OverflowError, UnicodeEncodeError):
        return
    read_all(path)


@pytest.mark.parametrize(
    ("statements", "says"),
    [
        (("ALTER TABLE runs RENAME TO old", "CREATE VIEW runs AS SELECT * FROM old"), "tables"),
        (
            (
                "ALTER TABLE metrics RENAME TO old",
                "CREATE VIEW metrics AS " + ENDLESS.format("1 AS record, x AS name, x AS value"),
            ),
            "its tables are not those of a store of bench",
        ),
        (
            ("ALTER TABLE cells ADD COLUMN big AS (printf('%1000000000d', 1))",),
            "its tables are not",
        ),
        (("DROP TABLE samples",), "its tables are not"),
        (("DROP TABLE samples", "CREATE VIRTUAL TABLE samples USING fts5(record)"), "its tables"),
        (
            ("CREATE TRIGGER t AFTER INSERT ON runs BEGIN DELETE FROM runs; END",),
            "has triggers, which no store of bench has",
        ),
    ],
)
@pytest.mark.parametrize("way", [Store.open, Store.create])
def test_only_tables_of_ours_are_read_and_written(good, tmp_path, statements, says, way):
    path = tmp_path / "results.sqlite"
    shutil.copy(good, path)
    change(path, *((statement,) for statement in statements))
    with pytest.raises(BadInput, match=says) as caught:
        way(path)
    assert caught.value.lines[0].startswith(f"{path}: ")


def test_views_and_indexes_that_a_user_added_are_left_alone(good, tmp_path):
    path = tmp_path / "results.sqlite"
    shutil.copy(good, path)
    change(path, ("CREATE VIEW mine AS SELECT id FROM runs",), ("CREATE INDEX i ON runs (suite)",))
    change(path, ("ANALYZE",))
    assert read_all(path) == ""


def test_pages_that_are_read_again_and_again_come_to_an_end(tmp_path):
    path = tmp_path / "results.sqlite"
    with Store.create(path) as store:
        for number in range(100):
            store.add_run(make_run(f"r{number}", title="x" * 3000), planned(CELL))
    with closing(sqlite3.connect(path)) as raw:
        (root,) = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'runs'").fetchone()
        (size,) = raw.execute("PRAGMA page_size").fetchone()
    pages = bytearray(path.read_bytes())
    start = (root - 1) * size
    page = pages[start : start + size]
    assert page[0] == 5  # an inner page of a table
    cells = [int.from_bytes(page[at : at + 2]) for at in range(12, 12 + 2 * page[4], 2)][: page[4]]
    last = page[8:12]  # the page on the right becomes a second inner page
    again = bytearray(page)
    again[8:12] = page[cells[0] : cells[0] + 4]
    for at in cells:
        page[at : at + 4] = last
    pages[start : start + size] = page
    at = (int.from_bytes(last) - 1) * size
    pages[at : at + size] = again
    path.write_bytes(pages)
    assert "than it has room for" in read_all(path)


def test_a_text_that_is_no_utf8_is_refused_in_one_line(good, tmp_path):
    path = tmp_path / "results.sqlite"
    shutil.copy(good, path)
    change(path, ("UPDATE runs SET title = CAST(X'ff' AS TEXT)",))
    assert "Could not decode to UTF-8" in read_all(path)


def test_a_bad_store_breaks_no_other_one(bench, workplace, good):
    for name in ("good", "worse", "bad"):
        (workplace / "bench-out" / name).mkdir(parents=True)
        shutil.copy(good, workplace / "bench-out" / name / "results.sqlite")
    change(workplace / "bench-out/worse/results.sqlite", ("UPDATE runs SET machine = '{'",))
    (workplace / "bench-out/bad/results.sqlite").write_bytes(b"text")
    for words in (("list", "runs"), ("report", "r1", "--format", "text")):
        ended = bench(*words)
        assert ended.code == 0, ended.err
        assert ended.out
        lines = [line for line in ended.err.splitlines() if "left out" in line]
        assert [line.split(": ")[:3] for line in lines] == [
            ["bench", "left out", f"bench-out/{name}/results.sqlite"] for name in ("bad", "worse")
        ]
    ended = bench("report", "worse")
    assert ended.code == 2
    (line,) = ended.err.splitlines()
    assert line.startswith("bench: bench-out/worse/results.sqlite: damaged, or not made by bench")


@pytest.mark.parametrize("name", ["x.sqlite", "x.bundle", "x.json"])
def test_a_pipe_is_no_store(bench, workplace, name):
    os.mkfifo(workplace / name)
    ended = bench("compare", f"./{name}", f"./{name}", timeout=20)
    assert (ended.code, ended.err) == (2, f"bench: {name}: is not a regular file\n")
