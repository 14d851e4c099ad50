"""The fixture `bench_step`: measures the user's own training step like a cell."""

import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import FunctionType

import pytest

from ondevice_bench import metrics
from ondevice_bench.errors import BadInput, BenchError
from ondevice_bench.record.command import command_text
from ondevice_bench.record.store import OUT
from ondevice_bench.report.gate.github import require_summary
from ondevice_bench.report.quantities import quantity_of
from ondevice_bench.running.hosts.host import HostError
from ondevice_bench.running.queries.user_step import (
    SAMPLING,
    Function,
    StepFailed,
    StepResult,
    StepRunner,
    UserStep,
)
from ondevice_bench.terminal import one_line
from ondevice_bench.testing import pytest_benchmark_adapter as benchmark
from ondevice_bench.testing.step_session import StepSession
from ondevice_bench.testing.whole_files import WHOLE_FILES, WholeFiles

# functions of which a call runs nothing, and what runs it
_LAZY = (
    (inspect.iscoroutinefunction, "a coroutine function", "asyncio.run"),
    (inspect.isasyncgenfunction, "an asynchronous generator function", "asyncio.run"),
    (inspect.isgeneratorfunction, "a generator function", "a loop over it"),
)
_RUNNER = pytest.StashKey[tuple[StepRunner, StepSession]]()
_LINES = pytest.StashKey[list[str]]()


@dataclass(frozen=True)
class StepOptions:
    """What the session's options say of steps."""

    plugin: str  # the name under which the plugin of the steps registers
    hardware: str | None = None
    baseline: str | None = None
    store: str | None = None


class StepMeter:
    """What a test calls: `bench_step(step, setup=None, rounds=1)`."""

    def __init__(self, request: pytest.FixtureRequest, options: StepOptions) -> None:
        config = request.config
        if hasattr(config, "workerinput"):
            pytest.fail(
                "bench_step cannot run with pytest-xdist: other tests would disturb it",
                pytrace=False,
            )
        if benchmark.skips(config):
            pytest.skip("benchmarks are skipped (--benchmark-skip)")
        self._config = config
        self._options = options
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
            runner, session = _session(self._config, self._options)
            measured = runner.measure(user_step, rounds)
            self._calls += 1
            count = f" ({self._calls})" if self._calls > 1 else ""
            result = session.add(user_step, f"{self._item.nodeid}{count}", measured)
        except (BenchError, StepFailed) as error:
            # not `pytest.fail(…)`, which would print the same text twice
            raise pytest.fail.Exception(f"bench_step: {error}", pytrace=False) from None
        self._report(result, count)
        return result

    def _report(self, result: StepResult, count: str) -> None:
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
        _lines(self._config, self._options.plugin).append(
            _line(f"{self._item.nodeid}{count}", result)
        )


def _session(config: pytest.Config, options: StepOptions) -> tuple[StepRunner, StepSession]:
    """The session's processes and its run. Both begin when the first step is measured."""
    if _RUNNER not in config.stash:
        if options.baseline is not None:
            require_summary()
        host = config.hook.pytest_bench_host(config=config, hardware=options.hardware)
        runner = StepRunner(host)
        config.add_cleanup(runner.close)
        command = command_text(["pytest", *config.invocation_params.args])
        folder = OUT if options.store is None else Path(options.store)
        try:
            session = StepSession(host, command, folder, options.baseline, config.rootpath)
        except HostError as error:
            raise StepFailed(f"a worker cannot start: {error}") from None
        config.stash[_RUNNER] = runner, session
    return config.stash[_RUNNER]


def _lines(config: pytest.Config, plugin: str) -> list[str]:
    """The lines about steps at the end of the session."""
    if _LINES not in config.stash:
        config.stash[_LINES] = []
        config.pluginmanager.register(_LastLines(config), plugin)
    return config.stash[_LINES]


class _LastLines:
    """A plugin that stores the run at the end of the session, and prints the lines."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._last: list[str] = []

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Store the run. A session that did not compare all steps of the baseline is not green."""
        _, steps = self._config.stash[_RUNNER]
        # there is no such plugin without a baseline
        files = self._config.pluginmanager.get_plugin(WHOLE_FILES) or WholeFiles()
        self._last = steps.finish(partial(files.ran_all_of, session))
        if steps.why_unclear and session.exitstatus == pytest.ExitCode.OK:
            self._last.append(steps.why_unclear)
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: "pytest.TerminalReporter") -> None:
        """Print the lines; a command for GitHub begins its line."""
        for line in (*self._config.stash[_LINES], *self._last):
            is_command = line.startswith("::")
            terminalreporter.write_line(one_line(line if is_command else f"bench_step: {line}"))


def _line(step: str, result: StepResult) -> str:
    parts = []
    for name in metrics.with_role("step line"):
        quantity = quantity_of(result, name)
        interval = f" ({quantity.interval})" if quantity.interval else ""
        parts.append(f"{metrics.BY_NAME[name].label} {quantity.estimate}{interval}")
    return "; ".join([f"{step}: {', '.join(parts)}", *result.notes])


def _own_step(
    step: Callable[..., object], setup: Callable[[], object] | None, rounds: int
) -> UserStep:
    """What a new process needs to call them; BadInput if it could not import them."""
    if not isinstance(rounds, int) or rounds < 1:
        raise BadInput(f"rounds must be an integer of at least 1, got {rounds!r}")
    return UserStep(
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
