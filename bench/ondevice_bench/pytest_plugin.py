"""`pytest --benchmark`: each cell of a suite is a test item; `bench_step`: a step of one's own.

Loaded in every pytest session where the package is installed, so nothing of ours is imported
before it is asked for.
"""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ondevice_bench.run.hosts.host import Host
    from ondevice_bench.testing.steps import StepMeter

DEFAULT_SUITE = "quick"
_WITH_BENCHMARK = ("--suite", "--baseline", "--bench-store", "--bench-report", "--interleave")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--benchmark` and what goes with it."""
    group = parser.getgroup("ondevice-bench", "on-device training benchmarks")
    group.addoption(
        "--benchmark",
        action="store_true",
        help=f"measure the cells of a suite as test items [default suite: {DEFAULT_SUITE}]",
    )
    group.addoption(
        "--suite",
        action="append",
        default=[],
        metavar="NAME",
        help="with --benchmark: a suite's name or YAML file; may be repeated",
    )
    group.addoption(
        "--hardware",
        metavar="NAME",
        help="the hardware profile, instead of recognising it; also for bench_step",
    )
    group.addoption(
        "--baseline",
        metavar="REF",
        help="with --benchmark: fail the cells that regressed since this run: a suite (its "
        "latest), a run's id, STORE@RUN, a bundle, or a baseline's file",
    )
    group.addoption(
        "--bench-store",
        metavar="PATH",
        help="with --benchmark: the folder of results [default: bench-out], one below it a suite",
    )
    group.addoption(
        "--bench-report",
        metavar="PATH",
        help="with --benchmark: write the HTML report there at the end; of several suites, "
        "PATH-SUITE each",
    )
    group.addoption(
        "--interleave",
        action="store_true",
        help="with --benchmark: measure the whole plan first, its rounds in turn between cells; "
        "then the items report",
    )


class HostHook:
    """The hook by which a `conftest.py` chooses the host that measures."""

    @pytest.hookspec(firstresult=True)
    def pytest_bench_host(self, config: pytest.Config, hardware: str | None) -> "Host | None":
        """The machine that measures, such as a `FakeHost`; by default this machine."""


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the hook."""
    pluginmanager.add_hookspecs(HostHook)


@pytest.hookimpl(trylast=True)
def pytest_bench_host(config: pytest.Config, hardware: str | None) -> "Host":
    """Measure on this machine."""
    from ondevice_bench.run.hosts.local import local_host

    return local_host(hardware)


def pytest_configure(config: pytest.Config) -> None:
    """Let the session measure cells, if it is asked to."""
    config.addinivalue_line("markers", "bench: a cell of a suite (pytest --benchmark)")
    if not config.getoption("--benchmark"):
        for flag in _WITH_BENCHMARK:
            if config.getoption(flag):
                raise pytest.UsageError(f"{flag} goes with --benchmark: give both")
        return
    if config.getoption("numprocesses", None) or config.getoption("dist", "no") != "no":
        raise pytest.UsageError("--benchmark with pytest-xdist would measure cells beside cells")
    from ondevice_bench.testing.session import CellSession

    config.pluginmanager.register(CellSession(config, DEFAULT_SUITE), "ondevice-bench-cells")


@pytest.fixture
def bench_step(request: pytest.FixtureRequest) -> "StepMeter":
    """Measure a training step of your own in fresh processes: `bench_step(step, setup=setup)`."""
    from ondevice_bench.testing.steps import StepMeter

    return StepMeter(request)
