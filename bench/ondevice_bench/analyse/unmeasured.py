"""The cells of a run that were not meant to be measured here, folded by reason."""

from dataclasses import dataclass

from ondevice_bench.analyse.summary import RunSummary

STATES = ("pending", "skipped")


@dataclass(frozen=True)
class Fold:
    """Cells with the same reason."""

    state: str
    board: str  # where pending cells must run
    reason: str
    cells: tuple[str, ...]

    @property
    def text(self) -> str:
        """The fold in one line."""
        count = "1 cell" if len(self.cells) == 1 else f"{len(self.cells)} cells"
        if self.state == "pending":
            return f"pending on {self.board}: {count}. Run this suite there"
        return f"skipped: {count}: {self.reason}"


def unmeasured(summary: RunSummary) -> tuple[Fold, ...]:
    """The pending cells of each board, and the skipped cells of each reason."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for cell in summary.cells:
        if cell.status not in STATES or cell.estimates:
            continue
        is_pending = cell.status == "pending"
        reason = "" if is_pending else "; ".join(cell.problems)
        board = cell.planned.profile if is_pending else ""
        groups.setdefault((cell.status, board, reason), []).append(cell.id)
    return tuple(Fold(*key, tuple(cells)) for key, cells in groups.items())
