"""The sustained pass: steps without pause, the first minute against the last, and the board."""

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from ondevice_bench import units
from ondevice_bench.measure import energy, interference
from ondevice_bench.measure.interference import Counters
from ondevice_bench.measure.sustained import MINUTE, Sustained, rounded, sustain
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.sensors import machine
from ondevice_bench.sensors.machine import MachineSensors
from ondevice_bench.worker.workload import build

ROOT = Path("/")
_RATIO, _LAST_STEP, _JOULES = "sustained_ratio", "sustained_step_seconds", "sustained_step_joules"
_THROTTLED, _HIGHEST = "throttled_after_seconds", "highest_celsius"
_PER_STEP = {
    "step_swapped_bytes": machine.SWAPPED,
    "step_written_bytes": machine.WRITTEN,
    "step_own_written_bytes": machine.OWN_WRITTEN,
}


@dataclass
class _Found:
    """Numbers and samples of metrics, and the reasons for those without a number."""

    metrics: dict[str, float] = field(default_factory=dict)
    samples: dict[str, list[float]] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, value: float | None, reason: str) -> None:
        if value is None:
            self.unavailable[name] = reason
        else:
            self.metrics[name] = value


@dataclass
class _Energy:
    """The energy between the readings of the sensors; or the reason why it is not known."""

    metering: energy.Metering | None = None
    reason: str = ""
    marks: list[float] = field(default_factory=list)

    def mark(self) -> None:
        if self.metering is not None:
            self.marks.append(self.metering.mark())

    def watts(self) -> list[float]:
        """The mean power of each row; EnergyUnavailable if it is not known."""
        if self.metering is None:
            raise energy.EnergyUnavailable(self.reason)
        spans = list(pairwise(self.marks))
        return [self.metering.joules(*span) / (span[1] - span[0]) for span in spans]

    def joules(self) -> float:
        """The energy from the first reading to the last."""
        assert self.metering is not None
        return self.metering.joules(self.marks[0], self.marks[-1])


def measure(job: Job) -> PassResult:
    """Train without pause for as long as the suite says."""
    workload = build(job)
    losses = [workload.step(), workload.step()]
    sensors = MachineSensors(job.cpus, job.throttled_by, ROOT)
    loads: list[Counters] = []
    with contextlib.ExitStack() as stack:
        power = _begun(job, stack)

        def read() -> Mapping[str, float]:
            power.mark()
            loads.append(interference.read())
            return sensors.read()

        run = sustain(workload.step, job.sustain, read)
        if power.metering is not None:
            power.metering.settle()
        found = _of_steps(run)
        _add_readings(found, run, sensors)
        columns, notes = _add_energy(found, run, power)
    finite = math.isfinite(workload.step()) and all(map(math.isfinite, losses))
    return PassResult(
        metrics=found.metrics,
        samples=found.samples,
        unavailable=found.unavailable,
        details={
            "steps": run.steps,
            "seconds": run.seconds,
            "reading_share": 1 - run.seconds / run.rows[-1].end,
            "foreign_cpu_share": interference.share_of_others(loads[0], loads[-1]),
            "losses": losses if finite else None,
            "sustained": _curve(run, sensors, {**columns, **_others_by_row(loads)}),
            "notes": [
                *workload.treatment.notes(),
                *notes,
                *([] if finite else ["the loss was not finite"]),
            ],
        },
    )


def _begun(job: Job, stack: contextlib.ExitStack) -> _Energy:
    try:
        return _Energy(stack.enter_context(energy.meter(job.power).begin()))
    except energy.EnergyUnavailable as error:
        return _Energy(reason=str(error))


def _of_steps(run: Sustained) -> _Found:
    """The speed of the first and the last minute."""
    found = _Found()
    ratios, whole = run.ratios, run.rows[-1].end
    is_short = whole < 2 * MINUTE
    reason = (
        f"the training took {units.clock(whole)}, so its first and its last minute are not two"
        if is_short
        else "a step takes so long that none lies in the first or in the last minute"
    )
    found.add(_RATIO, median(ratios) if ratios else None, reason)
    last = [] if is_short else [row.step_seconds for row in run.last_minute]
    found.add(_LAST_STEP, median(last) if last else None, reason)
    found.samples.update({name: s for name, s in ((_RATIO, ratios), (_LAST_STEP, last)) if s})
    found.metrics["steps_per_minute"] = run.steps / run.seconds * MINUTE
    return found


def _add_readings(found: _Found, run: Sustained, sensors: MachineSensors) -> None:
    """What the machine showed. A sensor that failed on the way gives no number of the whole."""
    missing = sensors.unavailable
    throttled = run.throttled()
    never = f"the board did not throttle within {units.clock(run.rows[-1].end)}"
    found.add(
        _THROTTLED,
        throttled[0] if throttled else None,
        missing.get(machine.THROTTLING, never),
    )
    hottest = None if machine.TEMPERATURE in missing else run.highest(machine.TEMPERATURE)
    found.add(_HIGHEST, hottest, missing.get(machine.TEMPERATURE, ""))
    for name, counter in _PER_STEP.items():
        rise = None if counter in missing else run.rise(counter)
        found.add(name, None if rise is None else rise / run.steps, missing.get(counter, ""))


def _add_energy(
    found: _Found, run: Sustained, power: _Energy
) -> tuple[dict[str, list[float]], list[str]]:
    """The column of power, and what the energy is of."""
    try:
        watts = power.watts()
        found.metrics[_JOULES] = power.joules() / run.steps
    except energy.EnergyUnavailable as error:
        found.unavailable[_JOULES] = str(error)
        return {}, []
    assert power.metering is not None
    return {"watts": rounded(watts)}, [f"the energy is that of {power.metering.scope}"]


def _others_by_row(loads: Sequence[Counters]) -> dict[str, list[float]]:
    """The cores that others used in each row; empty if they are unknown."""
    shares = [interference.share_of_others(before, after) for before, after in pairwise(loads)]
    found = [share for share in shares if share is not None]
    return {"others": rounded(found)} if len(found) == len(shares) else {}


def _curve(
    run: Sustained, sensors: MachineSensors, columns: Mapping[str, list[float]]
) -> dict[str, Any]:
    """The rows as columns of a record."""
    throttled = run.throttled()
    read = {name: rounded(values) for name in run.first if (values := run.column(name))}
    if machine.THROTTLING in read:
        read[machine.THROTTLING] = run.column(machine.THROTTLING)  # bits, not a quantity
    return {
        "seconds": [round(row.end, 2) for row in run.rows],
        "columns": {
            "step_seconds": rounded([row.step_seconds for row in run.rows]),
            "steps": [row.steps for row in run.rows],
            **read,
            **columns,
        },
        "unavailable": dict(sensors.unavailable),
        "throttled_by": list(throttled[1]) if throttled else [],
        "first_celsius": run.first.get(machine.TEMPERATURE),
    }
