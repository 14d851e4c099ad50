"""The memory that a step may use, beside the memory that a step needs."""

import dataclasses

import pytest

from ondevice_bench import units
from ondevice_bench.analyse.groups import groups
from ondevice_bench.report.judge import Judge
from ondevice_bench.report.quantities import Quantity, with_share
from ondevice_bench.report.sections import anatomy, curve, fronts, growth, times, verdict
from ondevice_bench.report.sections.section import ReportData
from ondevice_bench.report.sections.table import content
from ondevice_bench.suite.goal import Goal
from tests.report import synthetic

MIB = 2**20
OF_TORCH = 200 * MIB
PEAK = "peak_rss_over_runtime_bytes"


@pytest.fixture
def summary_under(summary_of):
    """A run in which a step may use so much; its highest peak is about 160 MiB at batch 16."""

    def make(usable, slower=None):
        cells = [*synthetic.cells(8), *synthetic.cells(16)]
        settings = {**synthetic.SETTINGS, "memory_cap_bytes": usable + OF_TORCH}
        records = synthetic.records(cells, slower=slower)
        for record in records:
            if record.key.pass_name == "memory":
                record.metrics["runtime_allocated_bytes"] = OF_TORCH
        return summary_of(records, synthetic.planned(cells), synthetic.run_of(settings=settings))

    return make


def figure(section, name, group):
    plots = section.plots(Judge(Goal(), {})) if hasattr(section, "plots") else section.SECTION.plots
    (plot,) = (plot for plot in plots if plot.name == name)
    return plot.draw(group).plain()


@pytest.mark.parametrize(
    ("section", "name", "axis"),
    [
        (anatomy, "by-kernel", "x"),
        (fronts, "memory-time", "x"),
        (fronts, "cosine-memory", "y"),
        (growth, "growth-peak", "y"),
        (curve, "memory-curve", "y"),
    ],
)
def test_a_limit_within_reach_is_a_line_of_the_plot(summary_under, section, name, axis):
    near, _ = groups(summary_under(100 * MIB))
    layout = figure(section, name, near)["layout"]
    (line,) = (each for each in layout["shapes"] if each.get(f"{axis}ref") != "paper")
    assert (line[f"{axis}0"], line[f"{axis}1"]) == (100.0, 100.0)
    assert "limit: 100 MiB" in [each["text"] for each in layout["annotations"]]
    assert layout[f"{axis}axis"]["autorangeoptions"] == {"include": [100.0]}
    far, _ = groups(summary_under(4096 * MIB))
    assert "limit" not in str(figure(section, name, far)["layout"])


def test_tables_have_the_share_in_numbers(summary_under):
    data = ReportData.from_summaries((summary_under(4000 * MIB),))
    found = content(data)
    place = [metric.name for metric in found["columns"]].index(PEAK)
    shares = {row.label: row.quantities[place].share for row in found["rows"]}
    assert shares["vanilla"] == "4.0 % of 3.91 GiB"  # of batch 16, the last one
    others = [q for row in found["rows"] for n, q in enumerate(row.quantities) if n != place]
    assert {each.share for each in others} == {""}


@pytest.mark.parametrize("usable", [16_000, 16_100])  # the highest peak is 160.64 MiB
def test_shares_that_are_all_below_one_percent_are_one_sentence(summary_under, usable):
    summary = summary_under(usable * MIB)
    machine = {**summary.run.machine, "memory_gib": 64}
    run = dataclasses.replace(summary.run, machine=machine)
    data = ReportData.from_summaries((dataclasses.replace(summary, run=run),))
    has_shares = usable == 16_000
    quantities = [each for row in content(data)["rows"] for each in row.quantities]
    assert any(each.share for each in quantities) == has_shares
    found = verdict.content(data)
    rows = [row for each in found["decisions"] for of in each.methods for row in of]
    assert any(row.share for row in rows) == has_shares
    assert any("% of" in c.values for d in found["decisions"] for c in d.cards) == has_shares
    assert found["share"].startswith("Every peak here is less than 1 % of the 15") != has_shares


def test_what_was_not_measured_or_has_no_limit_has_no_share():
    assert with_share(Quantity("–", "", "no"), PEAK, MIB).share == ""
    assert with_share(Quantity("1", "", "", 1.0), PEAK, None).share == ""
    assert units.share(70 * MIB, 3584 * MIB) == "2.0 % of 3.5 GiB"
    assert units.share(4000 * MIB, 3584 * MIB) == "112 % of 3.5 GiB"


def test_a_time_far_from_the_others_gives_a_log_axis_that_says_so(summary_under):
    plain, _ = groups(summary_under(4096 * MIB))
    far, _ = groups(summary_under(4096 * MIB, slower={"svd": 30.0}))
    for section, name, axis in (
        (times, "step-samples", "xaxis"),
        (fronts, "memory-time", "yaxis"),
    ):
        assert "type" not in figure(section, name, plain)["layout"][axis]
        crowded = figure(section, name, far)["layout"][axis]
        assert crowded["type"] == "log"
        assert crowded["title"]["text"].endswith(", log scale")
    own = figure(fronts, "own-axes", far)["layout"]["meta"]
    assert own["log"] == ["step_seconds"]


def test_fronts_and_the_table_judge_by_the_same_cosine(summary_of):
    cells = synthetic.cells()
    records = [
        dataclasses.replace(each, metrics={"gradient_cosine_first": 0.99, "gradient_cosine": 0.4})
        if each.key.pass_name == "fidelity" and each.key.cell.startswith("mcunet/wasi")
        else each
        for each in synthetic.records(cells)
    ]
    run = synthetic.run_of()
    (group,) = groups(summary_of(records, synthetic.planned(cells), run))
    drawn = figure(fronts, "cosine-time", group)["data"]
    (wasi,) = (trace for trace in drawn if trace["name"] == "wasi")
    assert wasi["x"] == [0.4]
    (exact,) = (trace for trace in drawn if trace["name"] == "checkpoint")
    assert exact["x"] == [1.0]
