"""The host of a command: this machine, or the board that `--on` names."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ondevice_bench.run.hosts.host import Host

On = Annotated[
    str | None,
    typer.Option(
        "--on",
        metavar="BOARD",
        help="Use this board over ssh: USER@HOST[:PORT], or a name of hosts.yaml.",
    ),
]


def measuring_host(
    on: str | None, hardware: str | None = None, memory_cap: int | None = None
) -> "Host":
    """The host that measures."""
    if on is None:
        from ondevice_bench.run.hosts.local import local_host

        return local_host(hardware, memory_cap) if memory_cap else local_host(hardware)
    return board_on_network(on, hardware, memory_cap)


def planning_host(on: str | None, hardware: str | None) -> "Host":
    """The host that is asked for a plan, for itself or for the board of a profile."""
    if on is None:
        from ondevice_bench.run.hosts import local

        return local.planning_host(hardware)
    return board_on_network(on)  # `hardware` may be another board than this one


def board_on_network(on: str, hardware: str | None = None, memory_cap: int | None = None) -> "Host":
    """A board over ssh."""
    from ondevice_bench.remote.address import address
    from ondevice_bench.remote.host import SshHost
    from ondevice_bench.remote.ssh import SshWay

    return SshHost(SshWay(address(on)), hardware, memory_cap)
