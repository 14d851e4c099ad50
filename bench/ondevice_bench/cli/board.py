"""`bench board`: set up boards on the network, look at them, and remove our files there."""

from pathlib import Path
from typing import Annotated

import typer

from ondevice_bench.cli.arguments import AsJson
from ondevice_bench.errors import ExitCode
from ondevice_bench.terminal import print_json, print_lines, print_notes, print_rows

Board = Annotated[
    str, typer.Argument(metavar="BOARD", help="USER@HOST[:PORT], or a name of hosts.yaml.")
]
Python = Annotated[
    str | None,
    typer.Option("--python", help="The Python to use on the board (default: python3)."),
]


def setup(
    board: Board,
    wheelhouse: Annotated[
        Path | None,
        typer.Option(help="Install from the wheels of this folder: the board needs no network."),
    ] = None,
    python: Python = None,
    name: Annotated[
        str | None, typer.Option(help="Write the board into hosts.yaml under this name.")
    ] = None,
) -> ExitCode:
    """Install the bench of this machine on a board, and look for what disturbs measurements."""
    from ondevice_bench.remote.address import address, remember, require_free
    from ondevice_bench.remote.setup import set_up

    target = address(board)
    if name is not None:
        require_free(name, target)
    if target.python is None:
        set_up(target, wheelhouse, python, print_notes)
    else:
        print_notes(f"{target.name} uses {target.python}: nothing is installed")
    if name is not None:
        remember(name, target)
    _check(name or board, as_json=False)
    return ExitCode.OK


def list_boards(as_json: AsJson = False) -> None:
    """List the boards of hosts.yaml."""
    from ondevice_bench.remote.address import FILE, boards

    rows = [
        {"name": board.name, "address": board.address, "python": board.interpreter}
        for board in boards().values()
    ]
    print_rows(rows, as_json=as_json)
    if not rows and not as_json:
        print_lines(f"no board is named in {FILE}: `bench board setup USER@HOST --name NAME`")


def check(board: Board, as_json: AsJson = False) -> ExitCode:
    """Look for what disturbs measurements on a board; exit code 5 if something does."""
    return _check(board, as_json=as_json)


def remove(board: Board, python: Python = None) -> None:
    """Remove the environment and all other files of bench from a board."""
    from ondevice_bench.remote.address import address
    from ondevice_bench.remote.setup import remove as remove_all

    target = address(board)
    was_there = remove_all(target, python)
    print_lines(f"{target.name}: {'removed' if was_there else 'had no'} {target.folder}")


def _check(board: str, *, as_json: bool) -> ExitCode:
    from ondevice_bench.api.hosts import board_on_network
    from ondevice_bench.cli.doctor import print_findings, quick_findings

    with board_on_network(board) as host:
        software, findings = host.software(), quick_findings(host, None)
        facts = {"name": board, "profile": host.profile.name, "unit": host.unit, **host.identity}
    warned = any(each.level == "warning" for each in findings)
    if as_json:
        listed = [each.to_dict() for each in findings]
        print_json({**facts, "software": dict(software), "findings": listed})
    else:
        print_lines(
            f"{board} is ready: profile {facts['profile']}, {facts['memory_gib']} GiB, "
            f"torch {software['torch']}, unit {facts['unit'] or 'unknown'}"
        )
        print_findings(findings)
    return ExitCode.INCONCLUSIVE if warned else ExitCode.OK
