"""Whatever a user may name a run by leads to the same figures."""

import contextlib
import sqlite3

import pytest

from ondevice_bench.analyse.resolve_run import content_at, latest_summaries, summary_of
from ondevice_bench.errors import BadInput
from ondevice_bench.record import baseline, bundle
from ondevice_bench.record.run_json import RunContent
from ondevice_bench.record.store import Store
from tests.record.conftest import CELL, make_record, make_run, planned


@pytest.fixture
def content(workplace):
    """A run in a store, in a bundle, and as a baseline."""
    run = make_run("r1", finished="2026-01-01T00:01:00+00:00")
    record = make_record("r1", pass_name="trace", metrics={"activation_bytes": 5.0})
    found = RunContent(run, tuple(planned(CELL)), (record,))
    with Store.create(workplace / "x.sqlite") as store:
        store.merge(found.run, found.cells, found.records)
    bundle.write([found], workplace / "one.bundle")
    baseline.write(found, workplace / "main.json")
    return found


@pytest.mark.parametrize(
    "reference", ["x.sqlite", "./x.sqlite@r1", "one.bundle", "one.bundle@r1", "main.json"]
)
def test_a_run_is_the_same_wherever_it_is_kept(content, reference):
    found = summary_of(reference)
    assert found.run.id == content.run.id
    (cell,) = found.cells
    assert cell.id == CELL.id
    assert cell.estimates["activation_bytes"].estimate == 5


def test_a_latest_run_that_cannot_be_read_is_left_out_with_a_line(workplace, capsys):
    """As a cell of a later version of bench, in a store beside the others."""
    for suite in ("good", "later"):
        (workplace / "bench-out" / suite).mkdir(parents=True)
        path = workplace / "bench-out" / suite / "results.sqlite"
        with Store.create(path) as store:
            store.add_run(make_run(suite, suite=suite), planned(CELL))
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE cells SET definition = json_set(definition, '$.new', 1)")
    assert [each.run.id for each in latest_summaries()] == ["good"]
    assert "left out: bench-out/later/results.sqlite: damaged" in capsys.readouterr().err


def test_a_bundle_may_have_an_at_sign(content, workplace):
    (workplace / "one.bundle").rename(workplace / "o@ne.bundle")
    for reference in ("o@ne.bundle", "o@ne.bundle@r1"):
        assert summary_of(reference).run.id == content.run.id


def test_a_bundle_of_several_runs_needs_the_one_named(content, workplace):
    other = RunContent(make_run("r2"), content.cells, ())
    bundle.write([content, other], workplace / "two.bundle")
    assert summary_of("two.bundle@r2").run.id == "r2"
    with pytest.raises(
        BadInput, match=r"two.bundle: holds 2 runs: r1, r2: choose one with two.bundle@RUN"
    ):
        summary_of("two.bundle")
    with pytest.raises(BadInput, match=r"two.bundle: unknown run 'r3'; did you mean 'r\d'"):
        summary_of("two.bundle@r3")


@pytest.mark.parametrize("reference", ["none.bundle", "none.json", "none.sqlite", "none"])
def test_what_is_not_there_is_bad_input(workplace, reference):
    with pytest.raises(BadInput, match="none"):
        summary_of(reference)


def test_the_content_of_a_run_is_that_of_one_moment(tmp_path, monkeypatch):
    path, cells = tmp_path / "results.sqlite", Store.cells
    with Store.create(path) as store:
        store.add_run(make_run(), planned(CELL))

    def meanwhile(self, run):
        found = cells(self, run)
        with Store.create(path) as other:
            other.add_record(make_record())
        return found

    monkeypatch.setattr(Store, "cells", meanwhile)
    assert content_at(path, "r1").records == ()
