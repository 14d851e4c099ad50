"""dask.distributed as the engine: it chooses the board for each portion of work.

Every board is a worker of dask with one thread and the resource of its profile. All of them live in
this process, so nothing is pickled but the name of a ticket, and only this process sees a record.
"""

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import dask
from distributed import Client, KilledWorker, LocalCluster, Security, Worker, get_worker

from ondevice_bench.errors import BadInput, first_line
from ondevice_bench.fleet.lane import Ended, How, Lane, Work
from ondevice_bench.running.work_folder import work_folder

LOOPBACK = "127.0.0.1"
DASHBOARD = f"{LOOPBACK}:8787"
_EMPTY_PAGE = f"{LOOPBACK}:0"  # every worker of dask serves a page; ours are empty
_LOGGERS = ("distributed", "distributed.client", "tornado")  # the desk says what went wrong
_SETTINGS = {
    "distributed.worker.profile.enabled": False,  # it would sample every thread all the time
    "distributed.worker.http.routes": [],
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    # measurements last longer than tasks of other programs
    "distributed.scheduler.worker-ttl": None,
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.allowed-failures": 1000,  # a lost board is not the fault of its ticket
    "distributed.comm.timeouts.connect": "20s",
}
# nobody looks at dask's pages, and each board is a server of dask that would watch this machine
_WITHOUT_PAGES = {
    "distributed.scheduler.http.routes": [],
    "distributed.admin.system-monitor.interval": "1m",
    "distributed.admin.tick.interval": "1s",
}


def resource(profile: str) -> str:
    """The name of dask's resource for a profile. Each board offers one of it."""
    return f"profile:{profile}"


class DaskEngine:
    """A scheduler of dask, with a lane for each board.

    `told` is called in a thread of dask, with the end of each ticket.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        told: Callable[[Ended], None],
        scheduler: str | None = None,
        *,
        dashboard: bool = False,
    ) -> None:
        if scheduler:
            _require_safe(scheduler)
        if scheduler and scheduler.startswith("tls:"):
            _require_certificates(scheduler)
        if dashboard and not find_spec("bokeh"):
            raise BadInput("--dashboard needs bokeh: pip install bokeh")
        self._told = told
        self._works: dict[str, Work] = {}
        # the end of each work, kept here: a result of dask lies at a worker, and is lost with it
        self._ends: dict[str, Ended] = {}
        self._futures: dict[str, Any] = {}  # dask forgets a future without a reference
        self._workers: dict[str, Any] = {}
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._resources = contextlib.ExitStack()
        folder = self._resources.enter_context(work_folder("dask"))  # nothing but locks of dask
        settings = {**_settings(dashboard=dashboard), "temporary-directory": str(folder)}
        self._resources.enter_context(dask.config.set(settings))
        self._cluster: Any = None
        self._client: Any = None
        try:
            if not scheduler:
                self._cluster = _cluster(dashboard=dashboard)
                scheduler = self._cluster.scheduler_address
            self._client = _client(scheduler)
            for lane in lanes:
                self._workers[lane.name] = self._worker(lane)
        except BaseException:
            self.close()
            raise

    @property
    def dashboard(self) -> str:
        """The address of dask's own pages."""
        return str(self._client.dashboard_link)

    def submit(self, work: Work, profile: str, boards: Sequence[str] = ()) -> None:
        """Let a board of the profile do the work: one of `boards`, if there are any."""
        self._works[work.ticket] = work
        future = self._client.submit(
            _do,
            work.ticket,
            key=work.ticket,
            resources={resource(profile): 1},
            workers=list(boards) or None,
            pure=False,
        )
        self._futures[work.ticket] = future
        future.add_done_callback(lambda done: self._done(work.ticket, done))

    def forget(self, ticket: str) -> None:
        """Take back a ticket that no board has."""
        future = self._futures.pop(ticket, None)
        if future is not None:
            future.cancel()

    def drop(self, board: str) -> None:
        """Take a board out. dask gives its waiting work to other boards."""
        worker = self._workers.pop(board, None)
        if worker is not None:
            self._client.sync(worker.close, executor_wait=False)

    def close(self) -> None:
        """End dask."""
        for board in list(self._workers):
            self.drop(board)
        for part in (self._client, self._cluster):
            if part is not None:
                part.close()
        self._resources.close()

    def _done(self, ticket: str, future: Any) -> None:
        self._works.pop(ticket, None)
        self._futures.pop(ticket, None)
        ended = self._ends.pop(ticket, None)
        if ended is None:
            ended = Ended(ticket, "", *_without_board(future))
        self._told(ended)

    def _worker(self, lane: Lane) -> Any:
        try:
            return self._client.sync(self._started, lane)
        except (OSError, RuntimeError, TimeoutError) as error:
            if self._cluster is not None:
                raise
            raise _unusable(self._client.scheduler.address, error.__cause__ or error) from None

    async def _started(self, lane: Lane) -> Any:
        scheduler = self._client.scheduler.address
        is_inside = scheduler.startswith("inproc:")
        worker = Worker(
            scheduler,
            nthreads=1,
            name=lane.name,
            resources={resource(lane.profile): 1},
            memory_limit=0,
            dashboard=False,
            dashboard_address=_EMPTY_PAGE,
            security=self._client.security,
            **({} if is_inside else {"host": LOOPBACK}),
        )
        worker.bench = (lane, self._works, self._ends)
        return await worker


def _do(ticket: str) -> None:
    """What dask runs, in the thread of a board.

    If a board is lost after its work has ended, dask runs the work again on another one. Then there
    is nothing to do.
    """
    lane, works, ends = get_worker().bench
    if ticket in works and ticket not in ends:
        ends[ticket] = lane.measure(works[ticket])


def _without_board(future: Any) -> tuple[How, str]:
    """How a work ended that no board has done, and why.

    No attempt helps if the scheduler has ended, or if it cannot read the work. If `forget` took the
    ticket back, nobody waits for it.
    """
    error = future.exception() if future.status == "error" else None
    said = " ".join(str(error).split())[:300] if error else future.status
    in_vain = future.status == "cancelled" or (error and not isinstance(error, KilledWorker))
    return "desk" if in_vain else "again", f"the scheduler of dask says: {said}"


def _settings(*, dashboard: bool) -> Mapping[str, Any]:
    return _SETTINGS if dashboard else {**_SETTINGS, **_WITHOUT_PAGES}


def _cluster(*, dashboard: bool) -> Any:
    return LocalCluster(
        n_workers=0,
        processes=False,
        threads_per_worker=1,
        protocol="inproc://",
        dashboard_address=DASHBOARD if dashboard else _EMPTY_PAGE,
        scheduler_kwargs={"dashboard": dashboard},  # it serves its pages wherever bokeh is
        silence_logs=False,
    )


def _require_safe(scheduler: str) -> None:
    """Refuse a scheduler without TLS: everybody who reaches it can run code on this machine."""
    scheme, _, rest = scheduler.partition("://")
    host = rest.rpartition(":")[0].strip("[]")
    if scheme == "tls" or (scheme == "tcp" and host in ("localhost", LOOPBACK, "::1")):
        return
    raise BadInput(
        f"--scheduler {scheduler}: must be tls://HOST:PORT, with dask's own settings for TLS, or "
        f"tcp://{LOOPBACK}:PORT"
    )


def _require_certificates(scheduler: str) -> None:
    """Refuse settings of dask that lack one: a client of dask would hang at its end."""
    for role in ("client", "worker"):
        try:
            is_there = bool(Security().get_connection_args(role).get("ssl_context"))
        except (OSError, ValueError) as error:
            raise BadInput(
                f"--scheduler {scheduler}: the certificate of a {role}: {error}"
            ) from None
        if not is_there:
            raise BadInput(
                f"--scheduler {scheduler}: dask's settings have no certificate of a {role}: they "
                f"need distributed.comm.tls.ca-file and distributed.comm.tls.{role}.cert"
            )


def _client(scheduler: str) -> Client:
    try:
        return Client(scheduler, set_as_default=False, direct_to_workers=True)
    except (OSError, TimeoutError, TypeError, ValueError) as error:
        raise _unusable(scheduler, error) from None


def _unusable(scheduler: str, error: BaseException) -> BadInput:
    return BadInput(f"--scheduler {scheduler}: {first_line(error)}")
