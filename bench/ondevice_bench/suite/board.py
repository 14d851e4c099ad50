"""A board as a plan sees it: its names and its memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field

_SYSTEM_RESERVE = 512 << 20


def system_reserve(memory_bytes: int) -> int:
    """What the system and torch itself get of a memory, unless the user says otherwise."""
    return min(_SYSTEM_RESERVE, memory_bytes // 2)


@dataclass(frozen=True)
class Board:
    """A hardware profile by name. `lineage` is its own name, then the names that it extends."""

    name: str
    lineage: tuple[str, ...] = ()
    memory_gib: float | None = None  # for one process; None if it is unknown
    allocator: str = ""  # of its profile, for suites that name none
    # why a process cannot have an allocator there, by name; empty if that is not known
    missing_allocators: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that means this board, the most specific first."""
        return self.lineage or (self.name,)


HERE = Board("here")  # for questions that do not depend on a board
