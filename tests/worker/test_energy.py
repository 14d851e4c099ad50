"""The energy pass."""

import time

import pytest

from ondevice_bench.analyse.process_notes import is_disturbed
from ondevice_bench.measure import energy, interference
from ondevice_bench.record.details import Details
from ondevice_bench.worker.passes import energy as energy_pass
from tests.workers import CONV, FixedPower, busy_machine


def others_take(share):
    """What the machine counts if other processes always use this share of a core."""

    def read():
        now = time.perf_counter()
        return interference.Counters(now, 0.0, share * now, 0.0, None)

    return read


def test_the_energy_of_other_programs_is_noted(make_job, monkeypatch):
    monkeypatch.setattr(energy_pass, "IDLE_SECONDS", 0.3)
    monkeypatch.setattr(energy_pass, "ACTIVE_SECONDS", 0.3)
    monkeypatch.setattr(energy, "meter", lambda power: FixedPower(10.0))
    monkeypatch.setattr(interference, "read", others_take(0.4))
    details = energy_pass.measure(make_job("energy", CONV)).details
    assert details["notes"][1:] == ["the meter counts the energy of other programs, too"]
    assert details["foreign_cpu_share"] == pytest.approx(0.4, abs=0.1)


def test_the_pass_gives_joules_or_the_reason(make_job, monkeypatch):
    monkeypatch.setattr(interference, "read", others_take(0.0))
    monkeypatch.setattr(energy_pass, "IDLE_SECONDS", 0.01)
    monkeypatch.setattr(energy_pass, "ACTIVE_SECONDS", 0.2)
    meter = FixedPower(10.0)
    monkeypatch.setattr(energy, "meter", lambda power: meter)
    found = energy_pass.measure(make_job("energy", CONV))
    assert found.metrics["idle_watts"] == pytest.approx(10)
    assert found.metrics["active_watts"] == pytest.approx(10)
    assert found.details["steps"] >= 3
    assert found.metrics["step_joules"] == pytest.approx(
        10 * (meter.marks[-1] - meter.marks[1]) / found.details["steps"]
    )
    assert meter.marks[-1] - meter.marks[1] >= 0.2
    assert found.details["notes"] == ["the energy is that of a test"]
    assert Details.from_dict(found.details).meter == "a test"


@pytest.mark.parametrize(("cores", "disturbed"), [(0.0, False), (9.0, True)])
def test_energy_that_other_programs_used_is_marked(make_job, monkeypatch, cores, disturbed):
    monkeypatch.setattr(energy_pass, "IDLE_SECONDS", 0.01)
    monkeypatch.setattr(energy_pass, "ACTIVE_SECONDS", 0.2)
    monkeypatch.setattr(energy, "meter", lambda power: FixedPower(10.0))
    busy_machine(monkeypatch, cores)
    found = energy_pass.measure(make_job("energy", CONV))
    assert is_disturbed(Details.from_dict(found.details)) == disturbed


def test_what_fails_before_or_after_the_work_is_the_reason(make_job, monkeypatch):
    monkeypatch.setattr(energy_pass, "IDLE_SECONDS", 0.01)
    monkeypatch.setattr(energy_pass, "ACTIVE_SECONDS", 0.05)

    def none(power):
        raise energy.EnergyUnavailable("no meter here")

    for meter, reason in ((none, "no meter here"), (lambda _: FixedPower(None), "it stalled")):
        monkeypatch.setattr(energy, "meter", meter)
        found = energy_pass.measure(make_job("energy", CONV))
        assert found.metrics == {}
        assert found.unavailable["step_joules"] == reason
