"""A suite, or several, on all boards of a fleet."""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ondevice_bench.errors import BadInput
from ondevice_bench.fleet.campaign import Campaign, opened
from ondevice_bench.fleet.desk import Desk
from ondevice_bench.fleet.fleet_file import Cooling
from ondevice_bench.fleet.lane import Event, Lane
from ondevice_bench.fleet.muster import Present
from ondevice_bench.record.command import continuing
from ondevice_bench.record.origin import FLEET
from ondevice_bench.record.store import FILE_NAME
from ondevice_bench.running.hosts.host import Host
from ondevice_bench.running.progress import Progress
from ondevice_bench.running.request import Request, refuse_both, request
from ondevice_bench.running.resume import nothing_to_retry
from ondevice_bench.running.session import Interrupted
from ondevice_bench.suite.suite import Suite

STOP_SECONDS = 30.0  # the boards have this time to end their tasks


@dataclass(frozen=True)
class Wanted:
    """What the user asked for."""

    command: str
    fresh: bool = False
    retry: frozenset[str] = frozenset()
    scheduler: str | None = None
    dashboard: bool = False

    def __post_init__(self) -> None:
        refuse_both(fresh=self.fresh, retry=bool(self.retry))


def requests(
    load: Callable[[Host], Suite],
    filters: Sequence[str],
    boards: Sequence[Present],
    wanted: Wanted,
) -> tuple[Request, ...]:
    """The requests of a suite, one for each profile. BadInput if a cell has no board."""
    hosts: dict[str, Host] = {}
    for each in boards:
        hosts.setdefault(each.host.profile.name, each.host)
    found = tuple(
        replace(
            request(host, load(host), wanted.command, filters),
            origin=FLEET,
            of_any_unit=True,
            fresh=wanted.fresh,
            retry=wanted.retry,
        )
        for host in hosts.values()
    )
    _require_boards(found, hosts)
    return found


def _require_boards(of_suite: Sequence[Request], hosts: Mapping[str, Host]) -> None:
    names = {name for host in hosts.values() for name in host.board.names}
    pending = [
        item
        for each in of_suite
        for item in each.plan
        if item.state == "pending" and item.profile not in names
    ]
    if pending:
        suite, first = of_suite[0].suite, pending[0]
        raise BadInput(
            f"{suite.path}: {first.cell.id} is for {first.profile}, and no board of the fleet that "
            f"can measure has this profile (they have {', '.join(hosts)})"
        )


@contextlib.contextmanager
def running(
    places: Sequence[tuple[Sequence[Request], Path]],
    boards: Sequence[Present],
    cooling: Cooling,
    wanted: Wanted,
    progress: Progress,
    stop: threading.Event,
) -> Iterator[tuple[Campaign, ...]]:
    """Measure what is left of these requests. Yields the runs, with open stores."""
    from ondevice_bench.fleet.engine import DaskEngine  # dask is loaded here and nowhere else

    inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
    with contextlib.ExitStack() as stack:
        campaigns = tuple(
            campaign
            for of_suite, out in places
            for campaign in stack.enter_context(opened(of_suite, out, progress))
        )
        if not campaigns:
            raise nothing_to_retry(places[0][1] / FILE_NAME)
        lanes = [Lane(each.board.name, each.host, cooling, inbox.put, stop) for each in boards]
        engine = DaskEngine(lanes, inbox.put, wanted.scheduler, dashboard=wanted.dashboard)
        try:
            if wanted.dashboard:
                progress.note(f"dask's pages: {engine.dashboard}")
            desk = Desk(campaigns, lanes, inbox, engine, progress)
            try:
                desk.measure_all()
            except BaseException:
                stop.set()
                desk.drain(STOP_SECONDS)
                raise
        except KeyboardInterrupt:
            left = sum(each.left for each in campaigns)
            whole = sum(each.size for each in campaigns)
            raise Interrupted(
                f"interrupted: {whole - left} of {whole} measurements are stored; "
                f"`{continuing(wanted.command)}` continues from there"
            ) from None
        finally:
            stop.set()
            engine.close()
        yield campaigns
