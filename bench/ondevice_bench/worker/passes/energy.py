"""The energy pass: joules of a step, and the power of the idle machine."""

import time
from itertools import pairwise

from ondevice_bench.measure import energy, interference
from ondevice_bench.metrics import of_pass
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.worker.workload import build

IDLE_SECONDS, ACTIVE_SECONDS = 3.0, 5.0
LEAST_STEPS = 3
_OTHERS = "the meter counts the energy of other programs, too"


def measure(job: Job) -> PassResult:
    """Measure some idle seconds, then some seconds of steps."""
    try:
        meter = energy.meter(job.power)
        workload = build(job)
        workload.step()
        with meter.begin() as metering:
            at_rest = interference.read()
            slept = metering.mark()
            time.sleep(IDLE_SECONDS)
            woke = metering.mark()
            at_work = interference.read()
            steps = 0
            while steps < LEAST_STEPS or time.perf_counter() < woke + ACTIVE_SECONDS:
                workload.step()
                steps += 1
                metering.mark()
            ended = metering.mark()
            at_end = interference.read()
            metering.settle()
            idle, active = metering.joules(slept, woke), metering.joules(woke, ended)
            scope = metering.scope
    except energy.EnergyUnavailable as error:
        return PassResult(unavailable=dict.fromkeys(of_pass(job.pass_name), str(error)))
    loads = [interference.between(*window) for window in pairwise((at_rest, at_work, at_end))]
    shares = [share for load in loads if (share := interference.share_lost([load])) is not None]
    return PassResult(
        metrics={
            "step_joules": active / steps,
            "idle_watts": idle / (woke - slept),
            "active_watts": active / (ended - woke),
        },
        details={
            "steps": steps,
            "foreign_cpu_share": max(shares, default=None),
            "notes": [
                *workload.treatment.notes(),
                f"the energy is that of {scope}",
                *([_OTHERS] if any(load.is_disturbing for load in loads) else []),
            ],
        },
    )
