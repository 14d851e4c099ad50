"""The decision of `bench compare`, `bench ab` or pytest, in one form for all outputs."""

from collections.abc import Sequence
from dataclasses import dataclass

from ondevice_bench.analyse.judgement import Verdict
from ondevice_bench.errors import ExitCode
from ondevice_bench.units import number_of

# the order in which verdicts are shown
ORDER: tuple[Verdict, ...] = (
    "regressed",
    "failed",
    "missing",
    "inconclusive",
    "accepted",
    "improved",
    "skipped",
    "unchanged",
)


@dataclass(frozen=True)
class Place:
    """A line of a file, relative to the working directory."""

    file: str
    line: int


@dataclass(frozen=True)
class GateRow:
    """A metric of a cell on both sides, as text. `remark` adds what the numbers do not show."""

    cell: str
    metric: str
    base: str
    new: str
    change: str
    verdict: Verdict
    remark: str = ""
    place: Place | None = None


@dataclass(frozen=True)
class GateOutcome:
    """All rows and notes of a gate. `failing` has the verdicts that make it fail."""

    title: str
    base: str
    new: str
    rows: tuple[GateRow, ...]
    only_in_base: tuple[str, ...]
    only_in_new: tuple[str, ...]
    notes: tuple[str, ...]
    exit_code: ExitCode
    failing: frozenset[str]
    why_not_decided: tuple[str, ...] = ()  # reasons that no row has: of the whole comparison

    @property
    def in_order(self) -> tuple[GateRow, ...]:
        """The rows, the most important first."""
        return tuple(sorted(self.rows, key=lambda row: ORDER.index(row.verdict)))

    def with_verdict(self, verdict: Verdict) -> tuple[GateRow, ...]:
        """The rows with that verdict."""
        return tuple(row for row in self.rows if row.verdict == verdict)

    @property
    def sentence(self) -> str:
        """The decision in one sentence, with the reason if there is no clear decision."""
        counted = counts_text(self.rows)
        match self.exit_code:
            case ExitCode.REGRESSION:
                return f"Worse: {'; '.join(self._worse())}"
            case ExitCode.CELL_FAILED:
                return f"Failed: {number_of(self._failed_cells, 'cell')} could not be measured"
            case ExitCode.INCONCLUSIVE:
                return f"Not decided: {'; '.join(self._undecided())}"
            case ExitCode.NOTHING_RAN:
                return "Nothing was compared"
            case _ if self.only_in_new and not self.rows:
                new = number_of(len(self.only_in_new), "new cell")
                return f"Nothing to compare with: {new}"
            case _ if self.with_verdict("regressed"):
                return f"Worse, which does not fail here: {counted}"
            case _ if self.with_verdict("inconclusive"):
                decided = "; ".join([*self.why_not_decided, counted])
                return f"Not worse as far as it was decided: {decided}"
            case _:
                return f"Not worse: {counted}"

    @property
    def _failed_cells(self) -> int:
        return len({row.cell for row in self.with_verdict("failed")})

    def _worse(self) -> list[str]:
        """What became worse."""
        regressed = self.with_verdict("regressed")
        parts = [_of("regressed", regressed)] if regressed else []
        if self._failed_cells:
            parts.append(f"rounds of {number_of(self._failed_cells, 'cell')} failed")
        return parts

    def _undecided(self) -> list[str]:
        """Why there is no decision."""
        reasons = [*self.why_not_decided]
        if self.only_in_base:
            gone = len(self.only_in_base)
            reasons.append(f"{number_of(gone, 'cell')} of the base {_was(gone, 'is', 'are')} gone")
        if missing := len(self.with_verdict("missing")):
            was = _was(missing, "was", "were")
            reasons.append(f"{number_of(missing, 'metric')} of the base {was} not measured")
        unclear = self.with_verdict("inconclusive")
        if unclear and ("inconclusive" in self.failing or not reasons):
            reasons.append(f"{number_of(len(unclear), 'metric')} may or may not be worse")
        return reasons or ["no metric could be compared"]


def counts_text(rows: Sequence[GateRow]) -> str:
    """How many rows have each verdict."""
    counts = {verdict: sum(row.verdict == verdict for row in rows) for verdict in ORDER}
    return (
        ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count) or "no rows"
    )


def _was(number: int, one: str, several: str) -> str:
    return one if number == 1 else several


def _of(verb: str, rows: Sequence[GateRow]) -> str:
    cells = len({row.cell for row in rows})
    return f"{number_of(len(rows), 'metric')} of {number_of(cells, 'cell')} {verb}"
