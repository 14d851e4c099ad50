"""The energy pass."""

import time

import pytest

from ondevice_bench.measure import energy
from ondevice_bench.worker.passes import energy as energy_pass


def test_the_pass_gives_joules_or_the_reason(make_job, monkeypatch):
    durations = []

    class Fixed:
        scope = "a test"

        def during(self, work):
            start = time.perf_counter()
            work()
            durations.append(time.perf_counter() - start)
            return energy.EnergyUse(10 * durations[-1], durations[-1])

    monkeypatch.setattr(energy_pass, "IDLE_SECONDS", 0.01)
    monkeypatch.setattr(energy_pass, "ACTIVE_SECONDS", 0.2)
    monkeypatch.setattr(energy, "meter", Fixed)
    found = energy_pass.measure(make_job("energy"))
    assert found.metrics["idle_watts"] == pytest.approx(10)
    assert found.details["steps"] >= 3
    assert durations[-1] >= 0.2
    assert found.metrics["step_joules"] == pytest.approx(
        10 * durations[-1] / found.details["steps"]
    )

    def none():
        raise energy.EnergyUnavailable("no meter here")

    monkeypatch.setattr(energy, "meter", none)
    found = energy_pass.measure(make_job("energy"))
    assert found.metrics == {}
    assert found.unavailable["step_joules"] == "no meter here"
