"""The rounds of a cell that failed, and whether more of them failed than in the base."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ondevice_bench.record.measurement import Measurement
from ondevice_bench.record.model import NOT_OK


@dataclass(frozen=True)
class Rounds:
    """The rounds of one pass over a cell, without those that were skipped."""

    failed: int
    of: int
    reason: str = ""  # of the first round that failed

    @property
    def share(self) -> float:
        """The share of the rounds that failed."""
        return self.failed / self.of if self.of else 0.0

    def __str__(self) -> str:
        return f"{self.failed} of {self.of} rounds failed"


@dataclass(frozen=True)
class MoreFailed:
    """A pass over a cell: a larger share of its rounds failed than in the base."""

    cell: str  # of the base
    pass_name: str
    base: Rounds
    new: Rounds


def count_rounds(records: Sequence[Measurement]) -> dict[str, Rounds]:
    """The rounds of each pass over one cell."""
    by_pass: dict[str, list[Measurement]] = {}
    for record in records:
        if record.status != "skipped":
            by_pass.setdefault(record.key.pass_name, []).append(record)
    return {name: _counted(found) for name, found in by_pass.items()}


def more_failed(
    cell: str, base: Mapping[str, Rounds], new: Mapping[str, Rounds]
) -> Iterator[MoreFailed]:
    """Each pass that both runs have and that failed more often in the new run."""
    for name, before in base.items():
        after = new.get(name)
        if after is not None and after.share > before.share:
            yield MoreFailed(cell, name, before, after)


def _counted(records: Sequence[Measurement]) -> Rounds:
    bad = [f"{record.status}: {record.reason}" for record in records if record.status in NOT_OK]
    return Rounds(len(bad), len(records), next(iter(bad), ""))
