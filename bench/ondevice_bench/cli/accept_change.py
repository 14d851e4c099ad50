"""`bench baseline accept`: a change of a metric that is meant, as a line of the baseline."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ondevice_bench.cli import names
from ondevice_bench.cli.arguments import A_RUN, AsJson
from ondevice_bench.errors import BadInput
from ondevice_bench.terminal import print_json, print_lines

if TYPE_CHECKING:
    from ondevice_bench.record.acceptance import Acceptance
    from ondevice_bench.record.run_json import RunContent


def accept_change(
    name: Annotated[str, typer.Argument(help="The baseline: a name, or the path of its file.")],
    cell: Annotated[
        str, typer.Argument(help="The cell's id, or words of it.", autocompletion=names.cells)
    ],
    metric: Annotated[
        str,
        typer.Argument(
            help="The metric whose new value is accepted; all: every one that regressed.",
            autocompletion=names.metrics,
        ),
    ],
    run: Annotated[
        str | None,
        typer.Argument(
            help=f"The run with the new value: {A_RUN}; or a bundle "
            "(default: the latest run of the baseline's suite)."
        ),
    ] = None,
    because: Annotated[str, typer.Option(help="Why the change is intended (required).")] = "",
    by: Annotated[
        str, typer.Option(help="Who accepts it (default: git's user.name, or your login).")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Accept the new value of a metric: the baseline gets a line with who and why."""
    from ondevice_bench.analyse.accept import accepted_of
    from ondevice_bench.analyse.find_cell import find_cell
    from ondevice_bench.analyse.resolve_run import summary_of
    from ondevice_bench.analyse.summarise import summarise_content
    from ondevice_bench.record import baseline

    if not because.strip():
        raise BadInput("--because: say why the change is meant")
    path = Path(name)
    if not name.endswith(baseline.SUFFIX):
        path = baseline.FOLDER / f"{name}{baseline.SUFFIX}"
    content = baseline.read(path)
    summary = summarise_content(content)
    accepted = accepted_of(
        summary,
        find_cell(summary, cell),
        metric,
        summary_of(run or content.run.suite),
        by=by.strip() or _user(),
        because=" ".join(because.split()),
    )
    for each in accepted:
        content = content.accepting(each)
    baseline.write(content, path)
    if as_json:
        print_json({"baseline": str(path), "accepted": [asdict(each) for each in accepted]})
    else:
        print_lines(*(f"{path}: {_line(each, content)}" for each in accepted))


def _line(each: "Acceptance", content: "RunContent") -> str:
    """What the baseline says of a metric now."""
    text = each.text if each in content.accepted else "the run of the baseline has this value"
    return f"{each.cell}: {each.metric}: {text}"


def _user() -> str:
    """The name of who runs the command."""
    import getpass
    import subprocess

    try:
        named = subprocess.run(
            ["git", "config", "user.name"],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        ).stdout.strip()
    except OSError:
        named = ""
    try:
        return named or os.environ.get("GITHUB_ACTOR", "") or getpass.getuser()
    except (OSError, KeyError):
        raise BadInput("--by: say who accepts the change: git has no user.name here") from None
