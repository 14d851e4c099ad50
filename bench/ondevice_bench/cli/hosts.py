"""The option `--on`, and the host of a plan."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ondevice_bench.running.hosts.host import Host

On = Annotated[
    str | None,
    typer.Option(
        "--on",
        metavar="BOARD",
        help="Use this board over ssh: USER@HOST[:PORT], or a name of hosts.yaml.",
    ),
]


def planning_host(on: str | None, hardware: str | None) -> "Host":
    """The host that is asked for a plan, for itself or for the board of a profile."""
    if on is None:
        from ondevice_bench.running.hosts import local

        return local.planning_host(hardware)
    from ondevice_bench.api.hosts import board_on_network

    return board_on_network(on)  # `hardware` may be another board than this one
