"""The boards that a plan may be made for: every profile, and the host itself."""

from typing import Any

from ondevice_bench.hardware.profile import Profile, load_profile, profiles
from ondevice_bench.running.hosts.host import Host, board_of, lowest
from ondevice_bench.suite.board import Board
from ondevice_bench.units import GIB


def board_of_profile(profile: Profile) -> Board:
    """The board that a profile describes."""
    return Board(profile.name, profile.lineage, profile.memory_gib, profile.allocator)


def means_host(name: str | None, host: Host) -> bool:
    """Whether the profile of that name or file means the host. No name does."""
    return name is None or load_profile(name).recognise.matches(host.machine)


def board_named(name: str | None, host: Host) -> Board:
    """The board of that profile's name or file; the host if none is named.

    A profile that recognises the host's machine means the host, with the memory that it has. One
    that recognises no machine, but has a memory size, describes a board of at most this memory.
    """
    if name is None:
        return host.board
    profile = load_profile(name)
    if not profile.recognise.matches(host.machine):
        return board_of_profile(profile)
    bound = lowest(profile.memory_cap_bytes, host.memory_limit, _described_bytes(profile))
    return board_of(host.machine, profile, bound, host.missing_allocators)


def _described_bytes(profile: Profile) -> int | None:
    """The memory of the board that a profile describes without a machine to recognise."""
    gib = profile.declared.memory.gib
    recognises = profile.recognise.rules and not profile.declared.by_name_only
    return None if recognises or gib is None else int(gib * GIB)


def facts_of(name: str | None, host: Host) -> dict[str, Any]:
    """What a machine must have so that its times are those of that profile's board.

    A profile may extend one with more threads, and machines of a general profile differ.
    """
    profile = host.profile if name is None else load_profile(name)
    threads = profile.declared.threads
    if means_host(name, host):
        is_same = profile.name == host.profile.name or not isinstance(threads, int)
        return {**host.machine.to_dict(), "threads": host.threads if is_same else threads}
    return {"threads": threads} if isinstance(threads, int) else {}


def boards() -> dict[str, Board]:
    """Every profile's board, by name."""
    return {name: board_of_profile(profile) for name, profile in profiles().items()}
