"""What many tests need: the real command, small suites, a browser."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # two tests at once must not share two processors' threads

# the same examples every time, and no limit on a wall clock that others share
settings.register_profile("bench", derandomize=True, deadline=None)
settings.load_profile("bench")

ROOT = Path(__file__).parents[1]
BENCH = Path(sys.executable).parent / "bench"

TINY = """\
schema: 1
title: Tiny
models: [{mcunet: {batch: 2}}]
methods: [vanilla]
rounds: 1
time: {warmup: 1, min_samples: 3, max_samples: 3, max_seconds: 1}
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory outside any checkout."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def bench(workplace: Path) -> Callable[..., Ended]:
    """The real command, run in the workplace."""

    def run(*arguments: str, timeout: float = 300, **options: Any) -> Ended:
        done = subprocess.run(
            [BENCH, *arguments],
            cwd=options.pop("cwd", workplace),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            **options,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def suite_file(workplace: Path) -> Callable[..., Path]:
    """Write a suite into the workplace's `suites/`."""

    def write(text: str = TINY, name: str = "tiny") -> Path:
        path = workplace / "suites" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's path; without one the test skips, or fails where one is required."""
    path = os.environ.get("BENCH_CHROMIUM") or shutil.which("chromium")
    if path is None:
        message = "no chromium on this machine: install it, or set BENCH_CHROMIUM to its path"
        if os.environ.get("BENCH_REQUIRE_BROWSER"):
            pytest.fail(message)
        pytest.skip(message)
    return path
