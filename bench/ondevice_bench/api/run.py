"""`ondevice_bench.run`: measure a suite from Python or from a notebook."""

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ondevice_bench.analyse.again import CALL
from ondevice_bench.api.hosts import measuring_host
from ondevice_bench.api.measured_run import MeasuredRun
from ondevice_bench.api.measuring import RunOptions, measure_suite, with_report
from ondevice_bench.api.suite import Suite
from ondevice_bench.errors import BadInput
from ondevice_bench.running.notebook_progress import for_notebook
from ondevice_bench.running.progress import Progress, Silent, for_terminal
from ondevice_bench.running.queries.described_suite import described
from ondevice_bench.running.session import Interrupted
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.schema import duration, sustained_seconds
from ondevice_bench.units import parse_bytes

T = TypeVar("T")


def run(
    suite: str | Path | Suite,
    *,
    filters: str | Sequence[str] = (),
    budget: str | float | None = None,
    sustain: str | float | None = None,
    hardware: str | None = None,
    memory_cap: str | int | None = None,
    on: str | None = None,
    out: str | Path | None = None,
    fresh: bool = False,
    retry: bool = False,
    quiet: bool = False,
) -> MeasuredRun:
    """Measure a suite, as `bench run` does, and draw its report.

    `suite` is a name, the path of a file, or a `Suite`. An unfinished run of it goes on. The other
    arguments are the options of the command: times and sizes are text (`"10m"`, `"2G"`) or numbers
    (seconds, bytes). Bad input is a `BadInput`. Ctrl-C is an `Interrupted`: what was measured is
    stored, and the same call goes on from there.
    """
    patterns = [filters] if isinstance(filters, str) else list(filters)
    given = {
        "filters": patterns,
        "budget": budget,
        "sustain": sustain,
        "hardware": hardware,
        "memory_cap": memory_cap,
        "on": on,
        "out": None if out is None else str(out),
        "fresh": fresh,
        "retry": retry,
    }
    options = RunOptions(
        command=_command(suite, {name: value for name, value in given.items() if value}),
        filters=patterns,
        budget=_read("budget", duration, budget),
        sustain=_read("sustain", sustained_seconds, sustain),
        fresh=fresh,
        retry=retry,
        out=None if out is None else Path(out),
    )
    cap = _read("memory_cap", _bytes, memory_cap)
    loaded = suite.load() if isinstance(suite, Suite) else load_suite(str(suite))
    progress = _progress(quiet=quiet)
    try:
        progress.prepare("starting …")
        with measuring_host(on, hardware, cap) as host:
            summary = measure_suite(host, described(host, loaded), options, progress)
    except KeyboardInterrupt:  # an open session says itself what is stored
        raise Interrupted("interrupted before anything was measured") from None
    finally:
        progress.close()
    return with_report(summary, options.folder(loaded))


def _progress(*, quiet: bool) -> Progress:
    return Silent() if quiet else for_notebook() or for_terminal()


def _read(name: str, reader: Callable[[Any], T], value: object) -> T | None:
    if value is None:
        return None
    try:
        return reader(value)
    except ValueError as error:
        raise BadInput(f"{name}: {error}") from None


def _bytes(value: str | int) -> int:
    return value if isinstance(value, int) else parse_bytes(value)


def _command(suite: str | Path | Suite, given: dict[str, Any]) -> str:
    """What goes on with the run: the command, or this call if no file has the suite."""
    if isinstance(suite, Suite):
        arguments = [repr(suite), *(f"{name}={value!r}" for name, value in given.items())]
        return f"{CALL}{', '.join(arguments)})"
    words = ["bench", "run", str(suite)]
    if given.pop("retry", False):
        words += ["--retry", "failed"]
    for name, value in given.items():
        option = "--filter" if name == "filters" else f"--{name.replace('_', '-')}"
        for each in value if isinstance(value, list) else [value]:
            words += [option] if each is True else [option, str(each)]
    return shlex.join(words)
