"""`bench schema`: JSON Schema of our YAML files, for editors."""

from typing import Annotated

import typer

from ondevice_bench.terminal import print_lines

NAMES = "suite, search, hardware, layout, claims or hosts"


def schema(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"A kind of file: {NAMES}.")],
) -> None:
    """Print the JSON Schema of a kind of YAML file, so that an editor can complete and check it."""
    from ondevice_bench.editors.json_schema import schema_text

    print_lines(schema_text(kind).rstrip("\n"))
