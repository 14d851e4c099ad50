"""What a run has measured: its cells with their estimates, notes and problems."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ondevice_bench import metrics
from ondevice_bench.analyse.alternation import Begun, Origin
from ondevice_bench.analyse.failed_rounds import Rounds
from ondevice_bench.hardware.finding import DoctorFinding
from ondevice_bench.notebook import html_table
from ondevice_bench.record.acceptance import Acceptance
from ondevice_bench.record.details import Details
from ondevice_bench.record.model import Run
from ondevice_bench.record.origin import PYTEST
from ondevice_bench.stats import Estimate
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.units import interval, quantity

STATUS_ORDER = ("oom", "timeout", "failed", "skipped", "ok")
NOT_INTERLEAVED = (
    "not interleaved: all processes of a cell ran one after another, so a drift of the machine "
    "looks like a difference between cells. So a difference of times or memory counts only from "
    "twice the usual threshold. Use `bench run`, or `--interleave` of pytest"
)
NOT_WATCHED = (
    "disturbances not recorded: nothing here says whether other programs ran while it measured. So "
    "its times may be too long. A baseline file has no such records: draw the page from the store "
    "of the run, or run again"
)


@dataclass(frozen=True)
class CellEstimates:
    """The estimates of one cell in a run: all that CSV and a history need."""

    id: str
    planned: PlannedCell
    status: str
    estimates: Mapping[str, Estimate]
    samples: Mapping[str, tuple[tuple[float, ...], ...]]
    launches: Mapping[str, str]  # by metric: whether its processes were forked or spawned
    details: Mapping[str, Details]  # by pass, of its first process that succeeded
    # by metric: round and unit of each process in `samples`; empty for a run on one board
    origins: Mapping[str, tuple[Origin, ...]] = field(default_factory=dict, kw_only=True)
    # by metric of energy: what its meter counts
    meters: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    # by metric: whether others disturbed each process in `samples`; empty if they disturbed none
    disturbances: Mapping[str, tuple[bool, ...]] = field(default_factory=dict, kw_only=True)
    # by pass: when each process that succeeded began
    begun: Mapping[str, Begun] = field(default_factory=dict, kw_only=True)

    def details_of(self, pass_name: str) -> Details:
        """The details of a pass. They are empty if the pass has no record."""
        return self.details.get(pass_name, Details())

    def undisturbed(self, metric: str) -> tuple[tuple[float, ...], ...]:
        """The samples of the processes from which nothing took processors."""
        samples = self.samples.get(metric, ())
        disturbed = self.disturbances.get(metric) or [False] * len(samples)
        return tuple(
            each for each, is_lost in zip(samples, disturbed, strict=True) if each and not is_lost
        )


@dataclass(frozen=True)
class CellSummary(CellEstimates):
    """The results of one cell in a run; `unavailable` has the reason for each missing metric."""

    problems: tuple[str, ...]
    notes: tuple[str, ...]
    unavailable: Mapping[str, str]
    # by pass: in how many of its processes others used the processors, too
    disturbed: Mapping[str, int] = field(default_factory=dict)
    is_imprecise: bool = (
        False  # whether a round did not reach the precision that the suite asks for
    )
    units: Mapping[str, int] = field(default_factory=dict)  # processes on each board of a fleet
    rounds: Mapping[str, Rounds] = field(default_factory=dict)  # by pass: how many failed
    # the passes whose rounds alternated with those of no other cell of the run
    apart: frozenset[str] = frozenset()

    @property
    def is_disturbed(self) -> bool:
        """Whether other programs or a quota took processors from the samples of a pass."""
        return bool(self.disturbed)

    def _repr_html_(self) -> str:
        rows = (
            (
                metrics.described(name).label,
                quantity(each.estimate, metrics.described(name).unit),
                _bounds(each, metrics.described(name).unit),
            )
            for name, each in self.estimates.items()
        )
        return html_table(f"{self.id}: {self.status}", ("metric", "estimate", "interval"), rows)

    def to_dict(self) -> dict[str, Any]:
        """The summary as plain values, without raw samples."""
        return {
            "cell": self.planned.cell.id,
            "fingerprint": self.planned.cell.fingerprint,
            "allocator": self.planned.cell.allocator or None,
            "profile": self.planned.profile,
            "status": self.status,
            "problems": list(self.problems),
            "notes": list(self.notes),
            "metrics": {
                name: {
                    **estimate.to_dict(),
                    "unit": metrics.described(name).unit,
                    "scope": metrics.described(name).scope,
                }
                for name, estimate in self.estimates.items()
            },
            "unavailable": dict(self.unavailable),
        }


@dataclass(frozen=True)
class RunSummary:
    """A run and all its cells. A baseline may have changes that somebody accepted since."""

    run: Run
    cells: tuple[CellSummary, ...]
    accepted: tuple[Acceptance, ...] = ()

    def _repr_html_(self) -> str:
        described = [metrics.described(name) for name in metrics.HEADLINES]
        rows = (
            (
                cell.id,
                *(
                    quantity(cell.estimates[each.name].estimate, each.unit)
                    if each.name in cell.estimates
                    else "–"
                    for each in described
                ),
                cell.status,
            )
            for cell in self.cells
        )
        titles = ("cell", *(each.label for each in described), "status")
        return html_table(f"{self.run.id} on {self.run.profile}", titles, rows)

    @property
    def notes(self) -> tuple[str, ...]:
        """The doctor's warnings about the machine when the run began or went on."""
        return warnings_in(self._findings)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The same warnings, each with what to do."""
        warned = [each for each in self._findings if each.is_warning]
        return tuple(
            f"{note}. What to do: {each.cure}" if each.cure else note
            for note, each in zip(self.notes, warned, strict=True)
        )

    @property
    def unwatched(self) -> str:
        """A warning if there are times, and nobody watched the machine; empty otherwise."""
        is_timed = any("step_seconds" in cell.estimates for cell in self.cells)
        return NOT_WATCHED if is_timed and not self.is_watched else ""

    @property
    def _findings(self) -> tuple[DoctorFinding, ...]:
        return tuple(map(DoctorFinding.from_dict, self.run.settings.get("doctor", [])))

    @property
    def is_watched(self) -> bool:
        """Whether a record says how much of the processors others took. Baselines never do."""
        details = (each for cell in self.cells for each in cell.details.values())
        return any(each.foreign_cpu_share is not None for each in details)

    @property
    def planned(self) -> tuple[CellSummary, ...]:
        """The cells that this run was to measure: not those of other boards, nor the refused."""
        return tuple(cell for cell in self.cells if cell.planned.state == "planned")

    @property
    def units(self) -> frozenset[str]:
        """The boards that measured it. It is empty if the run does not know them."""
        if self.run.unit:
            return frozenset({self.run.unit})
        return frozenset(each for cell in self.cells for each in cell.units)

    @property
    def is_interleaved(self) -> bool:
        """Whether rounds alternated between the cells. Old runs of pytest did not."""
        return bool(self.run.settings.get("interleaved", self.run.origin != PYTEST))

    @property
    def statuses(self) -> dict[str, int]:
        """The number of cells of each status."""
        return dict(Counter(cell.status for cell in self.cells))

    @property
    def outcomes(self) -> frozenset[str]:
        """The statuses that an exit code is made of. A cell with numbers was not only skipped."""
        return frozenset(
            "ok" if cell.status == "skipped" and cell.estimates else cell.status
            for cell in self.cells
        )

    def to_dict(self) -> dict[str, Any]:
        """The run as plain values, without raw samples."""
        return {
            "run": self.run.id,
            "suite": self.run.suite,
            "profile": self.run.profile,
            "finished": self.run.finished,
            "interleaved": self.is_interleaved,
            "notes": list(self.notes),
            "cells": [cell.to_dict() for cell in self.cells],
        }


def warnings_in(findings: Iterable[DoctorFinding]) -> tuple[str, ...]:
    """The warnings among the findings, in words."""
    return tuple(
        f"{finding.subject}: {finding.observation}: {finding.effect}"
        for finding in findings
        if finding.is_warning
    )


def _bounds(each: Estimate, unit: str) -> str:
    if each.lower is None or each.upper is None or each.basis == "exact":
        return each.basis
    return interval(each.lower, each.upper, unit)
