"""All that is known here of pytest-benchmark's inside, from 5.3 on and below 6.

Its session collects `Metadata` objects, which read a fixture; from them come its table, its files
of JSON, its comparisons and its histograms. `tests/testing/test_adapter.py` holds the contract.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import pytest

from ondevice_bench.errors import BadInput

# how it tells items that are benchmarks: --benchmark-only keeps them, --benchmark-skip skips them
FIXTURENAMES = ("benchmark",)
_SESSION = "pytest-benchmark"


@dataclass(frozen=True)
class Entry:
    """A row of its table: step times in seconds, and what else is known."""

    name: str
    fullname: str
    samples: Sequence[float]
    group: str | None = None
    param: str | None = None
    params: Mapping[str, Any] | None = None
    extra_info: Mapping[str, Any] = field(default_factory=dict)
    sampling: Mapping[str, Any] = field(default_factory=dict)  # when it was enough


@dataclass(frozen=True)
class _Fixture:
    """What `Metadata` reads of the fixture that it usually comes from."""

    name: str
    fullname: str
    group: str | None
    param: str | None
    params: Mapping[str, Any] | None
    extra_info: Mapping[str, Any]
    cprofile_stats: None = None
    has_error: bool = False


def require(config: pytest.Config) -> None:
    """Refuse what it would trip over after everything is measured."""
    if config.getoption("benchmark_histogram", None) and find_spec("pygal") is None:
        raise BadInput(
            "--benchmark-histogram needs pygal: pip install 'pytest-benchmark[histogram]'"
        )


def feed(config: pytest.Config, entry: Entry) -> None:
    """Add a row, where it is loaded and not disabled; without samples there is none."""
    session = _session(config)
    if session is None or session.disabled or not entry.samples:
        return
    from pytest_benchmark.stats import Metadata

    fixture = _Fixture(
        entry.name, entry.fullname, entry.group, entry.param, entry.params, dict(entry.extra_info)
    )
    options = {"disable_gc": True, "timer": "time.perf_counter_ns", **entry.sampling}
    row = Metadata(fixture, iterations=1, options=options)
    for seconds in entry.samples:
        row.update(seconds)
    session.benchmarks.append(row)


def skips(config: pytest.Config) -> bool:
    """Whether `--benchmark-skip` is given."""
    session = _session(config)
    return session is not None and bool(session.skip)


def _session(config: pytest.Config) -> Any:
    return config.pluginmanager.get_plugin(_SESSION)
