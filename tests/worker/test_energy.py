"""The energy pass."""

import contextlib
import time
from types import SimpleNamespace

import numpy
import pytest

from ondevice_bench.analyse.process_notes import is_disturbed
from ondevice_bench.measure import energy, interference
from ondevice_bench.measure.power_trace import PowerTrace
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
        10 * (meter.marks[-1] - meter.marks[4]) / found.details["steps"]
    )
    assert meter.marks[-1] - meter.marks[4] >= 0.2
    assert found.details["notes"] == ["the energy is that of a test"]
    assert Details.from_dict(found.details).meter == "a test"


class PlugInATest:
    """A meter of a machine with a clock of its own: 2 W, and 10 W while it works.

    Each second it gives the power of this moment, or the mean since the second before.
    """

    scope, step_seconds = "a plug", 0.3

    def __init__(self, *, gives_means):
        self.now = 100.4
        self._moments = 100 if gives_means else 1  # of which a reading is the mean
        self._busy = []  # the beginnings of steps
        self._trace = PowerTrace()

    @contextlib.contextmanager
    def begin(self):
        self.settle()
        yield self

    def sleep(self, seconds):
        self.now += seconds

    def step(self):
        self._busy.append(self.now)
        self.now += self.step_seconds

    def _watts(self, moment):
        works = any(-1e-6 < moment - each < self.step_seconds + 1e-6 for each in self._busy)
        return 10.0 if works else 2.0

    def mark(self):
        for second in range(98 + len(self._trace), int(self.now) + 1):
            moments = numpy.linspace(second - 0.99, second, 100)[-self._moments :]
            watts = numpy.mean([self._watts(each) for each in moments])
            self._trace.add(f"{second} {watts}", second)
        return self.now

    def settle(self):
        marked = self.now
        while not self._trace.reaches(marked):
            self.now += 0.1
            self.mark()

    def tells_of(self, moment):
        return self._trace.reaches(moment)

    @property
    def interval(self):
        return self._trace.interval

    def joules(self, start, end):
        return self._trace.joules(start, end)


@pytest.mark.parametrize("gives_means", [False, True])
def test_a_meter_with_few_readings_gives_no_idle_power_to_the_steps(monkeypatch, gives_means):
    plug = PlugInATest(gives_means=gives_means)
    workload = SimpleNamespace(step=plug.step, treatment=SimpleNamespace(notes=list))
    clock = SimpleNamespace(perf_counter=lambda: plug.now, sleep=plug.sleep)
    monkeypatch.setattr(energy_pass, "time", clock)
    monkeypatch.setattr(energy_pass, "build", lambda job: workload)
    monkeypatch.setattr(energy, "meter", lambda power: plug)
    found = energy_pass.measure(SimpleNamespace(power=None)).metrics
    assert found["idle_watts"] == pytest.approx(2)
    assert found["active_watts"] == pytest.approx(10)
    assert found["step_joules"] == pytest.approx(10 * plug.step_seconds)


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
