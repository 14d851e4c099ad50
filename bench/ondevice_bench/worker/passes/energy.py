"""The energy pass: joules of a step, and the power of the idle machine."""

import time

from ondevice_bench.measure import energy, interference
from ondevice_bench.metrics import of_pass
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.worker.workload import build

IDLE_SECONDS, ACTIVE_SECONDS = 3.0, 5.0
LEAST_STEPS = 3


def measure(job: Job) -> PassResult:
    """Measure some idle seconds, then some seconds of steps."""
    try:
        meter = energy.meter(job.power)
        workload = build(job)
        workload.step()
        with meter.begin() as metering:
            at_rest = energy.load_beside(metering)
            slept = metering.mark()
            time.sleep(IDLE_SECONDS)
            woke = metering.mark()
            at_work = energy.load_beside(metering)
            steps = 0
            while steps < LEAST_STEPS or time.perf_counter() < woke + ACTIVE_SECONDS:
                workload.step()
                steps += 1
                metering.mark()
            ended = metering.mark()
            at_end = energy.load_beside(metering)
            metering.settle()
            idle, active = metering.joules(slept, woke), metering.joules(woke, ended)
            scope = metering.scope
    except energy.EnergyUnavailable as error:
        return PassResult(unavailable=dict.fromkeys(of_pass(job.pass_name), str(error)))
    return PassResult(
        metrics={
            "step_joules": active / steps,
            "idle_watts": idle / (woke - slept),
            "active_watts": active / (ended - woke),
        },
        details={
            "steps": steps,
            "notes": [
                *workload.treatment.notes(),
                f"the energy is that of {scope}",
                *_notes_of_others(at_rest, at_work, "while the machine was idle"),
                *_notes_of_others(at_work, at_end, "during the steps"),
            ],
        },
    )


def _notes_of_others(
    before: interference.Counters, after: interference.Counters, during: str
) -> list[str]:
    """A note if other processes worked, too: a meter cannot tell whose energy it is."""
    notes = interference.notes_of_others(before, after, during)
    return [f"{note}; the meter counts their energy, too" for note in notes]
