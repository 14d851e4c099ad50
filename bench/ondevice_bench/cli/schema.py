"""`bench schema`: JSON Schema of our YAML files, for editors."""

from pathlib import Path
from typing import Annotated

import typer

from ondevice_bench.terminal import print_lines

KINDS = (
    "suite",
    "search",
    "hardware",
    "layout",
    "claims",
    "hosts",
    "fleet",
)  # as in `editors/kinds.py`


def schema(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help=f"A kind of file: {', '.join(KINDS)}.",
            autocompletion=lambda: list(KINDS),
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file to write, instead of printing.")
    ] = None,
) -> None:
    """Print the JSON Schema of a kind of YAML file, so that an editor can complete and check it."""
    from ondevice_bench.editors.json_schema import schema_text
    from ondevice_bench.files import atomic_write

    text = schema_text(kind)
    if out is None:
        print_lines(text.rstrip("\n"))
        return
    with atomic_write(out) as file:
        file.write(text.encode())
    print_lines(f"schema: {out}")
