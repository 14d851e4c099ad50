"""What `--benchmark` adds to a pytest session: suites, runs, and the last lines."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from ondevice_bench.analyse.comparison import SURE
from ondevice_bench.analyse.resolve_run import summary_of
from ondevice_bench.declare.folders import locate
from ondevice_bench.errors import BadInput, BenchError, ExitCode, of_the_system
from ondevice_bench.record.command import command_text
from ondevice_bench.record.store import OUT
from ondevice_bench.report.gate.github import annotations, require_summary, write_summary
from ondevice_bench.report.gate.of_runs import outcome_of_runs, places_for
from ondevice_bench.report.terminal.comparison import comparison_lines
from ondevice_bench.running.hosts.host import Host
from ondevice_bench.running.progress import for_terminal
from ondevice_bench.terminal import one_line
from ondevice_bench.testing import pytest_benchmark_adapter as benchmark
from ondevice_bench.testing.cells import CellItem, SuiteCells
from ondevice_bench.testing.gate import Gate
from ondevice_bench.testing.runs import OpenRuns

_SUFFIXES = {".yaml", ".yml"}
_GREEN = {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}


@dataclass(frozen=True)
class CellOptions:
    """What the session's options say."""

    suites: tuple[str, ...]  # names or files
    default_suite: str  # if the session names no suite
    hardware: str | None
    baseline: str | None
    store: str | None
    report: str | None
    interleave: bool


class CellSession:
    """The session's plugin: collects and measures suites. It fails if nothing was measured."""

    def __init__(self, config: pytest.Config, options: CellOptions) -> None:
        given = config.args if config.args_source is pytest.Config.ArgsSource.ARGS else []
        files = [word for word in given if Path(word.partition("::")[0]).suffix in _SUFFIXES]
        names = options.suites or (() if files else (options.default_suite,))
        self._report = None if options.report is None else Path(options.report)
        self._gate: Gate | None = None
        folder = OUT if options.store is None else Path(options.store)
        try:
            benchmark.require(config)
            require_summary()
            named = [locate("suites", name) for name in names]
            paths = [*named, *(Path(word.partition("::")[0]) for word in files)]
            _require_own_folders(paths)
            self._host: Host = config.hook.pytest_bench_host(
                config=config, hardware=options.hardware
            )
            config.add_cleanup(self._host.close)
            if options.baseline:
                self._gate = Gate(options.baseline, summary_of(options.baseline))
            _require_folder("--bench-store", folder)
            if self._report is not None:
                _require_folder("--bench-report", self._report.parent)
                if os.path.isdir(self._report):
                    raise BadInput(f"--bench-report: {self._report} is a folder, not a file")
        except (BenchError, OSError) as error:
            raise pytest.UsageError(str(of_the_system(error) or error)) from None
        config.args = [*given, *(str(path) for path in named)]
        self._suites = {path.resolve() for path in paths}
        self._interleave = options.interleave
        command = command_text(["pytest", *config.invocation_params.args])
        self._runs = OpenRuns(command, folder, self._gate, interleaved=self._interleave)
        self._quiet = config.get_verbosity() < 0
        self._deselected = 0
        self._lines: list[str] = []
        self._commands: list[str] = []

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> SuiteCells | None:
        """Collect the files of suites, and no other YAML files."""
        if file_path.resolve() not in self._suites:
            return None
        inside = file_path.is_relative_to(parent.config.rootpath)
        # pytest has no name for a file outside its root, such as a built-in suite
        nodeid = None if inside else file_path.name
        return SuiteCells.from_parent(
            parent, path=file_path, nodeid=nodeid, runner=self._runs, host=self._host
        )

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Count the cells that were not selected."""
        self._deselected += sum(isinstance(item, CellItem) for item in items)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Tell the gate which cells it will judge."""
        if self._gate is not None:
            suites = {item.parent for item in _cells(session)}
            items = (item for suite in suites for item in suite.request.plan)
            cells = [item.cell for item in items if item.state == "planned"]
            plan = {(cell.id, cell.key): cell for cell in cells}.values()
            chosen = [item.planned.cell for item in _cells(session) if not item.skipped]
            self._gate.expect(plan, chosen)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """With `--interleave`, measure everything before the first item reports."""
        option = session.config.option
        stopped = session.testsfailed and not option.continue_on_collection_errors
        if not self._interleave or option.collectonly or stopped:
            return
        progress = for_terminal(quiet=self._quiet)
        try:
            self._runs.measure_whole(_cells(session), progress)
        except BenchError as error:
            raise pytest.UsageError(str(error)) from None
        finally:
            progress.close()

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Close the runs, write the report, and correct the exit status."""
        try:
            self._runs.finish()
            self._lines += self._runs.where
            if self._gate is not None:
                self._compare(session, self._gate)
            if self._report is not None:
                self._write(self._report)
        except BenchError as error:
            self._lines += str(error).splitlines()
            _fail(session, pytest.ExitCode.USAGE_ERROR)
        finally:
            self._runs.close()
        if not self._runs.measured and not session.config.option.collectonly:
            self._nothing(session)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: "pytest.TerminalReporter") -> None:
        """Print where the results are, and the comparison."""
        for line in self._lines:
            terminalreporter.write_line(one_line(f"ondevice-bench: {line}"))
        for line in self._commands:
            terminalreporter.write_line(one_line(line))

    def _compare(self, session: pytest.Session, gate: Gate) -> None:
        """Compare with the baseline. Cells that a selection left out are not missing."""
        ended = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        is_stopped = session.shouldstop or session.shouldfail
        comparison = gate.comparison(is_complete=ended and not is_stopped)
        if comparison is None:
            return
        self._lines += comparison_lines(comparison)
        place_of = places_for(gate.reference, gate.base, self._runs.runs, comparison)
        outcome = outcome_of_runs("pytest --benchmark", comparison, SURE, place_of)
        self._commands += annotations(outcome)
        write_summary(outcome)
        if comparison.exit_code() == ExitCode.INCONCLUSIVE:
            self._lines.append("not everything of the baseline could be compared")
            _fail(session, pytest.ExitCode.NO_TESTS_COLLECTED)

    def _write(self, path: Path) -> None:
        from ondevice_bench.report.page import write_report  # slow to import

        summaries = self._runs.summaries()
        for summary in summaries:
            several = len(summaries) > 1
            name = f"{path.stem}-{summary.run.suite}{path.suffix}" if several else path.name
            write_report([summary], path.with_name(name))
            self._lines.append(f"report: {path.with_name(name)}")
        if not summaries:
            self._lines.append(f"no report: nothing was measured, so {path} was not written")

    def _nothing(self, session: pytest.Session) -> None:
        if session.exitstatus in _GREEN:
            self._lines.append(f"nothing was measured: {self._why_nothing(session)}")
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED

    def _why_nothing(self, session: pytest.Session) -> str:
        cells = _cells(session)
        reasons = Counter(item.skipped or "skipped before it was measured" for item in cells)
        parts = [f"{count} × {reason}" for reason, count in reasons.items()]
        if self._deselected:
            option = session.config.option
            by = [f"-k {option.keyword!r}"] if option.keyword else []
            by += [f"-m {option.markexpr!r}"] if option.markexpr else []
            chosen = f" ({', '.join(by)})" if by else ""
            parts.append(f"{self._deselected} × deselected{chosen}")
        return "; ".join(parts) or "no suite has a cell here"


def _cells(session: pytest.Session) -> list[CellItem]:
    return [item for item in getattr(session, "items", ()) if isinstance(item, CellItem)]


def _fail(session: pytest.Session, status: pytest.ExitCode) -> None:
    """Let a session that would end green end with this status."""
    if session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = status


def _require_own_folders(suites: Sequence[Path]) -> None:
    """Refuse two files of one name: a folder of results has one run at a time."""
    by_name: dict[str, Path] = {}
    for path in suites:
        other = by_name.setdefault(path.stem, path)
        if other.resolve() != path.resolve():
            raise BadInput(f"{other} and {path} are suites of one name: measure one at a time")


def _require_folder(flag: str, folder: Path) -> None:
    """Refuse a path that cannot become a folder, before hours of measuring."""
    existing = next((each for each in (folder, *folder.parents) if os.path.exists(each)), folder)
    if not os.path.isdir(existing):
        raise BadInput(f"{flag}: {existing} is a file, not a folder")
