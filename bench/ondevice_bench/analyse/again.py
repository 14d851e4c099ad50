"""The command that measures a cell again."""

import re
import shlex

from ondevice_bench.record.model import Run
from ondevice_bench.record.origin import PYTEST
from ondevice_bench.suite.cell import Cell

_WITH_VALUE = {"--filter", "--retry", "--budget"}
_ALONE = {"--fresh", "--json", "--open"}
_FURTHER_CALL = re.compile(r" \(\d+\)$")  # of `bench_step` in one test
CALL = "run("  # the beginning of the stored command if a Python program made the suite


def command_again(run: Run, cell: Cell) -> str:
    """The command that measures this cell alone; empty if the suite is in no file."""
    if _is_of_steps(run):
        test = next((str(value) for name, value in cell.model_options if name == "test"), "")
        return shlex.join(["pytest", _FURTHER_CALL.sub("", test)])
    command = command_of(run)
    return f"{command} --filter {shlex.quote(cell.id)}" if command else ""


def command_of(run: Run) -> str:
    """The command of the run, without options that chose cells or changed the output.

    Empty if the suite is in no file, because a program or a search made it.
    """
    words = _words(run.command)
    if run.command.startswith(CALL) or words[:2] == ["bench", "recommend"]:
        return ""
    if _is_of_steps(run):
        return shlex.join(words)
    if words[:2] != ["bench", "run"]:
        words = ["bench", "run", run.suite]
    kept: list[str] = []
    skip = False
    for word in words:
        name = word.partition("=")[0]
        if skip:
            skip = False
        elif name in _WITH_VALUE:
            skip = name == word
        elif name not in _ALONE:
            kept.append(word)
    return shlex.join(kept)


def chooses_cells(run: Run) -> bool:
    """Whether the command of the run takes `--filter`. pytest does not: it chooses tests."""
    return not _is_of_steps(run)


def _is_of_steps(run: Run) -> bool:
    """Whether the run measured steps in tests. Such a run has no suite."""
    return run.origin == PYTEST and not run.suite_text


def _words(command: str) -> list[str]:
    """The words of a stored command; none if the text, from anywhere, is not a command."""
    try:
        return shlex.split(command)
    except ValueError:
        return []
