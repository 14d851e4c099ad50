"""The energy pass: joules of a step, and the power of the idle machine."""

import time

from ondevice_bench.measure import energy, interference
from ondevice_bench.metrics import of_pass
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.worker.workload import Workload, build

IDLE_SECONDS, ACTIVE_SECONDS = 3.0, 5.0
LEAST_STEPS = 3
_OTHERS = "the meter counts the energy of other programs, too"


def measure(job: Job) -> PassResult:
    """Measure some idle seconds, then some seconds of steps.

    Between two readings the power is a straight line, and a reading may be the mean since the one
    before it. So rest and work begin before their seconds and go on after them.
    """
    try:
        meter = energy.meter(job.power)
        workload = build(job)
        workload.step()
        with meter.begin() as metering:
            metering.mark()
            metering.settle()
            at_rest = interference.read()
            slept = metering.mark()
            time.sleep(IDLE_SECONDS)
            woke = metering.mark()
            awake = interference.read()
            metering.settle()
            _work_until_told(workload, metering, metering.mark() + metering.interval)
            at_work = interference.read()
            began = metering.mark()
            steps = 0
            while steps < LEAST_STEPS or time.perf_counter() < began + ACTIVE_SECONDS:
                workload.step()
                steps += 1
                metering.mark()
            ended = metering.mark()
            at_end = interference.read()
            _work_until_told(workload, metering, ended)
            idle, active = metering.joules(slept, woke), metering.joules(began, ended)
            scope = metering.scope
    except energy.EnergyUnavailable as error:
        return PassResult(unavailable=dict.fromkeys(of_pass(job.pass_name), str(error)))
    windows = ((at_rest, awake), (at_work, at_end))
    loads = [interference.between(*window) for window in windows]
    shares = [share for load in loads if (share := interference.share_lost([load])) is not None]
    return PassResult(
        metrics={
            "step_joules": active / steps,
            "idle_watts": idle / (woke - slept),
            "active_watts": active / (ended - began),
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


def _work_until_told(workload: Workload, metering: energy.Metering, moment: float) -> None:
    """Go on with the work until the meter has told of this moment."""
    while not metering.tells_of(moment):
        workload.step()
        metering.mark()
