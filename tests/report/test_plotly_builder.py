import json

import plotly.graph_objects as go
import pytest

from ondevice_bench.analyse.groups import groups
from ondevice_bench.report.figure_pool import FigurePool
from ondevice_bench.report.plotly_builder import Canvas, require_drawable
from ondevice_bench.report.sections import sections
from ondevice_bench.report.sections.section import ReportData
from tests.report import synthetic
from tests.report.test_page import unpacked


def parsed(texts):
    return [json.loads(text) for text in texts]


def test_plotly_knows_every_name_and_value_of_every_figure(summary_of):
    cells = [*synthetic.cells(8), *synthetic.cells(16)]
    run = synthetic.run_of()
    summary = summary_of(synthetic.records(cells), synthetic.planned(cells), run)
    data = ReportData.from_summaries((summary,))
    pool = FigurePool()
    drawn = 0
    for section in sections().values():
        for plot in (*section.plots, *(section.plots_of(data) if section.plots_of else ())):
            for group in groups(summary, "vanilla"):
                if (canvas := plot.draw(group)) is not None:
                    go.Figure(unpacked(pool.pack(canvas), *map(parsed, (pool.shapes, pool.arrays))))
                    drawn += 1
    assert drawn > 20


@pytest.mark.parametrize("wrong", [{"colour": "red"}, {"mode": "dots"}, {"x": 3}])
def test_what_plotly_does_not_know_is_found_before_the_page_is_written(wrong):
    canvas = Canvas()
    canvas.add("scatter", **wrong)
    with pytest.raises(ValueError, match=next(iter(wrong))):
        require_drawable(canvas)


def test_what_figures_have_in_common_is_stored_once():
    pool = FigurePool()
    packed = []
    for x in ([1.0, 2.0, 3.5], [1.0, 2.0, 3.5], [4.0, 5.0, 6.0]):
        canvas = Canvas()
        canvas.add("bar", x=x, y=["a", "<b>", "c"], marker={"color": "red", "opacity": x})
        canvas.y_axis("<i>", categoryarray=["a"])
        packed.append(pool.pack(canvas))
    assert pool.arrays == ["[1,2,3.5]", '["a","&lt;b&gt;","c"]', '["a"]', "[4,5,6]"]
    assert packed[0] == packed[1] != packed[2]
    assert len(pool.shapes) == 5  # figure, trace, marker, layout, axis: the same for all
    figure = unpacked(packed[2], *map(parsed, (pool.shapes, pool.arrays)))
    assert figure["data"] == [
        {
            "type": "bar",
            "x": [4, 5, 6],
            "y": ["a", "&lt;b&gt;", "c"],
            "marker": {"color": "red", "opacity": [4, 5, 6]},
        }
    ]
    assert figure["layout"]["yaxis"]["title"] == {"text": "&lt;i&gt;"}
    assert figure["layout"]["yaxis"]["categoryarray"] == ["a"]
