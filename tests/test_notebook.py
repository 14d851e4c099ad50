"""Records as a notebook shows them."""

import dataclasses
from html.parser import HTMLParser

import torch
from torch import nn

from ondevice_bench import treat
from ondevice_bench.notebook import MOST, html_table
from ondevice_bench.running.queries.user_step import StepResult
from ondevice_bench.stats import Estimate
from tests.record.conftest import CELL, make_record, make_run, planned

EVIL = "<script>alert(1)</script>"


class Rows(HTMLParser):
    """The texts of the cells, row by row; fails if a tag is never closed or is no part of a table."""

    def __init__(self, html):
        super().__init__()
        self.rows, self.open, self.caption = [], [], ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert tag in {"table", "caption", "thead", "tbody", "tr", "th", "td"}
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in {"th", "td"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1] == "caption":
            self.caption += data
        else:
            self.rows[-1][-1] += data


def test_every_text_of_a_table_is_escaped():
    html = html_table(EVIL, [EVIL], [[EVIL], [None]])
    assert "<script" not in html
    found = Rows(html)
    assert found.caption == EVIL
    assert found.rows == [[EVIL], [EVIL], [""]]


def test_a_long_table_counts_the_rest():
    rows = Rows(html_table("t", ["n"], ([n] for n in range(MOST + 5)))).rows
    assert len(rows) == 1 + MOST + 1
    assert rows[-1] == ["and 5 more"]


def test_a_run_and_a_cell_are_tables(summary_of):
    record = make_record(metrics={"step_seconds": 2.0}, samples={"step_seconds": [1.0, 2.0, 3.0]})
    summary = summary_of([record], planned(CELL), make_run())
    summary = dataclasses.replace(summary, run=dataclasses.replace(summary.run, profile=EVIL))
    run = Rows(summary._repr_html_())
    assert run.caption == f"r1 on {EVIL}"
    assert run.rows[1][0] == CELL.id
    assert "2.00 s" in run.rows[1]
    assert run.rows[1][-1] == "unfinished"
    cell = Rows(summary.cells[0]._repr_html_())
    assert cell.rows[0] == ["metric", "estimate", "interval"]
    assert cell.rows[1][:2] == ["step", "2.00 s"]


def test_a_treatment_is_a_table_of_its_layers():
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    treatment = treat(model, "asi", rank=2)
    model(torch.randn(4, 8)).sum().backward()
    found = Rows(treatment._repr_html_())
    assert found.caption == "Sequential, Asi"
    assert [row[0] for row in found.rows] == ["layer", "0", "2"]
    assert found.rows[1][1] == "2 × 2"


def test_a_step_of_ones_own_is_a_table_with_the_reasons_for_what_is_missing():
    step = StepResult(
        {"step_seconds": Estimate(2.0, None, None, "one reading")},
        ((2.0,),),
        {"peak_rss_bytes": EVIL},
        (),
    )
    assert Rows(step._repr_html_()).rows == [
        ["metric", "estimate"],
        ["step", "2.00 s"],
        ["peak_rss_bytes", EVIL],
    ]
