"""The only module that uses internals of pytest-benchmark (from 5.3, below 6).

Its session collects `Metadata` objects, which read a fixture. Its table, JSON files, comparisons
and histograms are made from them. `tests/testing/test_adapter.py` tests this contract.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import pytest

from ondevice_bench.errors import BadInput

# marks an item as a benchmark: --benchmark-only selects it, --benchmark-skip skips it
FIXTURENAMES = ("benchmark",)
_SESSION = "pytest-benchmark"


@dataclass(frozen=True)
class BenchmarkRow:
    """A row of its table: step times in seconds, and other numbers."""

    name: str
    fullname: str
    samples: Sequence[float]
    group: str | None = None
    param: str | None = None
    params: Mapping[str, Any] | None = None
    extra_info: Mapping[str, Any] = field(default_factory=dict)
    sampling: Mapping[str, Any] = field(default_factory=dict)  # when sampling stops


@dataclass(frozen=True)
class _Fixture:
    """The fixture that `Metadata` reads."""

    name: str
    fullname: str
    group: str | None
    param: str | None
    params: Mapping[str, Any] | None
    extra_info: Mapping[str, Any]
    cprofile_stats: None = None
    has_error: bool = False


def require(config: pytest.Config) -> None:
    """Refuse options that would fail after everything is measured."""
    if config.getoption("benchmark_histogram", None) and find_spec("pygal") is None:
        raise BadInput(
            "--benchmark-histogram needs pygal: pip install 'pytest-benchmark[histogram]'"
        )


def add_row(config: pytest.Config, row: BenchmarkRow) -> None:
    """Add a row to its table, if it is loaded and not disabled, and the row has samples."""
    session = _session(config)
    if session is None or session.disabled or not row.samples:
        return
    from pytest_benchmark.stats import Metadata

    fixture = _Fixture(
        row.name, row.fullname, row.group, row.param, row.params, dict(row.extra_info)
    )
    options = {"disable_gc": True, "timer": "time.perf_counter_ns", **row.sampling}
    metadata = Metadata(fixture, iterations=1, options=options)
    for seconds in row.samples:
        metadata.update(seconds)
    session.benchmarks.append(metadata)


def skips(config: pytest.Config) -> bool:
    """Whether `--benchmark-skip` is given."""
    session = _session(config)
    return session is not None and bool(session.skip)


def _session(config: pytest.Config) -> Any:
    return config.pluginmanager.get_plugin(_SESSION)
