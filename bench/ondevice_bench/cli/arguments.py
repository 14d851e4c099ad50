"""The arguments that several verbs share, and how their texts are read."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from ondevice_bench.cli import names
from ondevice_bench.errors import BadInput, unknown
from ondevice_bench.record.command import command_text
from ondevice_bench.units import parse_bytes, parse_duration

A_RUN = "a suite or the path of a store or its folder (the latest run), a run's id, or STORE@RUN"
STORES = "Suites, or paths of stores or their folders (default: every store in bench-out)."

ModelName = Annotated[
    str,
    typer.Argument(help="A model's name, or ./mynet.py:net.", autocompletion=names.models),
]
SeveralModels = Annotated[
    list[str],
    typer.Option(
        "--model",
        help="A model's name, or ./mynet.py:net. Several: repeat it, or use commas.",
        autocompletion=names.models,
    ),
]
ModelOptions = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="NAME=VALUE", help="An option of the model."),
]
BatchSize = Annotated[int | None, typer.Option(help="Batch size (default: the model's own).")]
SuitesFolder = Annotated[
    Path | None, typer.Option("--suites", help="Look for suites in this folder first.")
]
Hardware = Annotated[
    str | None,
    typer.Option(
        "--hardware",
        help="Use this hardware profile instead of the recognised one.",
        autocompletion=names.profiles,
    ),
]
Reserve = Annotated[
    str | None,
    typer.Option(
        "--reserve",
        metavar="SIZE",
        help="The memory that stays free for the system and torch itself (default: 512M, but at "
        "most half of the memory).",
    ),
]
Filters = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        help="Only cells whose id matches: a glob, or a part of the id.",
        autocompletion=names.cells,
    ),
]
Sysroot = Annotated[
    Path | None,
    typer.Option("--sysroot", help="Read the system files of another machine from this folder."),
]
MemoryCap = Annotated[
    str | None,
    typer.Option(
        "--memory-cap",
        metavar="SIZE",
        help="The memory that a process may allocate: 2G, 512M. The passes trace, fidelity, "
        "calibrate and pilot have no limit.",
    ),
]
RunName = Annotated[
    str | None,
    typer.Option(
        help=f"The run: {A_RUN} (default: the latest run).",
        autocompletion=names.results,
    ),
]
FailOn = Annotated[
    str,
    typer.Option(
        metavar="VERDICTS",
        help="The verdicts that make the command fail, separated by commas: regressed (exit "
        "code 4), inconclusive (5).",
    ),
]
SameCode = Annotated[
    bool,
    typer.Option(
        "--same-code",
        help="Join only cells with the same version of your model's and method's files.",
    ),
]
ResultsFolder = Annotated[
    Path | None,
    typer.Option("--out", help="The folder for the results (default: bench-out/SUITE)."),
]
BundleFile = Annotated[
    Path | None, typer.Option("--out", "-o", help="The file to write (default: RUN.bundle).")
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Start a new run even if one is unfinished.")]
Retry = Annotated[
    Literal["failed"] | None,
    typer.Option(
        "--retry", help="Repeat what failed, timed out or ran out of memory in the last run."
    ),
]
Open = Annotated[bool, typer.Option("--open", help="Open the page in your browser.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def command_line() -> str:
    """The command as the user typed it, to be stored with a run."""
    return command_text(["bench", *(word for word in sys.argv[1:] if word != "--debug")])


def model_names(texts: Sequence[str]) -> list[str]:
    """The models that `--model` names, each once, in this order."""
    # a comma between brackets belongs to the description of a layer
    given = [name.strip() for text in texts for name in re.split(r",(?![^()]*\))", text)]
    if not all(given):
        raise BadInput(f"--model {','.join(texts)}: a name is missing beside a comma")
    return list(dict.fromkeys(given))


def parsed_seconds(option: str, text: str) -> float:
    """The seconds in an option's text: 90s, 10m, 2h."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise BadInput(f"{option}: {error}") from None


def parsed_sustain(text: str) -> float:
    """The seconds of `--sustain`, checked as in a suite."""
    from ondevice_bench.suite.schema import sustained_seconds

    try:
        return sustained_seconds(text)
    except ValueError as error:
        raise BadInput(f"--sustain: {error}") from None


def parsed_reserve(reserve: str | None) -> int | None:
    """The bytes of `--reserve`, if it is given."""
    return None if reserve is None else parsed_bytes("--reserve", reserve)


def parsed_bytes(option: str, text: str) -> int:
    """The bytes in an option's text: 512M, 2G."""
    try:
        size = parse_bytes(text)
    except ValueError as error:
        raise BadInput(f"{option}: {error}") from None
    if not size:
        raise BadInput(f"{option}: must be above 0, got {text!r}")
    return size


def parsed_verdicts(text: str) -> frozenset[str]:
    """The verdicts that `--fail-on` lists."""
    from ondevice_bench.analyse.judgement import FAILING

    verdicts = frozenset(word.strip() for word in text.split(",") if word.strip())
    for verdict in sorted(verdicts - set(FAILING)):
        raise BadInput(f"--fail-on: {unknown('verdict', verdict, FAILING)}")
    return verdicts


def check_threshold(threshold: float) -> None:
    """A threshold is a share of a number: 0.02 means 2 %."""
    if not 0 < threshold < 1:
        raise BadInput(f"--threshold: must be in (0, 1), got {threshold:g}")
