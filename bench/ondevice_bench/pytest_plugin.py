"""`pytest --benchmark` runs the cells of suites as tests; `bench_step` measures a step in a test.

pytest loads this module in every session where the package is installed. So it imports nothing of
ours until a session uses it.
"""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ondevice_bench.run.hosts.host import Host
    from ondevice_bench.testing.steps import StepMeter

DEFAULT_SUITE = "quick"
_WITH_BENCHMARK = ("--suite", "--baseline", "--bench-store", "--bench-report", "--interleave")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--benchmark` and its options."""
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
        help="with --benchmark: a suite's name or YAML file; can be repeated",
    )
    group.addoption(
        "--hardware",
        metavar="NAME",
        help="use this hardware profile instead of the recognised one; also for bench_step",
    )
    group.addoption(
        "--baseline",
        metavar="REF",
        help="with --benchmark: fail the cells that regressed since this run: a suite (its "
        "latest run), a run's id, STORE@RUN, a bundle, or the file of a baseline",
    )
    group.addoption(
        "--bench-store",
        metavar="PATH",
        help="with --benchmark: the folder for results; each suite gets a folder in it "
        "[default: bench-out]",
    )
    group.addoption(
        "--bench-report",
        metavar="PATH",
        help="with --benchmark: write the HTML report to this file at the end; several suites "
        "write one report each, PATH-SUITE",
    )
    group.addoption(
        "--interleave",
        action="store_true",
        help="with --benchmark: measure all cells first, so that their rounds alternate; then "
        "the items report",
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
    """Let the session measure cells, with `--benchmark`."""
    config.addinivalue_line("markers", "bench: a cell of a suite (pytest --benchmark)")
    if not config.getoption("--benchmark"):
        for flag in _WITH_BENCHMARK:
            if config.getoption(flag):
                raise pytest.UsageError(f"{flag} goes with --benchmark: give both")
        return
    if config.getoption("numprocesses", None) or config.getoption("dist", "no") != "no":
        raise pytest.UsageError(
            "--benchmark cannot run with pytest-xdist: cells would disturb each other"
        )
    from ondevice_bench.testing.session import CellSession

    config.pluginmanager.register(CellSession(config, DEFAULT_SUITE), "ondevice-bench-cells")


@pytest.fixture
def bench_step(request: pytest.FixtureRequest) -> "StepMeter":
    """Measure your own training step in new processes: `bench_step(step, setup=setup)`."""
    from ondevice_bench.testing.steps import StepMeter

    return StepMeter(request)
