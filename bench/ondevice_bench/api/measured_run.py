"""A run that was measured, as a program or a notebook gets it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.errors import ExitCode
from ondevice_bench.notebook import paragraphs
from ondevice_bench.report.terminal.board import board_lines
from ondevice_bench.report.terminal.run import problem_lines
from ondevice_bench.report.terminal.verdict import answers_of, verdict_lines
from ondevice_bench.running.outcome import exit_code

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class MeasuredRun:
    """A run of a suite: its results, its verdict, and the page of its report."""

    summary: RunSummary
    page: Path

    @property
    def id(self) -> str:
        """The id of the run, as the command takes it."""
        return self.summary.run.id

    @property
    def verdict(self) -> tuple[str, ...]:
        """What follows from the numbers, in sentences."""
        return (*verdict_lines(answers_of(self.summary)), *board_lines(self.summary))

    @property
    def problems(self) -> tuple[str, ...]:
        """What was not measured, and why."""
        return tuple(problem_lines(self.summary))

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of `bench run`: 0, 3 if a cell failed, 6 if nothing was measured."""
        return exit_code(self.summary.outcomes, self.summary.run.settings)

    @property
    def frame(self) -> "pandas.DataFrame":
        """The estimates as a table of pandas, with the columns of `load`."""
        from ondevice_bench.analyse.frame import frame_of  # pandas

        return frame_of([self.summary])

    @property
    def samples(self) -> "pandas.DataFrame":
        """Each sample that was measured, with the columns of `load(…, samples=True)`."""
        from ondevice_bench.analyse.frame import samples_of  # pandas

        return samples_of([self.summary])

    def __str__(self) -> str:
        return "\n".join([*self.verdict, *self.problems, self._report])

    def _repr_html_(self) -> str:
        lines = [*self.verdict, *self.problems]
        table = self.summary._repr_html_()
        return f"{paragraphs(lines)}{table}{paragraphs([self._report])}"

    @property
    def _report(self) -> str:
        """Where the report is, as seen from here."""
        try:
            page = self.page.relative_to(Path.cwd())
        except (OSError, ValueError):  # the folder was removed, or the page is elsewhere
            page = self.page
        return f"report: {page}"
