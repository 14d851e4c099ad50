"""A gate's decision on GitHub: in the summary of the job, and as annotations of lines of files.

A job has the variables GITHUB_ACTIONS=true and GITHUB_STEP_SUMMARY (a file). A line `::error …::`
that a step prints becomes an annotation.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from ondevice_bench.errors import BadInput
from ondevice_bench.report.gate.junit import message_of
from ondevice_bench.report.gate.markdown import markdown
from ondevice_bench.report.gate.outcome import GateOutcome, Place
from ondevice_bench.terminal import one_line, print_commands, printable

MOST_ANNOTATIONS = 10  # of each level: GitHub shows no more for a step
MOST_BYTES = 1 << 20  # of the summaries of a step


def is_here(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this is a job of GitHub Actions."""
    return environment.get("GITHUB_ACTIONS") == "true"


def require_summary(environment: Mapping[str, str] = os.environ) -> None:
    """BadInput if the summary cannot be written. It is called before anything is measured."""
    path = environment.get("GITHUB_STEP_SUMMARY", "")
    if is_here(environment) and path:
        _append(Path(path), b"")


def publish(outcome: GateOutcome) -> None:
    """Print the annotations and write the summary, if this is a job of GitHub Actions."""
    print_commands(*annotations(outcome))
    write_summary(outcome)


def write_summary(outcome: GateOutcome, environment: Mapping[str, str] = os.environ) -> None:
    """Append the decision to the summary of the job, if this is one."""
    path = environment.get("GITHUB_STEP_SUMMARY", "")
    if is_here(environment) and path:
        _append(Path(path), printable(markdown(outcome)).encode()[:MOST_BYTES])


def annotations(outcome: GateOutcome, environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """The workflow commands: errors for what fails the gate, warnings for what is missing."""
    if not is_here(environment):
        return
    errors, warnings = [], []
    for row in outcome.in_order:
        message, place = message_of(row), row.place
        if row.verdict == "failed" or row.verdict in outcome.failing:
            errors.append((message, place))
        elif row.verdict in ("missing", "regressed"):
            warnings.append((message, place))
    warnings += [(f"only in {outcome.base}: {cell}", None) for cell in outcome.only_in_base]
    for level, found in (("error", errors), ("warning", warnings)):
        shown = found if len(found) <= MOST_ANNOTATIONS else found[: MOST_ANNOTATIONS - 1]
        for message, place in shown:
            yield command(level, outcome.title, message, place)
        if len(found) > len(shown):
            more = f"{len(found) - len(shown)} more: see the summary of the job"
            yield command(level, outcome.title, more, None)


def command(level: str, title: str, message: str, place: Place | None) -> str:
    """A workflow command. Colons and commas in the values of properties are escaped."""
    properties = {} if place is None else {"file": place.file, "line": str(place.line)}
    properties["title"] = title
    words = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{level} {words}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _append(path: Path, data: bytes) -> None:
    """Append in one write; BadInput says in one line why that failed."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise BadInput(
            f"GITHUB_STEP_SUMMARY: {one_line(str(path))}: cannot be written: {error.strerror}"
        ) from None
