"""A metric is one row and its measurement: `step_minor_faults`, in every place that a row reaches."""

import re
import shutil

import pytest

from ondevice_bench import metrics
from ondevice_bench.analyse.compare import compare
from ondevice_bench.analyse.summarise import summarise
from ondevice_bench.record.store import Store
from ondevice_bench.report.page import render
from ondevice_bench.report.terminal.comparison import comparison_lines
from ondevice_bench.suite.goal import GOALS
from ondevice_bench.suite.load import load_suite
from tests.analyse.test_count_of_zero import FAULTS, counted
from tests.conftest import ROOT, TINY
from tests.record.conftest import make_run, planned
from tests.report import synthetic
from tests.report.test_page import drawn

STORE = ROOT / "tests" / "record" / "samples" / "store-v1.sqlite"


@pytest.fixture
def run_of(summary_of):
    """A run of two methods, with every metric that a page shows and these counts."""

    def make(name, *counts):
        cells = synthetic.cells()[: len(counts)]
        others = [r for r in synthetic.records(cells, name) if r.key.pass_name != "time"]
        faults = [
            record
            for cell, count in zip(cells, counts, strict=True)
            for record in counted(name, cell, [count] * 8)
        ]
        settings = {**synthetic.SETTINGS, "rounds": {"memory": 3, "time": 8}}
        return summary_of([*others, *faults], planned(*cells), make_run(name, settings=settings))

    return make


def test_the_page_has_it_in_its_table_and_among_the_axes(run_of):
    page = render([run_of("r1", 2863, 0)])
    assert metrics.BY_NAME[FAULTS].label in page
    assert "2.86 k faults" in page
    assert "0 faults" in page
    (figure,) = drawn(page)["own-axes"]
    assert figure["layout"]["meta"]["axes"][FAULTS] == "minor faults, faults"
    assert figure["data"][-1]["meta"][FAULTS] == [0.0]


def test_the_page_says_from_which_change_on_it_counts(run_of):
    page = render([run_of("r1", 0)])
    needs = "number of minor page faults 10 % and 5 processes; peak memory 8 % and 3 processes"
    assert needs in page
    assert "energy of a step 5 %" not in page  # this run has none


def test_the_documentation_names_every_goal():
    text = (ROOT / "docs" / "suite-files.md").read_text()
    (listed,) = re.findall(r"^- `minimise` may also be (.*?)\.$", text, re.MULTILINE | re.DOTALL)
    assert {"step_seconds", *re.findall("`(.*?)`", listed)} == set(GOALS)


def test_a_suite_may_look_for_the_least(suite_file):
    path = suite_file(TINY + f"goal: {{minimise: {FAULTS}}}\n")
    assert load_suite(str(path)).goal.minimise == FAULTS


def test_a_comparison_shows_counts_of_zero(run_of):
    lines = comparison_lines(compare(run_of("a", 0), run_of("b", 5000)))
    (line,) = [line for line in lines if FAULTS in line]
    assert line.endswith(
        f"{FAULTS}: 0 faults → 5.00 k faults (50.0×, 50.0× … 50.0×; values below 100 count as 100)"
    )
    equal = compare(run_of("c", 0), run_of("d", 0))
    assert [d.verdict for d in equal.differences if d.metric == FAULTS] == ["unchanged"]


def test_runs_from_before_the_metric_are_complete_without_it(tmp_path, summary_of):
    path = tmp_path / "results.sqlite"
    shutil.copy(STORE, path)
    with Store.open(path) as store:
        old = [summarise(store, run) for run in store.runs()]
    assert old
    for summary in old:
        for cell in summary.cells:
            assert FAULTS not in cell.estimates
            assert cell.unavailable[FAULTS]
        assert "not measured" in render([summary])
        found = compare(summary, summary)
        assert FAULTS not in {difference.metric for difference in found.differences}


def test_a_time_pass_from_before_the_metric_says_which_version_it_was(summary_of):
    cells = synthetic.cells()[:1]
    summary = summary_of(synthetic.records(cells), planned(*cells), synthetic.run_of())
    assert summary.cells[0].unavailable[FAULTS] == (
        "the time pass of bench 0, which made this run, did not measure it"
    )
    assert FAULTS not in {d.metric for d in compare(summary, summary).differences}
