"""`bench check-method`: a method against what every method must hold."""

from typing import Annotated

import typer

from ondevice_bench.cli.arguments import AsJson
from ondevice_bench.errors import ExitCode
from ondevice_bench.terminal import print_json, print_rows


def check_method(
    method: Annotated[
        str, typer.Argument(help="A method's name, or a class in a file: ./mine.py:Mine.")
    ],
    options: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="An option of the method."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Check a method against what every method must hold; exit code 3 where one check fails."""
    from ondevice_bench.run.queries.conformance import check

    results = check(method, options or [])
    failed = [result for result in results if result["passed"] is False]
    if as_json:
        print_json(results)
    else:
        shown = {True: "ok", False: "FAILED", None: "not checked"}
        rows = [
            {
                "check": r["check"],
                "layer": r["case"],
                "": shown[r["passed"]],
                "what was found": r["said"],
            }
            for r in results
        ]
        print_rows(rows, as_json=False)
        print(f"{len(results)} checks, {len(failed)} failed")
    return ExitCode.CELL_FAILED if failed else ExitCode.OK
