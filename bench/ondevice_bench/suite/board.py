"""What a plan must know of a board; its profile says the rest."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Board:
    """A hardware profile by name; `lineage` is its own name, then those that it extends."""

    name: str
    lineage: tuple[str, ...] = ()
    memory_gib: float | None = None  # what a process may hope for; None where nobody knows

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that means this board, the most specific first."""
        return self.lineage or (self.name,)


HERE = Board("here")  # where a question is asked that no board changes
