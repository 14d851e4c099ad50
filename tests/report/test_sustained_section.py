"""A training without pause on the page and in words."""

from dataclasses import replace

import pytest

from ondevice_bench.record.details import SustainedCurve
from ondevice_bench.report.endurance import endurance
from ondevice_bench.report.sections import beside, sustained
from ondevice_bench.report.terminal.board import board_lines
from tests.record.conftest import CELL, make_record, make_run, planned
from tests.report.test_page import body, drawn, render

RATIOS = [1.29, 1.3, 1.31, 1.31, 1.31, 1.32, 1.33]
SETTINGS = {"measure": ["sustained"], "rounds": 1, "baseline": "vanilla", "examples": None}
NO_METER = "no meter here"


def record(ratios=RATIOS, after=250.0, reason="", seconds=1200, **columns):
    """A board that heats up."""
    curve = {
        "seconds": [float(second) for second in range(1, seconds + 1)],
        "columns": {
            "step_seconds": [0.1 if second < 250 else 0.131 for second in range(seconds)],
            "celsius": [min(85.0, 50 + second / 8) for second in range(seconds)],
            **columns,
        },
        "unavailable": {"mhz": "no cpufreq"},
        "throttled_by": ["soft temperature limit"],
        "first_celsius": 50.0,
    }
    return make_record(
        pass_name="sustained",
        metrics={
            "sustained_ratio": sorted(ratios)[len(ratios) // 2],
            "steps_per_minute": 480.0,
            **({} if after is None else {"throttled_after_seconds": after}),
        },
        samples={"sustained_ratio": ratios},
        unavailable={
            "sustained_step_joules": NO_METER,
            **({"throttled_after_seconds": reason} if reason else {}),
        },
        details={"sustained": curve},
    )


@pytest.fixture
def summary(summary_of):
    def of(*records, **settings):
        run = make_run(settings={**SETTINGS, **settings})
        return summary_of(records or [record()], planned(CELL), run)

    return of


def test_the_answer_comes_first_on_the_page_and_in_the_terminal(summary):
    says = (
        "The last minute of vanilla is 1.31 times as slow as the first (1.29 … 1.33); it throttled "
        "after 4:10: soft temperature limit."
    )
    page = body(render(summary()))
    section = page[page.index('<section id="sustained">') :]
    assert section.index(says) < section.index("<table")
    assert board_lines(summary()) == [says]
    assert NO_METER in page


@pytest.mark.parametrize(
    ("ratios", "after", "reason", "says"),
    [
        (
            [1.0] * 7,
            None,
            "the board did not throttle within 20:00",
            (
                "net keeps its speed: in the last minute a step takes 1.00 times as long as in the "
                "first (1.00 … 1.00); the board did not throttle within 20:00."
            ),
        ),
        (
            [0.8] * 7,
            0.0,
            "",
            (
                "The last minute of net is faster than the first: a step takes 0.80 times as long "
                "(0.80 … 0.80); it was throttled from the beginning: soft temperature limit."
            ),
        ),
        (
            [0.87, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99],
            None,
            "this machine does not report throttling",
            (
                "net does not become slower: in the last minute a step takes 0.96 times as long as in "
                "the first (0.87 … 0.99); whether it throttled is unknown: this machine does not "
                "report throttling."
            ),
        ),
        (
            [1.0, 1.3],
            None,
            "this machine does not report throttling",
            (
                "It is not certain whether net keeps its speed: in the last minute a step takes 1.15 "
                "times as long as in the first; whether it throttled is unknown: this machine does not "
                "report throttling."
            ),
        ),
    ],
)
def test_the_sentence_claims_no_more_than_the_interval(summary, ratios, after, reason, says):
    assert endurance(summary(record(ratios, after, reason)).cells[0], "net") == says


def test_the_curves_are_thinned_and_keep_what_they_show(summary):
    figures = drawn(render(summary()))
    (speed,) = figures["sustained-speed"]
    (line,) = speed["data"]
    assert len(line["x"]) == len(line["y"]) <= sustained.POINTS
    assert line["x"][-1] == pytest.approx(20.0)
    assert (min(line["y"]), max(line["y"])) == (100.0, 131.0)
    assert "throttles" in str(speed["layout"]["annotations"])
    (heat,) = figures["sustained-temperature"]
    assert max(heat["data"][0]["y"]) == 85.0
    assert "sustained-clock" not in figures


def test_a_point_is_the_median_of_its_neighbours():
    curve = SustainedCurve([1.0, 2.0, 3.0], {"celsius": [50.0, 60.0]})
    assert sustained.thinned(curve, "celsius") == ([1 / 60, 2 / 60], [50.0, 60.0])
    assert sustained.thinned(curve, "mhz") == ([], [])
    many = SustainedCurve(range(1, 601), {"mhz": [1.0, 3.0] * 300})
    minutes, values = sustained.thinned(many, "mhz")
    assert len(minutes) == 300
    assert minutes[-1] == 10.0
    assert set(values) == {2.0}


def test_a_run_without_the_passes_has_none_of_the_sections(summary):
    page = body(render(summary(make_record(metrics={"step_seconds": 1.0}), measure=["time"])))
    assert sustained.SECTION.title not in page
    assert beside.SECTION.title not in page


@pytest.mark.parametrize(
    ("share", "says"),
    [
        (0.62, "With vanilla, loading is the bottleneck: to load a batch takes 200 ms, which is "),
        (0.2, "With vanilla, the step is the bottleneck: to load a batch takes 200 ms, which is "),
    ],
)
def test_the_page_says_whether_loading_is_the_bottleneck(summary, share, says):
    loaded = make_record(
        pass_name="loading", metrics={"loading_seconds": 0.2, "loading_share": share}
    )
    page = body(render(summary(loaded, measure=["loading"])))
    assert f"{says}{100 * share:.0f} % of loading and training." in page
    assert beside.SECTION.title in page


def test_the_latency_has_a_sentence_on_the_page_and_in_the_terminal(summary):
    timed = make_record(
        pass_name="latency", metrics={"latency_seconds": 0.02, "latency_p95_seconds": 0.031}
    )
    found = summary(timed, measure=["latency"])
    says = "vanilla takes 20.0 ms for one example; 95 of 100 take at most 31.0 ms."
    assert board_lines(found) == [says]
    assert says in body(render(found))


def test_the_energy_of_an_epoch_stands_beside_its_time_and_in_the_table(summary_of):
    cell = replace(CELL, data="digits")  # 1437 examples to train on: 180 steps of 8
    records = [
        make_record(cell=cell, metrics={"step_seconds": 1.0}),
        make_record(cell=cell, pass_name="sustained", metrics={"sustained_step_joules": 2.0}),
    ]
    run = make_run(settings={**SETTINGS, "measure": ["time", "sustained"]})
    page = body(render(summary_of(records, planned(cell), run)))
    assert "an epoch takes 3:00 and 360 joules" in page
    section = page[page.index('<section id="sustained">') :]
    assert "360 joules" in section[: section.index("</section>")]
    assert "energy of an epoch; 180 steps; of a step: " in page
