"""Suites as files of test items, one for each cell."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ondevice_bench.errors import BenchError
from ondevice_bench.run.queries.user_models import describe
from ondevice_bench.run.request import Request, request
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.testing.pytest_benchmark_adapter import FIXTURENAMES

if TYPE_CHECKING:
    from ondevice_bench.testing.runs import OpenRuns


class CellFailure(Exception):
    """A cell did not yield its figures, or worse ones; the text says which and why."""


class SuiteFile(pytest.File):
    """A suite; its items are its cells."""

    request: Request

    def __init__(self, *, runs: "OpenRuns", hardware: str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.runs = runs
        self._hardware = hardware

    def collect(self) -> Iterator["CellItem"]:
        """Expand the suite for this machine."""
        try:
            suite = load_suite(str(self.path))
            for each in (suite, *suite.variants.values()):
                describe(each)
            self.request = request(suite, command="", hardware=self._hardware)
        except BenchError as error:
            raise self.CollectError(str(error)) from None
        for item in self.request.plan:
            here = item.state != "pending"
            name = item.cell.id if here else f"{item.cell.id} on {item.profile}"
            yield CellItem.from_parent(self, name=name, planned=item)


class CellItem(pytest.Item):
    """A cell; running it measures all its passes, each in a fresh process."""

    parent: SuiteFile
    fixturenames = FIXTURENAMES

    def __init__(self, *, planned: PlannedCell, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.planned = planned
        self.skipped = "" if planned.state == "planned" else planned.reason
        self.add_marker("bench")

    def runtest(self) -> None:
        """Measure the cell, or skip with the reason."""
        if not self.skipped:
            self.skipped = self.parent.runs.measure(self)
        if self.skipped:
            pytest.skip(self.skipped)

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """Show a cell's failure as its reason; a bug of ours as a traceback."""
        if isinstance(excinfo.value, (CellFailure, BenchError)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Name the item by its cell; pytest wants a line for what a mark skips."""
        return self.path, 0, self.name
