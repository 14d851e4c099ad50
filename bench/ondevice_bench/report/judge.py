"""Which cells meet the goal of the suite, for sentences and marks of figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ondevice_bench.analyse.groups import CellWithBaseline
from ondevice_bench.analyse.verdict import first, why_outside
from ondevice_bench.suite.goal import Goal


@dataclass(frozen=True)
class Judge:
    """The goal of the suite, and the cells that lose accuracy, by id."""

    goal: Goal
    lost_accuracy: Mapping[str, str]

    def why_outside(self, member: CellWithBaseline) -> str:
        """Why a cell does not meet the goal; empty if it does."""
        return why_outside(member, self.goal, self.lost_accuracy)

    def meeting(self, members: Sequence[CellWithBaseline]) -> list[CellWithBaseline]:
        """The members that meet the goal."""
        return [member for member in members if not self.why_outside(member)]

    def names(self, members: Sequence[CellWithBaseline], most: int) -> str:
        """The first few names. They say which of the cells do not meet the goal."""
        if len(members) > 1 and not self.meeting(members):
            return f"{first([member.label for member in members], most)} (do not meet the goal)"
        marks = (" (does not meet the goal)" if self.why_outside(m) else "" for m in members)
        return first([f"{m.label}{mark}" for m, mark in zip(members, marks, strict=True)], most)
