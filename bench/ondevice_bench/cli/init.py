"""`bench init`: a suite to start from."""

from typing import Annotated

import typer

from ondevice_bench.terminal import print_lines


def init(
    name: Annotated[str, typer.Argument(help="The name of the suite.")] = "mine",
    model: Annotated[
        str | None,
        typer.Option("--model", help="Your model: ./mynet.py:net, or a name (default: mcunet)."),
    ] = None,
) -> None:
    """Write a commented suite to start from: suites/NAME.yaml, and its schema for editors."""
    from ondevice_bench.starters.write import SCHEMA, write_suite

    path = write_suite(name, model)
    name = path.stem
    print_lines(
        f"suite: {path}",
        f"for your editor: {SCHEMA}",
        f"next: `bench plan {name}`, then `bench run {name} --open`",
    )
