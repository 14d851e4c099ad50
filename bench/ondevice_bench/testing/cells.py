"""Suites as pytest files: each cell is a test item."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from ondevice_bench.errors import BenchError
from ondevice_bench.running.hosts.host import Host
from ondevice_bench.running.queries.described_suite import described
from ondevice_bench.running.request import Request, request
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.terminal import printable
from ondevice_bench.testing.pytest_benchmark_adapter import FIXTURENAMES


class CellFailure(Exception):
    """A cell gave no numbers, or worse ones than the baseline. The text says which and why."""


class CellRunner(Protocol):
    """What measures the items of a session."""

    def measure(self, item: "CellItem") -> str:
        """Measure the item's cell; the reason if nothing was measured. CellFailure if it failed."""


class SuiteCells(pytest.File):
    """The file of a suite. Its items are the cells."""

    request: Request

    def __init__(self, *, runner: CellRunner, host: Host, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.runner = runner
        self._host = host

    def collect(self) -> Iterator["CellItem"]:
        """Expand the suite for this machine."""
        try:
            suite = described(self._host, load_suite(str(self.path)))
            self.request = request(self._host, suite, command="")
        except BenchError as error:
            raise self.CollectError(str(error)) from None
        for item in self.request.plan:
            is_here = item.state != "pending"
            name = item.cell.id if is_here else f"{item.cell.id} on {item.profile}"
            yield CellItem.from_parent(self, name=name, planned=item)


class CellItem(pytest.Item):
    """One cell. Running it measures all its passes, each in a new process."""

    parent: SuiteCells
    fixturenames = FIXTURENAMES

    def __init__(self, *, planned: PlannedCell, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.planned = planned
        self.skipped = "" if planned.state == "planned" else planned.reason
        self.add_marker("bench")

    def runtest(self) -> None:
        """Measure the cell, or skip with the reason."""
        if not self.skipped:
            self.skipped = self.parent.runner.measure(self)
        if self.skipped:
            pytest.skip(self.skipped)

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """Show a failed cell by its reason, and a bug of ours by its traceback."""
        if isinstance(excinfo.value, (CellFailure, BenchError)):
            return printable(str(excinfo.value))
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Name the item by its cell. pytest needs a line number for what a mark skips."""
        return self.path, 0, self.name
