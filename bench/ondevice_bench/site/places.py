"""The paths of the files of a site. Names in paths have only letters, digits, dots and hyphens."""

import hashlib
import re
from dataclasses import dataclass

from ondevice_bench.record.model import Run

DATA = "data"
LONGEST = 60
_PLAIN = re.compile(r"[a-z0-9][a-z0-9.-]*")
_WITH_HASH = re.compile(r".*-[0-9a-f]{8}")


@dataclass(frozen=True, order=True)
class Board:
    """A suite on one board. If units are known, they distinguish boards of one profile."""

    suite: str
    profile: str
    unit: str

    @staticmethod
    def of(run: Run) -> "Board":
        """The board and the suite of a run."""
        return Board(run.suite, run.profile, run.unit)

    @property
    def name(self) -> str:
        """The board in words."""
        return f"{self.profile} (unit {self.unit})" if self.unit else self.profile

    @property
    def folder(self) -> str:
        """The folder of its pages. Different boards have different folders."""
        board = f"{self.profile}@{self.unit}" if self.unit else self.profile
        return f"{slug(self.suite)}/{slug(board)}"

    def data(self, run_id: str) -> str:
        """The file of a run's data."""
        return f"{self.folder}/{DATA}/{slug(run_id)}.json"


def slug(name: str) -> str:
    """The name as part of a path. Different names have different slugs.

    A hash is added if the name cannot be part of a path, or already looks like a name with a hash.
    """
    if _PLAIN.fullmatch(name) and len(name) <= LONGEST and not _WITH_HASH.fullmatch(name):
        return name
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:LONGEST]
    return f"{plain or 'x'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
