"""The marks and the names of the plots of trade-offs."""

import pytest

from ondevice_bench.report.sections import fronts
from ondevice_bench.report.sections.section import ReportData
from tests.report import synthetic


def of(summary_of, cells):
    run = synthetic.run_of()
    summary = summary_of(synthetic.records(cells), synthetic.planned(cells), run)
    return ReportData.from_summaries((summary,))


def test_a_point_that_does_not_meet_the_goal_is_a_cross_and_each_point_has_a_name(summary_of):
    data = of(summary_of, synthetic.cells())
    (group,) = data.groups
    for plot in fronts.SECTION.plots_of(data):
        traces = plot.draw(group).plain()["data"]
        points = [trace for trace in traces if "hovertext" in trace]
        crosses = {trace["name"] for trace in points if "x" in trace["marker"]["symbol"]}
        assert crosses == {"svd"}
        assert [trace["text"] for trace in points] == [trace["hovertext"] for trace in points]


def test_the_text_names_only_marks_that_are_drawn(summary_of):
    (whole,) = fronts.content(of(summary_of, synthetic.cells()))["leads"]
    assert "A cross does not meet the goal of the suite: a gradient cosine of at least 0.9" in whole
    assert "A dotted line joins" in whole
    vanilla, *_, checkpoint = synthetic.cells()
    data = of(summary_of, [vanilla, checkpoint])
    (plain,) = fronts.content(data)["leads"]
    assert "cross" not in plain
    assert "dotted" not in plain
    drawn = [plot.name for plot in fronts.SECTION.plots_of(data) if plot.draw(data.groups[0])]
    assert drawn == ["memory-time", "activations-flops", "own-axes"]  # all cosines are 1
    assert fronts.content(of(summary_of, [vanilla])) is None


def test_a_noisy_number_has_its_interval_and_an_exact_one_has_none(summary_of):
    data = of(summary_of, synthetic.cells())
    (group,) = data.groups
    steps = {m.label: m.cell.estimates["step_seconds"] for m in group.members}
    of_time, of_counts, *_ = (
        [each for each in plot.draw(group).plain()["data"] if "hovertext" in each]
        for plot in fronts.SECTION.plots_of(data)
    )
    assert all({"error_x", "error_y"} <= {*trace} for trace in of_time)
    assert not any({"error_x", "error_y"} & {*trace} for trace in of_counts)
    for trace in of_time:
        for label, y, up, down in zip(
            trace["hovertext"],
            trace["y"],
            trace["error_y"]["array"],
            trace["error_y"]["arrayminus"],
            strict=True,
        ):
            ends = (steps[label].lower, steps[label].upper)
            assert (y - down, y + up) == pytest.approx([end * 1e3 for end in ends])


def test_the_intervals_of_many_points_do_not_hide_the_points(summary_of, monkeypatch):
    monkeypatch.setattr(fronts, "ALL_LABELS", 2)
    data = of(summary_of, synthetic.cells())
    (group,) = data.groups
    leading, *_ = fronts.SECTION.plots_of(data)
    assert not any("error_x" in trace for trace in leading.draw(group).plain()["data"])
    (text,) = fronts.content(data)["leads"]
    assert "are medians. Noise may change" in text
