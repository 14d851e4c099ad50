"""`pytest --benchmark` runs the cells of suites as tests; `bench_step` measures a step in a test.

pytest loads this module in every session where the package is installed. So it imports nothing of
ours until a session uses it. Its options exist only in a session that gives one of them, and only
under names that nobody else has.
"""

from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ondevice_bench.running.hosts.host import Host
    from ondevice_bench.testing.steps import StepMeter

DEFAULT_SUITE = "quick"
STEPS = "ondevice-bench-steps"  # the plugin of a session that has measured a step


@dataclass(frozen=True, eq=False)  # each option is only equal to itself
class _Option:
    """An option: its names, the one that other plugins may have first, and what argparse needs."""

    names: tuple[str, ...]
    help: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    needs_cells: bool = True

    @property
    def dest(self) -> str:
        """Where pytest keeps the value. No other plugin uses this name."""
        return f"ondevice_{self.names[-1].removeprefix('--').replace('-', '_')}"

    def value(self, config: pytest.Config) -> Any:
        """The value in this session; None if the session has no such option."""
        return config.getoption(self.dest, None)


_CELLS = _Option(
    ("--benchmark", "--bench-cells"),
    f"measure the cells of a suite as test items [default suite: {DEFAULT_SUITE}]",
    {"action": "store_true"},
    needs_cells=False,
)
_SUITE = _Option(
    ("--suite", "--bench-suite"),
    "with --bench-cells: a suite's name or YAML file; can be repeated",
    {"action": "append", "metavar": "NAME"},
)
_HARDWARE = _Option(
    ("--hardware", "--bench-hardware"),
    "use this hardware profile instead of the recognised one; also for bench_step",
    {"metavar": "NAME"},
    needs_cells=False,
)
_BASELINE = _Option(
    ("--baseline", "--bench-baseline"),
    "fail the cells that regressed since this run: a suite or a store (its latest run), "
    "a run's id, STORE@RUN, a bundle, or the file of a baseline; also for bench_step's "
    "assert_not_worse()",
    {"metavar": "REF"},
    needs_cells=False,
)
_STORE = _Option(
    ("--bench-store",),
    "the folder for results; each suite gets a folder in it, and the steps of bench_step get one "
    "[default: bench-out]",
    {"metavar": "PATH"},
    needs_cells=False,
)
_REPORT = _Option(
    ("--bench-report",),
    "with --bench-cells: write the HTML report to this file at the end; with several suites, each "
    "has its own: page.html becomes page-SUITE.html",
    {"metavar": "PATH"},
)
_INTERLEAVE = _Option(
    ("--interleave", "--bench-interleave"),
    "with --bench-cells: measure all cells first, so that their rounds alternate; then the items "
    "report",
    {"action": "store_true"},
)
_OPTIONS = (_CELLS, _SUITE, _HARDWARE, _BASELINE, _STORE, _REPORT, _INTERLEAVE)
_BY_NAME = {name: option for option in _OPTIONS for name in option.names}
_GIVEN = pytest.StashKey[Mapping[_Option, str]]()  # by which name the session gives each option


class HostHook:
    """The hook by which a `conftest.py` chooses the host that measures."""

    @pytest.hookspec(firstresult=True)
    def pytest_bench_host(self, config: pytest.Config, hardware: str | None) -> "Host | None":
        """The machine that measures, such as a `FakeHost`; by default this machine."""


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the hook."""
    pluginmanager.add_hookspecs(HostHook)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None, object, object]:
    """Add our options when all others are there, if one of them is given or help is wanted."""
    result = yield
    unknown = parser.parse_known_and_unknown_args(args)[1]
    given = [name for name in map(_name, unknown) if name in _BY_NAME]
    wants_help = early_config.known_args_namespace.help
    if not given and not wants_help:
        return result
    group = parser.getgroup("ondevice-bench", "on-device training benchmarks")
    added: dict[_Option, str] = {}
    for option in _OPTIONS:
        free = [name for name in option.names if _is_free(parser, name)]
        if free:
            added[option] = free[-1]
            # a conftest.py that pytest loads later can add the short name, except after --help
            names = free if wants_help else free[-1:]
            group.addoption(*names, dest=option.dest, help=option.help, **option.settings)
    for place, word in enumerate(args):
        if (name := _name(word)) in given:
            args[place] = added[_BY_NAME[name]] + word.removeprefix(name)
    early_config.stash[_GIVEN] = {_BY_NAME[name]: name for name in given}
    places = parser.parse_known_args(args).file_or_dir
    if places != early_config.known_args_namespace.file_or_dir:
        # pytest took the values of our options for places of tests
        early_config.known_args_namespace.file_or_dir = places
        early_config.pytest_load_initial_conftests(early_config)
    return result


def _name(word: str) -> str:
    return word.partition("=")[0]


def _is_free(parser: pytest.Parser, name: str) -> bool:
    """Whether nobody has an option of this name."""
    word = f"{name}="
    with suppress(pytest.UsageError):  # it exists, and does not like this value
        return word in parser.parse_known_and_unknown_args([word])[1]
    return False


@pytest.hookimpl(trylast=True)
def pytest_bench_host(config: pytest.Config, hardware: str | None) -> "Host":
    """Measure on this machine."""
    from ondevice_bench.running.hosts.local import local_host

    return local_host(hardware)


def pytest_configure(config: pytest.Config) -> None:
    """Let the session measure cells, with `--benchmark`."""
    given = config.stash.get(_GIVEN, {})
    if not given:
        return
    if _BASELINE in given:
        from ondevice_bench.testing.whole_files import WHOLE_FILES, WholeFiles

        config.pluginmanager.register(WholeFiles(), WHOLE_FILES)
    if _CELLS not in given:
        for option, name in given.items():
            if option.needs_cells:
                raise pytest.UsageError(f"{name} goes with --benchmark (--bench-cells): give both")
        for_steps = [name for option, name in given.items() if option in (_BASELINE, _STORE)]
        if for_steps and not config.option.collectonly:
            config.pluginmanager.register(_ForSteps(for_steps[0]))
        return
    if config.getoption("numprocesses", None) or config.getoption("dist", "no") != "no":
        raise pytest.UsageError(
            f"{given[_CELLS]} cannot run with pytest-xdist: cells would disturb each other"
        )
    config.addinivalue_line("markers", "bench: a cell of a suite (pytest --benchmark)")
    from ondevice_bench.testing.session import CellOptions, CellSession

    options = CellOptions(
        suites=tuple(_SUITE.value(config) or ()),
        default_suite=DEFAULT_SUITE,
        hardware=_HARDWARE.value(config),
        baseline=_BASELINE.value(config),
        store=_STORE.value(config),
        report=_REPORT.value(config),
        interleave=bool(_INTERLEAVE.value(config)),
    )
    config.pluginmanager.register(CellSession(config, options), "ondevice-bench-cells")


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, object, object]:
    """Let `--benchmark-only` keep the tests of steps: pytest-benchmark looks for its fixture."""
    is_wanted = config.getoption("benchmark_only", False)
    tests = [item for item in items if is_wanted and isinstance(item, pytest.Function)]
    of_steps = [test.fixturenames for test in tests if "bench_step" in test.fixturenames]
    for names in of_steps:
        names.append("benchmark")
    try:
        return (yield)
    finally:
        for names in of_steps:
            names.remove("benchmark")


class _ForSteps:
    """Lets a session fail if an option for steps or cells found neither."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lines: list[str] = []

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Look whether a step was measured."""
        if session.config.pluginmanager.has_plugin(STEPS):
            return
        self._lines = [f"{self._name} goes with --benchmark, or with a test that uses bench_step"]
        if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.USAGE_ERROR

    def pytest_terminal_summary(self, terminalreporter: "pytest.TerminalReporter") -> None:
        """Say so."""
        for line in self._lines:
            terminalreporter.write_line(f"ondevice-bench: {line}")


@pytest.fixture
def bench_step(request: pytest.FixtureRequest) -> "StepMeter":
    """Measure your own training step in new processes: `bench_step(step, setup=setup)`."""
    from ondevice_bench.testing.steps import StepMeter, StepOptions

    given = [option.value(request.config) for option in (_HARDWARE, _BASELINE, _STORE)]
    return StepMeter(request, StepOptions(STEPS, *given))
