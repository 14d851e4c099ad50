"""`bench check-method`: the checks that every method must pass."""

from typing import Annotated

import typer

from ondevice_bench.cli import names
from ondevice_bench.cli.arguments import AsJson
from ondevice_bench.errors import ExitCode
from ondevice_bench.terminal import print_json, print_lines, print_rows
from ondevice_bench.units import number_of

RESULTS = {True: "ok", False: "FAILED", None: "not checked"}


def check_method(
    method: Annotated[
        str,
        typer.Argument(
            help="A method's name, or a class in a file: ./mine.py:Mine.",
            autocompletion=names.methods,
        ),
    ],
    options: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="An option of the method."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Run the checks that every training method must pass; exit code 3 if one fails."""
    from ondevice_bench.running.hosts.local import local_host
    from ondevice_bench.running.queries.conformance import check

    with local_host() as host:
        checks = check(host, method, options or [])
    failed = [each for each in checks if each["passed"] is False]
    if as_json:
        print_json(checks)
    else:
        rows = [
            {
                "check": each["check"],
                "layer": each["case"],
                "": RESULTS[each["passed"]],
                "result": each["message"],
            }
            for each in checks
        ]
        print_rows(rows, as_json=False)
        print_lines(f"{number_of(len(checks), 'check')}, {len(failed)} failed")
    return ExitCode.CELL_FAILED if failed else ExitCode.OK
