"""`ondevice_bench.run`: measure a suite from Python or from a notebook."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from ondevice_bench.analyse.again import CALL
from ondevice_bench.api.hosts import measuring_host
from ondevice_bench.api.measured_run import MeasuredRun
from ondevice_bench.api.measuring import RunOptions, measure_suite, with_report
from ondevice_bench.api.suite import Suite
from ondevice_bench.errors import BadInput, system_in_one_line
from ondevice_bench.record.command import command_text
from ondevice_bench.running.notebook_progress import for_notebook
from ondevice_bench.running.progress import Progress, Silent, for_terminal
from ondevice_bench.running.queries.described_suite import described
from ondevice_bench.running.session import Interrupted
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.schema import duration, sustained_seconds
from ondevice_bench.units import parse_bytes

T = TypeVar("T")
MOST_BYTES = 2**63 - 1


@system_in_one_line()
def run(
    suite: str | Path | Suite,
    *,
    filters: str | Sequence[str] = (),
    budget: str | float | None = None,
    sustain: str | float | None = None,
    hardware: str | Path | None = None,
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
    stored, and the same call continues from there.
    """
    if not isinstance(suite, str | Path | Suite):
        raise BadInput(
            f"suite: must be a name, the path of a file or a Suite, got a {type(suite).__name__}"
        )
    if not isinstance(hardware, str | Path | None):
        raise BadInput(
            f"hardware: must be a name, or the path of a profile, got a {type(hardware).__name__}"
        )
    profile = None if hardware is None else str(hardware)
    patterns = _patterns(filters)
    seconds = _read("budget", duration, budget)
    sustained = _read("sustain", sustained_seconds, sustain)
    cap = _read("memory_cap", _bytes, memory_cap)
    given = {
        "filters": patterns,
        "budget": _as_told(budget, seconds, _time_text),
        "sustain": _as_told(sustain, sustained, _time_text),
        "hardware": profile,
        "memory_cap": _as_told(memory_cap, cap, _size_text),
        "on": on,
        "out": None if out is None else str(Path(out)),
        "fresh": fresh,
        "retry": retry,
    }
    options = RunOptions(
        command=_command(suite, {name: value for name, value in given.items() if value}),
        filters=patterns,
        budget=seconds,
        sustain=sustained,
        fresh=fresh,
        retry=retry,
        out=None if out is None else Path(out),
    )
    loaded = suite.load() if isinstance(suite, Suite) else load_suite(str(suite))
    progress = _progress(quiet=quiet)
    try:
        progress.prepare("starting …")
        with measuring_host(on, profile, cap) as host:
            summary = measure_suite(host, described(host, loaded), options, progress)
    except KeyboardInterrupt:  # no session was open: a session has its own message
        raise Interrupted("interrupted before anything was measured") from None
    finally:
        progress.close()
    try:
        found = with_report(summary, options.folder(loaded))
    except KeyboardInterrupt:
        command = options.command
        raise Interrupted(
            f"interrupted: everything is measured and stored, and `{command}` draws the report"
        ) from None
    # a program may change its folder
    return replace(found, page=found.page.absolute())


def _progress(*, quiet: bool) -> Progress:
    return Silent() if quiet else for_notebook() or for_terminal()


def _read(name: str, reader: Callable[[Any], T], value: object) -> T | None:
    if value is None:
        return None
    try:
        return reader(value)
    except ValueError as error:
        raise BadInput(f"{name}: {error}") from None


def _patterns(filters: str | Sequence[str]) -> list[str]:
    patterns = [filters] if isinstance(filters, str) else filters
    if not isinstance(patterns, Collection) or not all(isinstance(each, str) for each in patterns):
        raise BadInput(f"filters: must be text, or a list of texts, got {filters!r}")
    return list(patterns)


def _bytes(value: object) -> int:
    read = parse_bytes(value) if isinstance(value, str) else value
    if isinstance(read, bool) or not isinstance(read, int) or not 0 < read <= MOST_BYTES:
        raise ValueError(f"must be a size such as 512M or 2G, or bytes above 0, got {value!r}")
    return read


def _as_told(told: object, value: T | None, text_of: Callable[[T], str]) -> str | None:
    """An argument as an option of the command: the text itself, or a number as text."""
    if isinstance(told, str):
        return told
    return None if value is None else text_of(value)


def _size_text(size: int) -> str:
    """Bytes as the command takes them: in the largest unit with a whole number, or in KiB."""
    for power, unit in ((30, "G"), (20, "M")):
        if size % 2**power == 0:
            return f"{size >> power}{unit}"
    return f"{Decimal(size) / 1024:f}K"


def _time_text(seconds: float) -> str:
    """Seconds as the command takes them: in digits, without an exponent."""
    return f"{Decimal(repr(seconds)).normalize():f}"


def _command(suite: str | Path | Suite, given: dict[str, Any]) -> str:
    """The command that continues the run, or this call if no file has the suite."""
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
    return command_text(words)
