"""Memory over time: the bands are the stages of one curve, and each has a name."""

import dataclasses

import pytest

from ondevice_bench.analyse.groups import groups
from ondevice_bench.report import drawing
from ondevice_bench.report.sections import curve
from tests.report import synthetic

MIB = 2**20
MARKS = [
    ["runtime", 0.0],
    ["batch", 0.02],
    ["forward", 0.06],
    ["backward", 0.2],
    ["update", 0.29],
    ["end", 0.295],
]


@pytest.fixture
def layout(summary_of):
    curves = {
        "seconds": [0.05, 0.1, 0.2, 0.3],
        "rss_bytes": [200 * MIB, 230 * MIB, 280 * MIB, 240 * MIB],
        "marks": MARKS,
    }
    cells = synthetic.cells(8)
    records = [
        dataclasses.replace(each, details={"curve": {**curves, "interval_seconds": 0.1}})
        if each.key.pass_name == "memory"
        else each
        for each in synthetic.records(cells)
    ]
    (group,) = groups(summary_of(records, synthetic.planned(cells), synthetic.run_of()))
    return curve.over_time(group).plain()["layout"]


def test_the_step_begins_at_0_and_each_stage_with_samples_has_a_name_of_its_own(layout):
    """A stage before the first sample has none, and the end is no stage."""
    named = [(each["text"], each["x"]) for each in layout["annotations"] if each["name"] == "band"]
    assert named == [
        ("batch", pytest.approx(-0.01)),
        ("forward", 0),
        ("backward", pytest.approx(0.14)),
        ("update", pytest.approx(0.23)),
    ]


def test_the_bands_say_whose_they_are_and_have_its_colour(layout):
    assert "bands: the stages of vanilla" in [each["text"] for each in layout["annotations"]]
    shaded = [(each["x0"], each["x1"]) for each in layout["shapes"] if each["type"] == "rect"]
    assert shaded == [pytest.approx(ends) for ends in ((0, 0.14), (0.23, 0.235))]
    assert {each["fillcolor"] for each in layout["shapes"]} == {drawing.colour("vanilla")}


def test_the_title_names_the_stage_with_the_highest_peak(summary_of):
    cells = synthetic.cells(8)[:2]
    peaks = {"forward": 3.0, "backward": 5.0, "update": 2.0}
    records = [
        dataclasses.replace(each, metrics={f"{n}_peak_rss_bytes": v for n, v in peaks.items()})
        for each in synthetic.records(cells)
        if each.key.pass_name == "memory"
    ]
    (group,) = groups(summary_of(records, synthetic.planned(cells), synthetic.run_of()))
    assert curve.says_over_time(group) == (
        "By the medians, vanilla needs the most memory of its step in backward."
    )
