"""Profiles as the boards that a plan is made for."""

from ondevice_bench.hardware.probe import Machine, probe
from ondevice_bench.hardware.profile import Profile, load_profile, profiles, recognise
from ondevice_bench.suite.board import Board
from ondevice_bench.units import GIB


def this_board(profile: Profile, machine: Machine, cap: int | None = None) -> Board:
    """This machine; a process may hope for its memory, or for what it is held to."""
    caps = [held / GIB for held in (cap, profile.memory_cap_bytes) if held is not None]
    return Board(profile.name, profile.lineage, min([machine.memory_gib, *caps]))


def board_of(name: str | None) -> Board:
    """The board of that profile; this machine where none is named."""
    machine = probe()
    return board_on(recognise(machine) if name is None else load_profile(name), machine)


def board_on(profile: Profile, machine: Machine) -> Board:
    """The profile's board; with this machine's own memory where the profile matches it."""
    if profile.recognise.matches(machine):
        return this_board(profile, machine)
    return Board(profile.name, profile.lineage, profile.memory_gib)


def boards() -> dict[str, Board]:
    """Every profile's board, by name."""
    return {
        name: Board(name, profile.lineage, profile.memory_gib)
        for name, profile in profiles().items()
    }
