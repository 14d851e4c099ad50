"""Readings that other programs disturbed, in simulated histories of which the truth is known."""

from dataclasses import replace
from statistics import median

import pytest

from ondevice_bench.analyse.history import HistoryQuery, history_of
from ondevice_bench.analyse.select_runs import stored_runs
from ondevice_bench.record.run_json import RunContent
from ondevice_bench.record.store import Store
from ondevice_bench.site.board_history import board_history
from ondevice_bench.site.make_digest import digest_of
from ondevice_bench.site.places import Board
from tests.record.conftest import CELL, make_record, make_run, planned

RUNS, SLOW_FROM, PROCESSES = 30, 18, 3
STEP = "step_seconds"


def contents(busy):
    """Runs of one cell. From the eighteenth on, these processes of a run are busy and slow."""
    found = []
    for number in range(RUNS):
        run = make_run(
            f"r{number:02}",
            created=f"2026-03-{number + 1:02}T00:00:00+00:00",
            finished=f"2026-03-{number + 1:02}T00:10:00+00:00",
        )
        records = []
        for process in range(1, PROCESSES + 1):
            is_busy = number >= SLOW_FROM and process in busy
            pace = (1.5 if is_busy else 1.0) * (1 + 0.002 * ((7 * number + process) % 5))
            records.append(
                make_record(
                    run.id,
                    number=process,
                    metrics={STEP: pace},
                    samples={STEP: [pace]},
                    details={"foreign_cpu_share": 0.6 if is_busy else 0.0},
                    started=f"2026-03-{number + 1:02}T00:0{process}:00+00:00",
                )
            )
        found.append(RunContent(run, tuple(planned(CELL)), tuple(records)))
    return found


def of_store(found, folder):
    path = folder / "results.sqlite"
    with Store.create(path) as store:
        for each in found:
            store.merge(each.run, each.cells, each.records)
    runs = stored_runs([path])
    readings = (reading for one in runs for reading in one.readings)
    return history_of([one.run for one in runs], readings, HistoryQuery())


def of_site(found, _):
    digests = [digest_of(each) for each in found]
    return board_history(Board.of(found[0].run), digests, {}).history


@pytest.fixture(params=[of_store, of_site], ids=["store", "site"])
def history(request, tmp_path):
    return lambda found: request.param(found, tmp_path)


def without_marks(found):
    """The same runs, but nobody watched the machine."""
    return [
        replace(each, records=tuple(replace(record, details={}) for record in each.records))
        for each in found
    ]


def test_a_disturbed_reading_founds_no_change(history):
    """All processes of the last twelve runs were slow, because another program ran."""
    (series,) = (one for one in history(contents({1, 2, 3})).series if one.metric == STEP)
    assert series.changes == ()
    assert [point.place for point in series.points] == list(range(SLOW_FROM))


def test_the_same_readings_are_a_change_if_nothing_disturbed_them(history):
    found = history(without_marks(contents({1, 2, 3})))
    (series,) = (one for one in found.series if one.metric == STEP)
    assert [change.kind for change in series.changes] == ["stepped"]
    assert len(series.points) == RUNS


def test_the_quiet_processes_of_a_run_are_its_reading(history):
    """Two of three processes were disturbed: the third one says that nothing changed."""
    made = contents({1, 2})
    (series,) = (one for one in history(made).series if one.metric == STEP)
    assert series.changes == ()
    for point, content in zip(series.points, made, strict=True):
        quiet = [r.metrics[STEP] for r in content.records if not r.details["foreign_cpu_share"]]
        assert point.estimate.estimate == pytest.approx(median(quiet))
