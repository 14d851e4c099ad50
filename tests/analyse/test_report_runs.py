import pytest

from ondevice_bench.analyse.report_runs import report_runs
from ondevice_bench.record.store import Store
from tests.record.conftest import CELL, make_run, planned


@pytest.fixture
def folder(workplace):
    """A store with two runs of one board, and one of another."""
    path = workplace / "bench-out" / "quick" / "results.sqlite"
    path.parent.mkdir(parents=True)
    with Store.create(path) as store:
        for run_id, profile in (("r1", "x86"), ("r2", "pi5"), ("r3", "x86")):
            store.add_run(make_run(run_id, profile=profile), planned(CELL))
    return path.parent


def ids(selected):
    return [one.run.id for one in selected.summaries()]


def test_only_the_latest_runs_page_is_called_report(folder, workplace):
    assert ids(report_runs([])) == ["r3"]
    assert report_runs(["quick"]).page().resolve() == (folder / "report.html").resolve()
    assert report_runs(["r1", "r3"]).page().name == "report-r1.html"


def test_a_page_of_several_boards_does_not_overwrite_the_page_of_the_run(folder):
    assert report_runs([]).page(of_boards=True).name == "report-boards.html"
    assert report_runs(["r1"]).page(of_boards=True).name == "report-boards-r1.html"


def test_a_side_of_ab_is_no_other_board(folder):
    with Store.create(folder / "results.sqlite") as store:
        store.add_run(make_run("r4", profile="pi5", origin="ab"), planned(CELL))
    assert ids(report_runs(["r3"], other_boards=True)) == ["r3", "r2"]


def test_other_boards_stand_beside_the_first_run_once(folder):
    assert ids(report_runs(["r3"], other_boards=True)) == ["r3", "r2"]
    assert ids(report_runs(["r3", "r2"], other_boards=True)) == ["r3", "r2"]
    assert ids(report_runs(["r2"], other_boards=True)) == ["r2", "r3"]
