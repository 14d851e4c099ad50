"""Measuring a training step of the user's own: functions of a file, called in fresh processes."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ondevice_bench import metrics, passes
from ondevice_bench.notebook import html_table
from ondevice_bench.passes import STEP_MEMORY, STEP_TIME, STEP_TRACE
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.running.hosts.host import Host, HostError
from ondevice_bench.running.measurer import notes_of_throttling
from ondevice_bench.specs.sources import digest
from ondevice_bench.stats import Estimate, estimate
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.suite import Sampling
from ondevice_bench.units import quantity

TIMEOUT = 600.0
SAMPLING = Sampling(max_seconds=10.0)


@dataclass(frozen=True)
class Function:
    """A function at the top level of a file."""

    module: str
    file: str
    name: str


@dataclass(frozen=True)
class UserStep:
    """A step, what prepares its arguments, and where a process imports from, in order."""

    step: Function
    setup: Function | None
    path: tuple[str, ...]


@dataclass(frozen=True)
class StepProcess:
    """What one process measured of a step, how it was started, and the machine around it."""

    pass_name: str
    round: int
    launch: str
    started: str
    seconds: float
    result: PassResult
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)


class NotMeasured(LookupError):
    """The step has no such number; the text says why."""


@dataclass(frozen=True, repr=False)
class StepResult:
    """What a step costs, by metric: names mean what `bench list metrics` says of them.

    `samples` are seconds, by process; what could not be had is in `unavailable`, with the reason.
    """

    estimates: Mapping[str, Estimate]
    samples: tuple[tuple[float, ...], ...]
    unavailable: Mapping[str, str]
    notes: tuple[str, ...]
    processes: tuple[StepProcess, ...] = ()
    judge: Callable[[], None] | None = None

    def __repr__(self) -> str:
        shown = (
            f"{name} {quantity(self.estimates[name].estimate, metrics.described(name).unit)}"
            for name in metrics.with_role("step line")
            if name in self.estimates
        )
        return f"{type(self).__name__}({', '.join(shown)})"

    def assert_not_worse(self) -> None:
        """Fail the test if a metric of the step is worse than in the run that `--baseline` names.

        Without `--baseline` there is nothing to compare with: the test is skipped.
        """
        __tracebackhide__ = True
        if self.judge is None:
            raise TypeError("assert_not_worse: only a result of the fixture bench_step has a run")
        self.judge()

    def _repr_html_(self) -> str:
        rows = (
            (metrics.described(name).label, quantity(each.estimate, metrics.described(name).unit))
            for name, each in self.estimates.items()
        )
        missing = ((name, reason) for name, reason in self.unavailable.items())
        return html_table("a step", ("metric", "estimate"), (*rows, *missing))

    @property
    def step_seconds(self) -> Estimate:
        """Wall time of the whole step."""
        return self._of("step_seconds")

    @property
    def peak_rss_bytes(self) -> Estimate:
        """Highest resident memory during a step, absolute."""
        return self._of("peak_rss_bytes")

    @property
    def peak_rss_over_runtime_bytes(self) -> Estimate:
        """The same over that of a process with torch ready."""
        return self._of("peak_rss_over_runtime_bytes")

    @property
    def peak_rss_over_ready_bytes(self) -> Estimate:
        """The same over that of the process when all is set up and one step is done."""
        return self._of("peak_rss_over_ready_bytes")

    @property
    def activation_bytes(self) -> int:
        """Kept for backward when forward ends, by saved-tensor hooks."""
        return int(self._of("activation_bytes").estimate)

    @property
    def step_flops(self) -> int:
        """Products, convolutions and attention, two for each multiply-add."""
        return int(self._of("step_flops").estimate)

    def _of(self, name: str) -> Estimate:
        if name not in self.estimates:
            raise NotMeasured(f"{name} was not measured: {self.unavailable.get(name, 'no pass')}")
        return self.estimates[name]


class StepFailed(Exception):
    """The step, its set-up or its process failed; the text says where and how."""


class StepRunner:
    """Measures steps on a host."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def close(self) -> None:
        """End the processes."""
        self.host.close()

    def measure(self, step: UserStep, rounds: int) -> StepResult:
        """Exact numbers by one process, others by `rounds` processes; StepFailed if one fails."""
        try:
            versions = _versions(step)
            found = [self._process(step, versions, STEP_TRACE, 1)]
            for number in range(1, rounds + 1):
                if number > 1:
                    self.host.renew()  # no two rounds from the same process
                found.append(self._process(step, versions, STEP_TIME, number))
                found.append(self._process(step, versions, STEP_MEMORY, number))
            return _result(found)
        except HostError as error:
            raise StepFailed(f"a worker cannot start: {error}") from None

    def _process(
        self, step: UserStep, versions: Mapping[str, str], name: str, number: int
    ) -> StepProcess:
        started = datetime.now(UTC).isoformat(timespec="milliseconds")
        before = self.host.state().to_dict()
        outcome = self.host.run(self._job(step, name), TIMEOUT)
        after = self.host.state().to_dict()
        for file, version in _versions(step).items():
            if version != versions[file]:
                raise StepFailed(
                    f"{file} or a file that it imports changed while the step was measured: run "
                    "the test again"
                )
        reply, pass_name = outcome.reply, name.removeprefix("step_")
        if reply.status != "ok":
            status = "refused" if reply.status == "skipped" else reply.status  # the test fails
            summary = f"{pass_name}: {status}: {reply.reason}"
            raise StepFailed("\n".join(filter(None, (summary, outcome.printed.rstrip()))))
        result, notes = reply.result, notes_of_throttling(pass_name, before, after)
        if notes:
            details = {**result.details, "notes": [*result.details.get("notes", ()), *notes]}
            result = replace(result, details=details)
        return StepProcess(
            pass_name, number, outcome.launch, started, outcome.seconds, result, before, after
        )

    def _job(self, step: UserStep, name: str) -> Job:
        function = step.step.name
        return Job(
            cell=Cell(
                id=function,
                model=function,
                method="vanilla",
                batch=1,
                allocator=self.host.profile.allocator,
            ),
            pass_name=name,
            model=function,
            model_options={},
            methods=(),
            layout=None,
            inputs={},
            batch_path="",
            weights={"kind": "unset"},
            sampling=SAMPLING,
            cpus=self.host.cpus,
            created_ns=time.monotonic_ns(),
            memory_cap=self.host.memory_cap if passes.BY_NAME[name].is_capped else None,
            step=asdict(step),
        )


def _versions(step: UserStep) -> dict[str, str]:
    """The version of each file that a process loads the step and its set-up from."""
    files = [each.file for each in (step.step, step.setup) if each is not None]
    try:
        return {file: digest(Path(file)) for file in files}
    except OSError as error:
        raise StepFailed(f"{error.filename} cannot be read: {error.strerror}") from None


def _result(processes: Sequence[StepProcess]) -> StepResult:
    rounds: dict[str, list[tuple[float, ...]]] = {}
    unavailable: dict[str, str] = {}
    notes: dict[str, None] = {}
    for process in processes:
        result = process.result
        unavailable |= result.unavailable
        notes |= dict.fromkeys(result.details.get("notes", ()))
        for name, value in result.metrics.items():
            rounds.setdefault(name, []).append(tuple(result.samples.get(name, [value])))
    return StepResult(
        estimates={
            name: _estimate(name, samples_by_round) for name, samples_by_round in rounds.items()
        },
        samples=tuple(rounds.get("step_seconds", ())),
        unavailable=unavailable,
        notes=tuple(notes),
        processes=tuple(processes),
    )


def _estimate(name: str, rounds: list[tuple[float, ...]]) -> Estimate:
    if metrics.described(name).kind == "exact":
        ((value,),) = rounds
        return Estimate(value, value, value, "exact")
    return estimate(rounds)
