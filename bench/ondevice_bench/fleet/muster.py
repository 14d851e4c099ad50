"""The boards of a fleet that can measure now: locked, reached, and alike within a profile."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ondevice_bench.errors import BadInput
from ondevice_bench.fleet.fleet_file import Fleet, FleetBoard
from ondevice_bench.fleet.lane import wait_unless
from ondevice_bench.fleet.locks import locked
from ondevice_bench.remote.host import SshHost
from ondevice_bench.remote.ssh import SshWay
from ondevice_bench.running.hosts.host import Host, HostError

AT_ONCE = 16  # connections that are made side by side

Connect = Callable[[FleetBoard], Host]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Present:
    """A board that takes part."""

    board: FleetBoard
    host: Host
    software: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> dict[str, Any]:
        """What boards of one profile have in common: machine and software."""
        host = self.host
        machine = {name: each for name, each in host.identity.items() if name != "unit"}
        return {
            **machine,
            **self.software,
            "processors of a worker": len(host.cpus),
            "memory limit": host.memory_limit,
            "missing allocators": sorted(host.missing_allocators),
        }


def over_ssh(fleet: Fleet, stop: threading.Event) -> Connect:
    """A function that connects to a board. After a stop, it does not wait for lost boards."""

    def connect(board: FleetBoard) -> SshHost:
        host = SshHost(SshWay(board.address), board.profile)
        host.patience = fleet.patience
        host.wait = partial(wait_unless, stop)
        return host

    return connect


@contextlib.contextmanager
def mustered(
    fleet: Fleet, tell: Tell, stop: threading.Event, connect: Connect
) -> Iterator[tuple[Present, ...]]:
    """The boards that can measure. A line says why each of the others takes no part."""
    with contextlib.ExitStack() as stack:
        problems = stack.enter_context(locked(fleet.boards, tell))
        absent = [f"{name} takes no part: {problem}" for name, problem in problems.items()]
        ours = [board for board in fleet.boards if board.name not in problems]
        reached = _reached(ours, absent.append, stop, connect, stack)
        found = tuple(_alike(reached, absent.append))
        if not found:
            raise BadInput(*absent, f"{fleet.path}: no board of the fleet can measure")
        for line in absent:
            tell(line)
        yield found


def _reached(
    boards: Sequence[FleetBoard],
    tell: Tell,
    stop: threading.Event,
    connect: Connect,
    stack: contextlib.ExitStack,
) -> list[Present]:
    """The boards that answer, in the order of the file. All are closed at once in the end."""
    reached: list[Host] = []

    def close_all() -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda host: host.close(), reached))

    stack.callback(close_all)

    def reach(board: FleetBoard) -> Present | str:
        if stop.is_set():
            return "the run was stopped"
        try:
            host = connect(board)
        except BadInput as error:
            return error.lines[0]
        reached.append(host)
        if not host.unit:
            return f"{board.name}: has neither a serial number nor a machine-id"
        try:
            return Present(board, host, dict(host.software()))
        except (BadInput, HostError) as error:
            return str(error)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            answers = list(pool.map(reach, boards))
        except BaseException:
            stop.set()
            raise
    found = []
    for board, answer in zip(boards, answers, strict=True):
        if isinstance(answer, Present):
            found.append(answer)
        else:
            tell(f"{board.name} takes no part: {answer.removeprefix(f'{board.name}: ')}")
    return found


def _alike(reached: Sequence[Present], tell: Tell) -> Iterator[Present]:
    """The boards that equal the first board of their profile. Each machine is there once."""
    first: dict[str, Present] = {}
    units: dict[str, str] = {}
    for each in reached:
        name, host = each.board.name, each.host
        if host.unit in units:
            tell(f"{name} takes no part: it is the same machine as {units[host.unit]}")
            continue
        units[host.unit] = name
        model = first.setdefault(host.profile.name, each)
        unlike = [key for key, value in each.kind.items() if model.kind.get(key) != value]
        if unlike:
            both = f"{model.kind.get(unlike[0])} there, {each.kind[unlike[0]]} here"
            tell(
                f"{name} takes no part: it has the profile of {model.board.name}, but another "
                f"{', '.join(unlike)} ({both})"
            )
            continue
        yield each
