"""`bench baseline save`: a run as a small file to commit."""

import re
from typing import Annotated

import typer

from ondevice_bench.cli import names
from ondevice_bench.cli.arguments import A_RUN, AsJson
from ondevice_bench.errors import BadInput
from ondevice_bench.terminal import print_json, print_lines


def save_baseline(
    name: Annotated[str, typer.Argument(help="The name: baselines/NAME.json is written.")],
    run: Annotated[
        str | None,
        typer.Argument(
            help=f"The run: {A_RUN} (default: the latest run).",
            autocompletion=names.results,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Save a run as a small JSON file to commit; later runs can be compared with it."""
    from ondevice_bench.analyse.resolve_run import stored_content
    from ondevice_bench.record import baseline

    if not re.fullmatch(r"[\w.-]+", name):
        raise BadInput(f"baseline {name!r}: letters, digits, '.', '_' and '-' only")
    content = stored_content(run)
    if content.run.finished is None:
        raise BadInput(f"{content.run.id} is unfinished: a baseline needs a finished run")
    target = baseline.FOLDER / f"{name}{baseline.SUFFIX}"
    baseline.write(content, target)
    if as_json:
        print_json({"run": content.run.id, "baseline": str(target)})
    else:
        print_lines(f"baseline: {target}")
