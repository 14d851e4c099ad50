"""A far side of this machine, without ssh: the same frames through the same pipes."""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from ondevice_bench.remote.link import Link
from ondevice_bench.remote.ssh import FAR_SIDE


@dataclass
class PipeWay:
    """Starts the measuring side itself."""

    folder: Path
    name: str = "board"
    program: tuple[str, ...] = (sys.executable, "-P", "-m", FAR_SIDE)
    links: list[Link] = field(default_factory=list)

    def link(self) -> Link:
        link = Link([*self.program, str(self.folder)], {**os.environ, "OMP_NUM_THREADS": "1"})
        self.links.append(link)
        return link

    def refusal(self, status: int | None, printed: str) -> str:
        return ""
