"""`bench new-method`: a training method to start from."""

from typing import Annotated

import typer

from ondevice_bench.terminal import print_lines


def new_method(
    name: Annotated[str, typer.Argument(help="The name of the file, without .py.")],
) -> None:
    """Write a complete training method to start from: NAME.py."""
    from ondevice_bench.starters.write import write_method

    path, kind = write_method(name)
    print_lines(f"method: {path}", f"next: `bench check-method ./{path}:{kind}`")
