"""The host of a command: this machine, or the board that is named."""

from ondevice_bench.running.hosts import local
from ondevice_bench.running.hosts.host import Host


def measuring_host(
    on: str | None, hardware: str | None = None, memory_cap: int | None = None
) -> Host:
    """The host that measures."""
    if on is None:
        return local.local_host(hardware, memory_cap)
    return board_on_network(on, hardware, memory_cap)


def board_on_network(on: str, hardware: str | None = None, memory_cap: int | None = None) -> Host:
    """A board over ssh."""
    from ondevice_bench.remote.address import address
    from ondevice_bench.remote.host import SshHost
    from ondevice_bench.remote.ssh import SshWay

    return SshHost(SshWay(address(on)), hardware, memory_cap)
