"""Energies of two meters are never combined."""

from dataclasses import replace

import pytest

from ondevice_bench.analyse.compare import compare
from ondevice_bench.analyse.groups import groups
from ondevice_bench.analyse.history import history
from ondevice_bench.analyse.learning import learning
from ondevice_bench.record.run_json import RunContent
from ondevice_bench.report.sections import accuracy
from ondevice_bench.site.digest_file import read, text_of
from ondevice_bench.site.make_digest import digest_of
from tests.record.conftest import CELL, make_record, make_run, planned

CHIP, PLUG = "processor packages (RAPL)", "everything that `meter.py` meters"
OTHER = replace(CELL, id="mcunet/lean/all/b8/s0", method="lean")


def run_of(name, count):
    day = f"2026-01-{count + 1:02}T00:00:00+00:00"
    settings = {"measure": ["energy"], "rounds": 8, "baseline": "vanilla"}
    return make_run(name, created=day, settings=settings)


def records_of(name, meters, cell=CELL):
    """A process for each meter; no two of them say how finely they read it in the same words."""
    return [
        make_record(
            name,
            cell,
            "energy",
            number,
            metrics={"step_joules": 1.0 + number / 1000},
            details={
                "notes": [f"the energy is that of {meter}, a reading every 0.{number} s"]
                if meter
                else []
            },
        )
        for number, meter in enumerate(meters, start=1)
    ]


@pytest.fixture
def metered(summary_of):
    """A run of one cell with eight processes that used this meter."""

    def make(count, meter):
        name = f"r{count}"
        return summary_of(records_of(name, [meter] * 8), planned(CELL), run_of(name, count))

    return make


def test_processes_with_two_meters_have_no_common_number(summary_of):
    (cell,) = summary_of(records_of("r1", [CHIP, PLUG]), run=run_of("r1", 0)).cells
    assert "step_joules" not in cell.estimates
    assert cell.unavailable["step_joules"].startswith("its processes used different meters")
    (cell,) = summary_of(records_of("r1", [CHIP, CHIP, ""]), run=run_of("r1", 0)).cells
    assert cell.estimates["step_joules"].estimate == pytest.approx(1.002)


@pytest.mark.parametrize(("meter", "expected"), [(CHIP, 2.0), ("", 2.0), (PLUG, None)])
def test_seeds_with_two_meters_have_no_common_number(summary_of, meter, expected):
    cells = [replace(CELL, id=CELL.id.replace("s0", f"s{seed}"), seed=seed) for seed in range(2)]
    records = [
        make_record(
            "r1",
            cell,
            "learning",
            metrics={"training_joules": joules, "final_accuracy": 0.5},
            details={
                "notes": [f"the energy is that of {its_meter}"] if its_meter else [],
                "learned": {"accuracy": [0.1, 0.5], "joules": [0.0, joules]},
            },
        )
        for cell, joules, its_meter in zip(cells, (1.0, 3.0), (CHIP, meter), strict=True)
    ]
    summary = summary_of(records, planned(*cells), run_of("r1", 0))
    (line,) = learning(summary)
    found = line.estimates.get("training_joules")
    assert (found and found.estimate) == expected
    assert ("different meters" in line.unavailable.get("training_joules", "")) == (not expected)
    assert "final_accuracy" in line.estimates
    (group,) = groups(summary)
    drawn = {plot.name: plot.draw(group) is not None for plot in accuracy.SECTION.plots}
    assert (drawn["accuracy-epochs"], drawn["accuracy-joules"]) == (True, bool(expected))


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        (CHIP, CHIP, "unchanged"),
        (CHIP, "", "unchanged"),  # as it was stored, nobody knows the meter
        (CHIP, PLUG, "inconclusive"),
    ],
)
def test_energies_of_two_meters_are_never_compared(metered, one, other, verdict):
    (difference,) = compare(metered(1, one), metered(2, other)).differences
    assert (difference.verdict, difference.ratio is None) == (verdict, verdict == "inconclusive")
    if verdict == "inconclusive":
        assert difference.reason == (
            f"the base is the energy of {CHIP}, the new number that of {PLUG}: such numbers are "
            "not compared"
        )


def test_a_cell_and_a_baseline_with_two_meters_have_no_ratio(summary_of):
    def member(meter):
        records = records_of("r1", [CHIP]) + records_of("r1", [meter], OTHER)
        (group,) = groups(summary_of(records, planned(CELL, OTHER), run_of("r1", 0)))
        return group.members[1]

    assert member(CHIP).ratio("step_joules").estimate == 1.0
    assert member(PLUG).ratio("step_joules") is None
    assert CHIP in member(PLUG).why_no_ratio("step_joules")


@pytest.mark.parametrize(
    ("meters", "lengths"),
    [([CHIP, CHIP], [2]), (["", CHIP], [2]), ([CHIP, PLUG, CHIP], [2, 1])],
)
def test_each_meter_has_a_history_of_its_own(metered, meters, lengths):
    found = history([metered(count, meter) for count, meter in enumerate(meters)])
    assert [len(series.points) for series in found.series] == lengths
    named = [series.machine for series in found.series if "energy of" in series.machine]
    assert len(named) == (len(lengths) if len(lengths) > 1 else 0)


def test_a_site_keeps_the_meter():
    def digest(count, meter):
        run = run_of(f"r{count}", count)
        records = tuple(records_of(run.id, [meter] * 8))
        return digest_of(RunContent(run, tuple(planned(CELL)), records))

    sides = [read("x", text_of(digest(count, meter))) for count, meter in enumerate((CHIP, PLUG))]
    (difference,) = compare(*(each.summary() for each in sides)).differences
    assert difference.verdict == "inconclusive"
    assert PLUG in difference.reason
