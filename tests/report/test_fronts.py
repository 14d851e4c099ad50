"""The marks and the names of the plots of trade-offs."""

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
