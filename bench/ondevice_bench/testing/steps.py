"""The fixture `bench_step`: a training step of the user's own, measured as cells are."""

import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from types import FunctionType

import pytest

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

_RUNNER = pytest.StashKey[StepRunner]()
_LINES = pytest.StashKey[list[str]]()
_SAID = {
    "step_seconds": "step",
    "peak_rss_over_runtime_bytes": "peak RSS over runtime",
    "activation_bytes": "activations",
    "step_flops": "",
}


class StepMeter:
    """What a test calls: `bench_step(step, setup=None, rounds=1)`."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        config = request.config
        if hasattr(config, "workerinput"):
            pytest.fail("bench_step under pytest-xdist would measure beside others", pytrace=False)
        if benchmark.skips(config):
            pytest.skip("benchmarks are skipped (--benchmark-skip)")
        self._config = config
        self._item = request.node
        self._calls = 0

    def __call__(
        self,
        step: Callable[..., object],
        setup: Callable[[], object] | None = None,
        rounds: int = 1,
    ) -> StepResult:
        """Measure the step, called with what `setup()` returned; each round is a fresh process."""
        __tracebackhide__ = True
        try:
            own = _own_step(step, setup, rounds)
            found = _runner(self._config).measure(own, rounds)
        except (BenchError, StepFailed) as error:
            # as `pytest.fail`, which would tell the same twice: once as its own cause
            raise pytest.fail.Exception(f"bench_step: {error}", pytrace=False) from None
        self._calls += 1
        self._report(found)
        return found

    def _report(self, found: StepResult) -> None:
        count = f" ({self._calls})" if self._calls > 1 else ""
        callspec = getattr(self._item, "callspec", None)
        benchmark.feed(
            self._config,
            benchmark.Entry(
                name=f"{self._item.name}{count}",
                fullname=f"{self._item.nodeid}{count}",
                samples=[seconds for one in found.samples for seconds in one],
                param=callspec.id if callspec else None,
                params=callspec.params if callspec else None,
                extra_info={
                    name: estimate.estimate
                    for name, estimate in found.estimates.items()
                    if name != "step_seconds"
                },
                sampling=asdict(SAMPLING),
            ),
        )
        _lines(self._config).append(_line(f"{self._item.nodeid}{count}", found))


def _runner(config: pytest.Config) -> StepRunner:
    """The session's processes, started when the first step is measured."""
    if _RUNNER not in config.stash:
        runner = config.stash[_RUNNER] = StepRunner(config.getoption("--hardware"))
        config.add_cleanup(runner.close)
    return config.stash[_RUNNER]


def _lines(config: pytest.Config) -> list[str]:
    """What the session's last lines will say of steps."""
    if _LINES not in config.stash:
        config.stash[_LINES] = []
        config.pluginmanager.register(_LastLines(config.stash[_LINES]))
    return config.stash[_LINES]


class _LastLines:
    """A plugin that prints them."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print."""
        for line in self._lines:
            terminalreporter.write_line(f"bench_step: {line}")


def _line(name: str, found: StepResult) -> str:
    parts = []
    for metric, said in _SAID.items():
        shown = quantity_of(found, metric)
        between = f" ({shown.interval})" if shown.interval else ""
        parts.append(f"{said} {shown.estimate}{between}".strip())
    return "; ".join([f"{name}: {', '.join(parts)}", *found.notes])


def _own_step(
    step: Callable[..., object], setup: Callable[[], object] | None, rounds: int
) -> OwnStep:
    """What a fresh process needs to call them; BadInput where it could not import them."""
    if not isinstance(rounds, int) or rounds < 1:
        raise BadInput(f"rounds must be an integer of at least 1, got {rounds!r}")
    return OwnStep(
        _function("step", step),
        None if setup is None else _function("setup", setup),
        tuple(os.path.abspath(place) for place in sys.path),
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
            why = f"({name}) is not what {given.__module__} has under that name"
        elif file is None or not file.endswith(".py"):
            why = f"({name}) is of no file"
        else:
            return Function(given.__module__, os.path.abspath(file), name)
    raise BadInput(
        f"{role} {why}: a fresh process imports it, so it must be a `def` at the top of a file"
    )
