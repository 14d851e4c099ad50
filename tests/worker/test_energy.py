"""The energy pass."""

import pytest

from ondevice_bench.analyse.process_notes import is_disturbed
from ondevice_bench.measure import energy
from ondevice_bench.record.details import Details
from ondevice_bench.worker.passes import energy as energy_pass
from tests.workers import CONV, FixedPower, busy_machine


def test_the_pass_gives_joules_or_the_reason(make_job, monkeypatch):
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
