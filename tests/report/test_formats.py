import csv
import io
import json
from dataclasses import replace

import pytest

import ondevice_bench
from ondevice_bench.analyse.frame import COLUMNS
from ondevice_bench.record.store import Store
from ondevice_bench.report.terminal.csv_lines import csv_lines
from ondevice_bench.report.terminal.formats import formatted
from tests.record.conftest import CELL, make_record, make_run, planned
from tests.report import synthetic

MARKDOWN = """\
# Quick \\<look\\>

Run `r1` on profile x86.

- For the goal, run wasi fraction=0.25: 0.520× (0.510× … 0.531×) of vanilla's step time, proven; peak memory 0.775×; a gradient cosine of 0.95 at step 1.
- If memory is short, run checkpoint: 0.375× (0.372× … 0.378×) of vanilla's peak memory; step time 1.30×; the exact gradient.
- Least memory, 10 % more time allowed: wasi fraction=0.25, 0.775× (0.769× … 0.781×) of vanilla's peak memory, proven.
- Estimated by its peak in this run, vanilla fits a board of 1 GB and more: it needs 16 % of the 512 MiB that a step may use there. No other method is needed to fit.
- svd fraction=0.25 does not meet the goal: a gradient cosine of at least 0.9 where it was measured.

| cell | step | peak memory | activations | status |
| --- | --- | --- | --- | --- |
| mcunet/vanilla/all/b8/s0 | 100 ms (99.0 … 101 ms) | 80.00 MiB (79.68 … 80.32 MiB) | 40.00 MiB | ok |
| mcunet/asi(fraction=0.125)/all/b8/s0 | 110 ms (109 … 111 ms) | 60.00 MiB (59.76 … 60.24 MiB) | 25.00 MiB | ok |
"""


def csv_of(*summaries):
    cells = ((one.run, cell) for one in summaries for cell in one.cells)
    return "\n".join(csv_lines(cells))


@pytest.fixture
def whole(summary_of):
    cells = synthetic.cells()
    return summary_of(synthetic.records(cells), synthetic.planned(cells), synthetic.run_of())


def test_markdown_is_as_it_was(whole):
    assert formatted([whole], "md").startswith(MARKDOWN)


def test_markdown_shows_names_as_text(summary_of):
    evil = make_run(title="a|b <script> [x](y) `z`")
    text = formatted([summary_of([make_record(metrics={})], planned(CELL), evil)], "md")
    assert text.startswith("# a\\|b \\<script\\> \\[x\\](y) \\`z\\`\n")


def test_text_has_the_table_the_verdict_and_the_scopes(whole):
    text = formatted([whole], "text")
    assert "For the goal, run wasi fraction=0.25: " in text
    assert "step: wall time of one training step (whole network)" in text
    other = replace(whole, run=replace(whole.run, id="r2", profile="pi5"))
    both = formatted([whole, other], "text")
    assert both == f"x86: run r1\n\n{text}\n\npi5: run r2\n\n{text}"


@pytest.mark.parametrize(
    ("origin", "settings", "told"),
    [
        ("run", {}, False),
        ("pytest", {}, True),  # before runs said so
        ("pytest", {"interleaved": True}, False),
        ("import", {"interleaved": False}, True),
    ],
)
def test_a_run_that_was_not_interleaved_says_so(summary_of, origin, settings, told):
    run = make_run(origin=origin, settings={**make_run().settings, **settings})
    summary = summary_of([make_record(metrics={})], planned(CELL), run)
    for form in ("text", "md"):
        assert ("caveat: this run: not interleaved: " in formatted([summary], form)) == told
    assert json.loads(formatted([summary], "json"))["interleaved"] is not told


def test_csv_has_a_row_for_each_run_cell_and_metric(whole, summary_of):
    other = summary_of(
        synthetic.records(synthetic.cells(16), "r2"),
        synthetic.planned(synthetic.cells(16)),
        synthetic.run_of("r2"),
    )
    rows = list(csv.DictReader(io.StringIO(csv_of(whole, other))))
    assert {row["run"] for row in rows} == {"r1", "r2"}
    (step,) = (
        row
        for row in rows
        if row["cell"] == "mcunet/vanilla/all/b16/s0" and row["metric"] == "step_seconds"
    )
    assert (step["unit"], float(step["estimate"]), step["options"]) == ("seconds", 0.2, "")


@pytest.mark.parametrize("start", ["=1+1", "+1", "-x", "@SUM(A1)", " =1", "\t=1"])
def test_a_text_of_csv_is_no_formula(summary_of, start):
    cell = replace(
        CELL, id=f"{start}/vanilla/all/b8/s0", layers=start, method_options=((start, -1),)
    )
    record = make_record(cell=cell, metrics={"step_seconds": -1.0})
    summary = summary_of([record], planned(cell), make_run())
    (row,) = csv.reader(io.StringIO(csv_of(summary).split("\n", 1)[1]))
    assert float(row[COLUMNS.index("estimate")]) == -1
    texts = [text for text in row if text and text != "-1.0"]
    assert sum(text.startswith(f"'{start}") for text in texts) == 3
    assert not [text for text in texts if text.lstrip().startswith(("=", "+", "-", "@"))]


def test_json_is_the_summary_of_one_run_or_a_list(whole):
    assert json.loads(formatted([whole], "json"))["run"] == "r1"
    assert [one["run"] for one in json.loads(formatted([whole, whole], "json"))] == ["r1", "r1"]


def test_a_store_is_a_frame(tmp_path):
    cells = synthetic.cells()
    with Store.create(tmp_path / "results.sqlite") as store:
        store.add_run(synthetic.run_of(), synthetic.planned(cells))
        for record in synthetic.records(cells):
            store.add_record(record)
    frame = ondevice_bench.load(tmp_path / "results.sqlite")
    steps = frame[(frame["metric"] == "step_seconds") & (frame["options"] == "fraction=0.25")]
    assert dict(zip(steps["method"], steps["estimate"], strict=True)) == pytest.approx(
        {"asi": 0.130, "wasi": 0.052, "svd": 0.070}
    )
