"""The fixture `bench_step`: measures the user's own training step like a cell."""

import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from types import FunctionType

import pytest

from ondevice_bench import metrics
from ondevice_bench.errors import BadInput, BenchError
from ondevice_bench.report.quantities import quantity_of
from ondevice_bench.run.queries.user_step import (
    SAMPLING,
    Function,
    OwnStep,
    StepFailed,
    StepResult,
    StepRunner,
)
from ondevice_bench.testing import pytest_benchmark_adapter as benchmark

# functions of which a call runs nothing, and what runs it
_LAZY = (
    (inspect.iscoroutinefunction, "a coroutine function", "asyncio.run"),
    (inspect.isasyncgenfunction, "an asynchronous generator function", "asyncio.run"),
    (inspect.isgeneratorfunction, "a generator function", "a loop over it"),
)
_RUNNER = pytest.StashKey[StepRunner]()
_LINES = pytest.StashKey[list[str]]()


class StepMeter:
    """What a test calls: `bench_step(step, setup=None, rounds=1)`."""

    def __init__(self, request: pytest.FixtureRequest, hardware: str | None) -> None:
        config = request.config
        if hasattr(config, "workerinput"):
            pytest.fail(
                "bench_step cannot run with pytest-xdist: other tests would disturb it",
                pytrace=False,
            )
        if benchmark.skips(config):
            pytest.skip("benchmarks are skipped (--benchmark-skip)")
        self._config = config
        self._hardware = hardware
        self._item = request.node
        self._calls = 0

    def __call__(
        self,
        step: Callable[..., object],
        setup: Callable[[], object] | None = None,
        rounds: int = 1,
    ) -> StepResult:
        """Measure `step`, called with what `setup()` returns. Each round is a new process."""
        __tracebackhide__ = True
        try:
            user_step = _own_step(step, setup, rounds)
            result = _runner(self._config, self._hardware).measure(user_step, rounds)
        except (BenchError, StepFailed) as error:
            # not `pytest.fail(…)`, which would print the same text twice
            raise pytest.fail.Exception(f"bench_step: {error}", pytrace=False) from None
        self._calls += 1
        self._report(result)
        return result

    def _report(self, result: StepResult) -> None:
        count = f" ({self._calls})" if self._calls > 1 else ""
        callspec = getattr(self._item, "callspec", None)
        benchmark.add_row(
            self._config,
            benchmark.BenchmarkRow(
                name=f"{self._item.name}{count}",
                fullname=f"{self._item.nodeid}{count}",
                samples=[seconds for one in result.samples for seconds in one],
                param=callspec.id if callspec else None,
                params=callspec.params if callspec else None,
                extra_info={
                    name: estimate.estimate
                    for name, estimate in result.estimates.items()
                    if name != "step_seconds"
                },
                sampling=asdict(SAMPLING),
            ),
        )
        _lines(self._config).append(_line(f"{self._item.nodeid}{count}", result))


def _runner(config: pytest.Config, hardware: str | None) -> StepRunner:
    """The session's processes, started when the first step is measured."""
    if _RUNNER not in config.stash:
        host = config.hook.pytest_bench_host(config=config, hardware=hardware)
        runner = config.stash[_RUNNER] = StepRunner(host)
        config.add_cleanup(runner.close)
    return config.stash[_RUNNER]


def _lines(config: pytest.Config) -> list[str]:
    """The lines about steps at the end of the session."""
    if _LINES not in config.stash:
        config.stash[_LINES] = []
        config.pluginmanager.register(_LastLines(config.stash[_LINES]))
    return config.stash[_LINES]


class _LastLines:
    """A plugin that prints these lines."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: "pytest.TerminalReporter") -> None:
        """Print the lines."""
        for line in self._lines:
            terminalreporter.write_line(f"bench_step: {line}")


def _line(step: str, result: StepResult) -> str:
    parts = []
    for name in metrics.with_role("step line"):
        quantity = quantity_of(result, name)
        interval = f" ({quantity.interval})" if quantity.interval else ""
        parts.append(f"{metrics.BY_NAME[name].label} {quantity.estimate}{interval}")
    return "; ".join([f"{step}: {', '.join(parts)}", *result.notes])


def _own_step(
    step: Callable[..., object], setup: Callable[[], object] | None, rounds: int
) -> OwnStep:
    """What a new process needs to call them; BadInput if it could not import them."""
    if not isinstance(rounds, int) or rounds < 1:
        raise BadInput(f"rounds must be an integer of at least 1, got {rounds!r}")
    return OwnStep(
        _function("step", step),
        None if setup is None else _function("setup", setup),
        tuple(os.path.abspath(place) for place in sys.path),
    )


def _require_eager(role: str, name: str, given: object) -> None:
    for is_lazy, kind, cure in _LAZY:
        if is_lazy(given):
            raise BadInput(
                f"{role} ({name}) is {kind}: a call of it runs nothing; give a plain "
                f"function that runs it by {cure}"
            )


def _function(role: str, given: object) -> Function:
    name, why = getattr(given, "__name__", repr(given)), ""
    if not isinstance(given, FunctionType):
        why = f"is a {type(given).__name__}, not a function"
    elif name == "<lambda>":
        why = "is a lambda"
    elif "<locals>" in given.__qualname__:
        why = f"({name}) is defined inside another function"
    elif "." in given.__qualname__:
        why = f"({name}) is defined inside a class"
    else:
        module = sys.modules.get(given.__module__)
        file = getattr(module, "__file__", None)
        if getattr(module, name, None) is not given:
            why = f"({name}) is not the function of that name in {given.__module__}"
        elif file is None or not file.endswith(".py"):
            why = f"({name}) is not in a file"
        else:
            _require_eager(role, name, given)
            return Function(given.__module__, os.path.abspath(file), name)
    raise BadInput(
        f"{role} {why}: a new process imports it, so it must be a `def` at the top level of a file"
    )
