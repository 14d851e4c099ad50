"""Runs of several boards and suites, made by hand, and sites of them."""

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ondevice_bench.record import bundle
from ondevice_bench.record.run_json import RunContent
from ondevice_bench.site.publish import Published, publish
from tests.report import synthetic

SLOW_FROM, FAT_FROM, TORCH_FROM = 16, 9, 20


def content(
    number: int, suite: str = "quick", profile: str = "x86", unit: str = "", **what: Any
) -> RunContent:
    """A run: WASI is slower from the sixteenth on, SVD keeps more from the ninth on."""
    name = f"{suite}-{profile}{unit}-{number:02}"
    dice, cells = random.Random(name), synthetic.cells()
    base = synthetic.run_of()
    day = f"2026-03-{number + 1:02}"
    values = {
        "suite": suite,
        "profile": profile,
        "commit": f"{number:02}abcdef00",
        "created": f"{day}T00:00:00+00:00",
        "finished": f"{day}T00:10:00+00:00",
        "machine": {**base.machine, **({"unit": unit} if unit else {})},
        "software": {**base.software, **({"torch": "2.13"} if number >= TORCH_FROM else {})},
    }
    run = synthetic.run_of(name, **{**values, **what})
    slower = 1.12 if number >= SLOW_FROM else 1
    more = 4 if number >= FAT_FROM else 0
    records = synthetic.of_history(dice, cells, run.id, slower=slower, more=more)
    return RunContent(run, tuple(synthetic.planned(cells, profile)), tuple(records))


@dataclass
class Sites:
    """Makes bundles and sites below a folder."""

    folder: Path
    count: int = field(default=0)

    def bundle(self, *contents: RunContent) -> Path:
        """A bundle of these runs."""
        self.count += 1
        path = self.folder / "bundles" / f"{self.count}.bundle"
        bundle.write(contents, path)
        return path

    def publish(self, site: str, *paths: Path) -> Published:
        """Bring a site up to date, outside of any repository."""
        return publish(paths, self.folder / site, lambda _: {})

    def files(self, site: str) -> dict[str, bytes]:
        """Every file of a site."""
        folder = self.folder / site
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }


@pytest.fixture
def sites(tmp_path: Path) -> Sites:
    return Sites(tmp_path)
