"""`bench check-method`: the checks that every method must pass."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from ondevice_bench.cli import names
from ondevice_bench.cli.arguments import AsJson
from ondevice_bench.errors import ExitCode
from ondevice_bench.terminal import print_json, print_lines, print_rows
from ondevice_bench.units import number_of

RESULTS = {True: "ok", False: "FAILED", None: "not checked"}
_SHOWN = 3  # names of layers in a row
_DISTANCE = re.compile(r"\d\.\de[+-]\d+")


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
        print_rows(_rows(checks), as_json=False)
        print_lines(
            f"{number_of(len(checks), 'check')}, {len(failed)} failed "
            "(`--json` has each check of each layer)"
        )
    return ExitCode.CELL_FAILED if failed else ExitCode.OK


def _rows(checks: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """A row for all layers of which a check says the same. Failed checks are the last rows."""
    alike: dict[tuple[str, bool | None, str], list[Mapping[str, Any]]] = {}
    for each in checks:
        # a layer that is fine may differ from another in its numbers
        message = "" if each["passed"] else each["message"]
        alike.setdefault((each["check"], each["passed"], message), []).append(each)
    count = len({each["case"] for each in checks})
    return [
        {
            "check": name,
            "": RESULTS[passed],
            "layers": _layers([each["case"] for each in found], count),
            "result": _message([each["message"] for each in found]),
        }
        for (name, passed, _), found in sorted(alike.items(), key=lambda pair: pair[0][1] is False)
    ]


def _layers(names: Sequence[str], count: int) -> str:
    if len(names) == count:
        return "all" if count > 1 else names[0]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{'; '.join(names[:_SHOWN])}{more}"


def _message(messages: Sequence[str]) -> str:
    """What several layers have in common: their one message, or the largest distance in it."""
    if len(set(messages)) == 1:
        return messages[0]
    texts = {_DISTANCE.sub("{}", message) for message in messages}
    found = [distance for message in messages for distance in _DISTANCE.findall(message)]
    text = texts.pop()
    if texts or text.count("{}") != 1:
        return ""
    return text.replace("{}", f"at most {max(found, key=float)}")
