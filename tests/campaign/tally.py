"""What a part of the campaign tried, and how it ended."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """The tries of one kind. A failure says its seed."""

    kind: str
    endings: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @property
    def tried(self) -> int:
        return self.endings.total()

    def row(self) -> str:
        """A row of the table in docs/reliability.md."""
        endings = ", ".join(f"{name}: {count:,}" for name, count in sorted(self.endings.items()))
        return f"| {self.kind} | {self.tried:,} | {endings} | {len(self.failures)} |"
