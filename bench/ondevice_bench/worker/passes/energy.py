"""The energy pass: joules of a step, and the power of the idle machine."""

import time

from ondevice_bench.measure import energy
from ondevice_bench.metrics import of_pass
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.worker.workload import build

IDLE_SECONDS, ACTIVE_SECONDS = 3.0, 5.0
LEAST_STEPS = 3


def measure(job: Job) -> PassResult:
    """Measure some idle seconds, then some seconds of steps."""
    try:
        meter = energy.meter()
    except energy.EnergyUnavailable as error:
        return PassResult(unavailable=dict.fromkeys(of_pass(job.pass_name), str(error)))
    workload = build(job)
    workload.step()
    idle = meter.during(lambda: time.sleep(IDLE_SECONDS))
    steps = 0

    def train() -> None:
        nonlocal steps
        end = time.perf_counter() + ACTIVE_SECONDS
        while steps < LEAST_STEPS or time.perf_counter() < end:
            workload.step()
            steps += 1

    active = meter.during(train)
    return PassResult(
        metrics={
            "step_joules": active.joules / steps,
            "idle_watts": idle.watts,
            "active_watts": active.watts,
        },
        details={
            "steps": steps,
            "notes": [*workload.treatment.notes(), f"the energy is that of {meter.scope}"],
        },
    )
