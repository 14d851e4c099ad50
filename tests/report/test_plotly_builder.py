import json

import plotly.graph_objects as go
import pytest

from ondevice_bench.analyse.groups import groups
from ondevice_bench.report.plotly_builder import Canvas, Pool, require_drawable
from ondevice_bench.report.sections import sections
from tests.analyse.conftest import summary_of  # noqa: F401  # a fixture
from tests.report import synthetic


def unpacked(value, pool):
    match value:
        case {"$": place}:
            return unpacked(json.loads(pool.arrays[place]), pool)
        case dict():
            return {key: unpacked(item, pool) for key, item in value.items()}
        case list():
            return [unpacked(item, pool) for item in value]
        case _:
            return value


def test_plotly_knows_every_name_and_value_of_every_figure(summary_of):  # noqa: F811
    cells = [*synthetic.cells(8), *synthetic.cells(16)]
    run = synthetic.run_of()
    summary = summary_of(synthetic.records(cells), synthetic.planned(cells), run)
    pool = Pool()
    drawn = 0
    for section in sections().values():
        for plot in section.plots:
            for group in groups(summary, "vanilla"):
                if (canvas := plot.draw(group)) is not None:
                    go.Figure(unpacked(pool.pack(canvas), pool))
                    drawn += 1
    assert drawn > 20


@pytest.mark.parametrize("wrong", [{"colour": "red"}, {"mode": "dots"}, {"x": 3}])
def test_what_plotly_does_not_know_is_found_before_the_page_is_written(wrong):
    canvas = Canvas()
    canvas.add("scatter", **wrong)
    with pytest.raises(ValueError, match=next(iter(wrong))):
        require_drawable(canvas)


def test_equal_arrays_and_parts_are_stored_once():
    pool = Pool()
    for name in ("one", "another"):
        canvas = Canvas()
        canvas.add("bar", x=[1.0, 2.0, 3.0], y=["a", "b", "c"], name=name)
        pool.pack(canvas)
    assert len(pool.arrays) == len(set(pool.arrays))
    assert sum("2.0" in text for text in pool.arrays) == 1
