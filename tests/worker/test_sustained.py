"""The sustained pass: some seconds of real steps, on a board whose files the test owns."""

from dataclasses import replace

import pytest

from ondevice_bench import metrics
from ondevice_bench.measure import energy
from ondevice_bench.record.details import Details
from ondevice_bench.worker.passes import sustained
from tests.workers import CONV, FixedPower

NAMES = set(metrics.of_pass("sustained"))
TOO_SHORT = "so its first and its last minute are not two"


@pytest.fixture
def measured(make_job):
    def of(seconds=1.5, **what):
        job = replace(make_job("sustained", CONV), sustain=seconds, **what)
        return sustained.measure(job)

    return of


def test_a_machine_that_shows_nothing_gives_reasons_and_no_zero(measured, monkeypatch, tmp_path):
    def none(power):
        raise energy.EnergyUnavailable("no meter here")

    monkeypatch.setattr(sustained, "ROOT", tmp_path)
    monkeypatch.setattr(energy, "meter", none)
    found = measured()
    assert set(found.metrics) == {"steps_per_minute"}
    assert set(found.metrics) | set(found.unavailable) == NAMES
    assert all(found.unavailable.values())
    assert TOO_SHORT in found.unavailable["sustained_ratio"]
    assert found.unavailable["sustained_step_joules"] == "no meter here"
    assert found.details["steps"] / found.details["seconds"] * 60 == pytest.approx(
        found.metrics["steps_per_minute"]
    )


def test_a_pi_that_gets_hot_is_in_the_curve_and_in_the_numbers(measured, monkeypatch, pi):
    reads = 0
    read = sustained.MachineSensors.read

    def heated(sensors):
        nonlocal reads
        reads += 1
        pi.hot(60.0 + 10 * reads)
        pi.clock(2400 - 300 * reads)
        pi.throttling(0x80008 if reads >= 3 else 0)
        pi.swapped(reads, 0)
        pi.written(8 * reads)
        return read(sensors)

    def with_tool(cpus, throttled_by, root):
        return of_machine(cpus, throttled_by, root, pi.ask)

    of_machine = sustained.MachineSensors  # the class itself
    monkeypatch.setattr(sustained, "ROOT", pi.root)
    monkeypatch.setattr(of_machine, "read", heated)
    monkeypatch.setattr(sustained, "MachineSensors", with_tool)
    monkeypatch.setattr(energy, "meter", lambda power: FixedPower(4.0))
    found = measured(throttled_by="vcgencmd")
    steps = found.details["steps"]
    assert set(found.unavailable) == {"sustained_ratio", "sustained_step_seconds"}
    assert found.metrics["highest_celsius"] == 60.0 + 10 * reads
    assert 0.0 < found.metrics["throttled_after_seconds"] < 60.0
    assert found.metrics["step_written_bytes"] == pytest.approx((reads - 2) * 8 * 512 / steps)
    assert found.metrics["step_own_written_bytes"] == 0.0
    assert found.metrics["sustained_step_joules"] == pytest.approx(
        4.0 * found.details["seconds"] / steps, rel=0.1
    )
    curve = Details.from_dict({"sustained": found.details["sustained"]}).sustained
    assert curve.throttled_by == ("soft temperature limit",)
    assert curve.first_celsius == 80.0
    rows = len(curve.seconds)
    assert rows >= 1
    assert {name: len(column) for name, column in curve.columns.items()} == dict.fromkeys(
        (
            "step_seconds", "steps", "mhz", "celsius", "throttle_bits", "swapped_bytes",
            "written_bytes", "own_written_bytes", "watts", "others",
        ),
        rows,
    )  # fmt: skip
    assert sum(curve.columns["steps"]) == steps
    assert set(curve.columns["watts"]) == {4.0}
    assert set(curve.columns["throttle_bits"]) == {0x80008}  # bits are not rounded
    assert "the energy is that of a test" in found.details["notes"]


def test_a_meter_that_stalls_costs_only_the_energy(measured, monkeypatch):
    monkeypatch.setattr(energy, "meter", lambda power: FixedPower(None))
    found = measured(seconds=0.2)
    assert found.unavailable["sustained_step_joules"] == "it stalled"
    assert found.metrics["steps_per_minute"] > 0


def test_two_minutes_on_a_clock_that_runs_fast_give_the_ratio(measured, monkeypatch):
    """The step of a real network; the clock says that it takes ten seconds, later thirteen."""
    ticks = iter(range(10_000))
    now = 0.0

    def clock():
        nonlocal now
        is_end = next(ticks) % 3 == 2  # after the beginning: start, end, end of the reading
        now += (10.0 if now < 80 else 13.0) * is_end
        return now

    plain = sustained.sustain
    monkeypatch.setattr(sustained, "sustain", lambda *what: plain(*what, clock))
    found = measured(seconds=140.0)
    assert found.samples["sustained_ratio"] == pytest.approx([1.3] * 4)
    assert found.metrics["sustained_ratio"] == pytest.approx(1.3)
    assert found.metrics["sustained_step_seconds"] == pytest.approx(13.0)
