"""What a comparison of two runs says: the verdict on each metric, the counts, the exit code."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ondevice_bench import metrics
from ondevice_bench.analyse.failed_rounds import MoreFailed
from ondevice_bench.analyse.judgement import Verdict
from ondevice_bench.errors import ExitCode
from ondevice_bench.suite.code import CodeChange

SECONDS = "seconds"  # the unit of times
SURE = frozenset({"regressed"})
# the verdicts on a metric, the most important first
VERDICTS: tuple[Verdict, ...] = (
    "regressed",
    "improved",
    "accepted",
    "missing",
    "inconclusive",
    "unchanged",
)


@dataclass(frozen=True)
class Difference:
    """One metric of one cell in both runs; `new` is None if it was not measured.

    A noisy metric with enough rounds has a ratio with its interval. `ratio` is the middle of all
    ratios of two rounds. It is not always that of both medians, which may lie outside. `reason`
    says why a verdict is `missing` or `inconclusive`. `accepted` is a change of the base that
    somebody accepted. If the verdict is not `accepted`, it has changed again, and `base` is
    the accepted value.
    """

    cell: str
    metric: str
    base: float
    new: float | None
    verdict: Verdict
    ratio: float | None = None
    lower: float | None = None
    upper: float | None = None
    reason: str = ""
    accepted: str = ""
    rounds_needed: int | None = None  # about this many would decide an inconclusive metric
    # whether a run has too few rounds for any verdict, however quiet its machine was
    is_short: bool = False
    # whether the interval is narrow, but lies on the threshold: equal code would be decided
    is_near: bool = False


@dataclass(frozen=True)
class Decided:
    """How many cells have a verdict on one of their times, and how many have times at all.

    With `is_blind`, no cell can have one: not even equal code would be decided, although the suite
    asks for enough rounds.
    """

    cells: int
    of: int
    is_blind: bool


@dataclass(frozen=True)
class WholeRunChange:
    """By how much a metric is worse in all cells of a run, so that no method is the cause.

    `ratio` is the median of the cells, `lowest` and `highest` are those of single cells.
    """

    metric: str
    ratio: float
    lowest: float
    highest: float
    cells: int


@dataclass(frozen=True)
class Comparison:
    """Every metric of the base run that can be compared, each with its verdict."""

    base: str
    new: str
    differences: tuple[Difference, ...]
    only_in_base: tuple[str, ...]
    only_in_new: tuple[str, ...]
    unlike: tuple[str, ...]  # differences in software, machine and settings
    not_compared: str = ""  # why noisy metrics were left out
    of_other_kernels: tuple[str, ...] = ()  # exact metrics left out, because the kernels differ
    # the ids of runs that were not interleaved, and `RUN: CELL` for a cell that was measured apart
    not_interleaved: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()  # cells with more than one possible partner
    code: Mapping[str, tuple[CodeChange, ...]] = field(default_factory=dict)  # by cell of the base
    lost: int = 0  # metrics of the cells that are only in the base
    failed: tuple[MoreFailed, ...] = ()  # passes with more failed rounds than in the base
    # by cell: what the base has no result of, and why; nothing can be said of the new one there
    not_judged: Mapping[str, str] = field(default_factory=dict)
    joined: int = 0  # the number of cells that both runs have
    # what is worse in the whole run; such a change proves nothing about a method
    whole_run: tuple[WholeRunChange, ...] = ()

    @property
    def is_all_new(self) -> bool:
        """Whether the base has no cell of the new run, so that nothing can be compared."""
        has_base = self.joined or self.only_in_base or self.ambiguous
        return bool(self.only_in_new) and not has_base

    @property
    def counts(self) -> dict[Verdict, int]:
        """The number of metrics of each verdict. All metrics of a cell that is gone are missing."""
        found = Counter(item.verdict for item in self.differences)
        found["missing"] += self.lost
        return {verdict: found[verdict] for verdict in VERDICTS}

    @property
    def decided(self) -> Decided:
        """How many cells have a verdict on one of their times."""
        times = [
            item
            for item in self.differences
            if metrics.BY_NAME[item.metric].unit == SECONDS and item.verdict != "missing"
        ]
        decided = {item.cell for item in times if item.verdict != "inconclusive"}
        sees = bool(decided) or any(item.is_near for item in times)
        is_blind = not sees and not all(item.is_short for item in times)
        return Decided(len(decided), len({item.cell for item in times}), is_blind)

    @property
    def code_changes(self) -> Mapping[CodeChange, int]:
        """The files of the user's code that have another version, each with its number of cells."""
        return Counter(change for changes in self.code.values() for change in changes)

    def with_verdict(self, verdict: Verdict) -> tuple[Difference, ...]:
        """The differences with that verdict."""
        return tuple(item for item in self.differences if item.verdict == verdict)

    def exit_code(self, fail_on: Collection[str] = SURE) -> ExitCode:
        """4 if something regressed or more rounds failed, 5 if something is not decided, else 0.

        Not decided is: something is missing, the whole run is slower, or no cell could be judged.

        New cells are no reason to fail, even if there are no others.
        """
        if self.failed or ("regressed" in fail_on and self.with_verdict("regressed")):
            return ExitCode.REGRESSION
        if self.is_all_new:
            return ExitCode.OK
        if self.with_verdict("missing") or self.only_in_base or not self.differences:
            return ExitCode.INCONCLUSIVE
        if "regressed" in fail_on and (self.whole_run or self.decided.is_blind):
            return ExitCode.INCONCLUSIVE
        if "inconclusive" in fail_on and self.with_verdict("inconclusive"):
            return ExitCode.INCONCLUSIVE
        return ExitCode.OK

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain values."""
        decided = {"cells": self.decided.cells, "of": self.decided.of}
        return {**asdict(self), "counts": self.counts, "decided": decided}


def join_comparisons(parts: Sequence[Comparison]) -> Comparison:
    """One comparison from comparisons of single cells of the same two runs."""
    return replace(
        parts[0],
        differences=tuple(difference for part in parts for difference in part.differences),
        only_in_base=tuple(cell for part in parts for cell in part.only_in_base),
        only_in_new=tuple(cell for part in parts for cell in part.only_in_new),
        of_other_kernels=_each_once(part.of_other_kernels for part in parts),
        not_interleaved=_each_once(part.not_interleaved for part in parts),
        ambiguous=tuple(cell for part in parts for cell in part.ambiguous),
        code={cell: changes for part in parts for cell, changes in part.code.items()},
        lost=sum(part.lost for part in parts),
        failed=tuple(each for part in parts for each in part.failed),
        not_judged={cell: why for part in parts for cell, why in part.not_judged.items()},
        joined=sum(part.joined for part in parts),
    )


def _each_once(parts: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each for part in parts for each in part))
