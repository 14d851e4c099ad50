import dataclasses
import json
import re

import pytest

from bench.errors import BadInput
from bench.record.model import RunCell
from bench.report import figures
from bench.report.cells import figure
from bench.report.page import render, write_report
from tests.record.conftest import CELL, SECOND, make_record, make_run, planned

MIB = 2**20
EVIL = "</script><script>alert(1)</script>\"'&\u202e{{ 7*7 }}"
MEMORY = {
    "peak_rss_over_runtime_bytes": 10.0 * MIB,
    "peak_rss_bytes": 300.0 * MIB,
    "rss_batch_bytes": 1.0 * MIB,
    "rss_weights_bytes": 2.0 * MIB,
    "rss_warmup_bytes": 3.0 * MIB,
    "rss_step_bytes": 4.0 * MIB,
}


@pytest.fixture
def summary(summary_of):
    """One cell that is measured, one that failed."""
    samples = [0.010, 0.011, 0.012, 0.013, 0.014, 0.015, 0.016]
    records = [
        make_record(pass_name="trace", metrics={"activation_bytes": 7.0 * MIB}),
        make_record(pass_name="memory", metrics=MEMORY),
        make_record(metrics={"step_seconds": 0.013}, samples={"step_seconds": samples}),
        make_record(cell=SECOND, status="failed", reason="ValueError: no"),
    ]
    return summary_of(records, planned(CELL, SECOND))


def body(page):
    """The page without plotly.js."""
    return re.sub(r"<script>.{1000000,}?</script>", "", page, flags=re.DOTALL)


def test_every_figure_is_there_with_its_meaning(summary):
    page = body(render(summary))
    assert "13.0 ms" in page
    assert "7.00 MiB" in page
    assert "scope: whole network; exact" in page
    assert "95 % interval of 7 samples, one process" in page
    assert "not measured: time, round 1: failed: ValueError: no" in page


def test_what_is_learned_has_a_table_of_its_own(summary, summary_of):
    assert "What it does to learning" not in body(render(summary))
    page = body(render(summary_of([make_record(pass_name="accuracy", metrics={"accuracy": 0.5})])))
    assert "What it does to learning" in page
    assert "after a short fine-tuning; scope: whole network; one seed: no interval" in page


def test_a_figure_without_an_interval_shows_none(summary):
    shown = figure(summary.cells[0], "peak_rss_over_runtime_bytes")
    assert (shown.estimate, shown.interval) == ("10.00 MiB", "")
    assert "one process: too few for an interval" in shown.meaning
    timed = figure(summary.cells[0], "step_seconds")
    assert timed.interval == "10.0 … 16.0 ms"


def test_the_page_loads_nothing_from_elsewhere(summary):
    page = body(render(summary))
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:|#)""", page)
    assert "@import" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_names_and_messages_are_shown_as_text(summary_of):
    cell = dataclasses.replace(CELL, id=f"cell {EVIL}")
    failed = make_record(
        cell=dataclasses.replace(SECOND, id="b"), status="failed", reason=f"Error: {EVIL}"
    )
    records = [
        make_record(cell=cell, pass_name="memory", metrics=MEMORY),
        make_record(cell=cell, metrics={"step_seconds": 1.0}, samples={"step_seconds": [1.0] * 6}),
        failed,
    ]
    run = make_run(title=EVIL, commit=EVIL, suite_text=EVIL, profile_text=EVIL, command=EVIL)
    cells = planned(cell, dataclasses.replace(SECOND, id="b"))
    page = render(summary_of(records, cells, run))
    assert "<script>alert(1)" not in page
    assert page.count("</script>") == 2  # plotly.js and ours
    assert "49" not in re.findall(r"<h1>(.*?)</h1>", page)[0]


def test_plots_hold_the_figures_of_the_table(summary):
    parts = json.loads(figures.peak_parts(summary))
    assert [trace["name"] for trace in parts["data"]] == [
        "batch",
        "weights",
        "after warm-up",
        "step",
    ]
    shown = [_values(trace["x"]) for trace in parts["data"]]
    assert shown == [[1.0], [2.0], [3.0], [4.0]]
    times = json.loads(figures.step_times(summary))
    assert sum(len(trace["y"]) for trace in times["data"]) == 7 + 1  # samples and the median


def _values(packed):
    """plotly writes arrays as base64 where it can."""
    if isinstance(packed, list):
        return packed
    import base64

    import numpy

    return numpy.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"]).tolist()


def test_a_run_without_figures_has_a_page_without_plots(summary_of):
    page = body(render(summary_of([], planned(CELL))))
    assert 'class="plot"' not in page
    assert "unfinished" in page


def test_pending_cells_are_named_never_drawn(summary_of):
    page = body(render(summary_of([], [RunCell(CELL, "pi5", "pending", "pending on pi5")])))
    assert "pending on pi5" in page


def test_a_report_is_written_whole_or_not_at_all(summary, tmp_path):
    out = tmp_path / "deep" / "report.html"
    write_report(summary, out)
    first = out.read_text()
    write_report(summary, out)
    assert out.read_text() == first
    assert [p.name for p in out.parent.iterdir()] == ["report.html"]
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match="cannot be written"):
        write_report(summary, tmp_path / "file" / "report.html")
    with pytest.raises(BadInput, match="cannot be written"):
        write_report(summary, tmp_path / "deep")
    assert [p.name for p in tmp_path.glob("*.part")] == []
