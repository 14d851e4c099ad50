"""`pytest --benchmark`: each cell of a suite is a test item that measures itself.

Loaded in every pytest session where the package is installed, so nothing of ours is imported
before it is asked for.
"""

import contextlib
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bench.record.model import Record
    from bench.run.request import Request
    from bench.run.session import Session
    from bench.suite.plan import PlannedCell

DEFAULT_SUITE = "quick"
_SUFFIXES = {".yaml", ".yml"}
_SUITES = pytest.StashKey[set[Path]]()
_RUNS = pytest.StashKey["OpenRuns"]()


class CellFailure(Exception):
    """A cell did not yield its figures; the text says which pass and why."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--benchmark` and `--suite`."""
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


def pytest_configure(config: pytest.Config) -> None:
    """Find the suites that are asked for and make them what pytest collects."""
    if not config.getoption("--benchmark"):
        if config.getoption("--suite"):
            raise pytest.UsageError("--suite names a suite for --benchmark: give both")
        return
    if config.getoption("numprocesses", None):
        raise pytest.UsageError("--benchmark with pytest-xdist would measure cells beside cells")
    from bench.declare.folders import locate
    from bench.errors import BenchError

    given = config.args if config.args_source is pytest.Config.ArgsSource.ARGS else []
    files = [word for word in given if Path(word.partition("::")[0]).suffix in _SUFFIXES]
    names = config.getoption("--suite") or ([] if files else [DEFAULT_SUITE])
    try:
        named = [locate("suites", name) for name in names]
    except BenchError as error:
        raise pytest.UsageError(str(error)) from None
    config.args = [*given, *(str(path) for path in named)]
    paths = [*named, *(Path(word.partition("::")[0]) for word in files)]
    config.stash[_SUITES] = {path.resolve() for path in paths}
    config.stash[_RUNS] = OpenRuns(shlex.join(["pytest", *config.invocation_params.args]))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "SuiteFile | None":
    """Collect a suite's file, never another YAML file."""
    if file_path.resolve() not in parent.config.stash.get(_SUITES, set()):
        return None
    inside = file_path.is_relative_to(parent.config.rootpath)
    # pytest has no name for a file outside its root, such as a suite that the package brings
    nodeid = None if inside else file_path.name
    return SuiteFile.from_parent(parent, path=file_path, nodeid=nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Close the runs: workers end, batches go."""
    if _RUNS in session.config.stash:
        session.config.stash[_RUNS].close()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say where the results are."""
    runs = config.stash.get(_RUNS, None)
    for line in runs.where if runs is not None else []:
        terminalreporter.write_line(line)


class SuiteFile(pytest.File):
    """A suite; its items are its cells."""

    request: "Request"

    def collect(self) -> Iterator["CellItem"]:
        """Expand the suite for this machine."""
        from bench.errors import BenchError
        from bench.run.own import describe
        from bench.run.request import request
        from bench.suite.load import load_suite

        try:
            suite = load_suite(str(self.path))
            for each in (suite, *suite.variants.values()):
                describe(each)
            self.request = request(suite, command="")
        except BenchError as error:
            raise self.CollectError(str(error)) from None
        for item in self.request.plan:
            here = item.state != "pending"
            name = item.cell.id if here else f"{item.cell.id} on {item.profile}"
            yield CellItem.from_parent(self, name=name, planned=item)


class CellItem(pytest.Item):
    """A cell; running it measures all its passes, each in a fresh process."""

    parent: SuiteFile

    def __init__(self, *, planned: "PlannedCell", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.planned = planned

    def runtest(self) -> None:
        """Measure the cell, or skip with the reason."""
        if self.planned.state != "planned":
            pytest.skip(self.planned.reason)
        run = self.config.stash[_RUNS].of(self)
        records = [run.perform(task) for task in run.tasks() if task.cell == self.planned.cell.id]
        failed = [_said(record) for record in records if record.status != "ok"]
        if failed:
            raise CellFailure("\n".join(failed))

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """Show a cell's failure as its reason; a bug of ours as a traceback."""
        from bench.errors import BenchError

        if isinstance(excinfo.value, (CellFailure, BenchError)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Name the item by its cell."""
        return self.path, None, self.name


class OpenRuns:
    """The runs of a pytest session: one for each suite, opened when its first item runs."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._stack = contextlib.ExitStack()
        self._open: dict[Path, Session] = {}
        self.where: list[str] = []

    def of(self, item: CellItem) -> "Session":
        """The run that measures this item's suite."""
        if item.path not in self._open:
            self._open[item.path] = self._start(item)
        return self._open[item.path]

    def close(self) -> None:
        """End every run; those whose plan is complete are marked finished."""
        for run in self._open.values():
            if not run.left():
                run.finish()
        self._stack.close()

    def _start(self, item: CellItem) -> "Session":
        from bench.record.store import OUT
        from bench.run.progress import Silent
        from bench.run.session import open_session

        selected = [
            other.planned
            for other in item.session.items
            if isinstance(other, CellItem) and other.path == item.path
        ]
        asked = replace(
            item.parent.request, plan=tuple(selected), command=self._command, origin="pytest"
        )
        run = self._stack.enter_context(open_session(asked, OUT / asked.suite.name, Silent()))
        self.where.append(f"ondevice-bench: run {run.run.id} in {run.store.path}")
        return run


def _said(record: "Record") -> str:
    key = record.key
    return f"{key.pass_name}, round {key.round}: {record.status}: {record.reason}"
