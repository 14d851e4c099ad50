"""`--scheduler`: a scheduler of dask that somebody else has started."""

import threading

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.record.store import FILE_NAME, Store
from tests.fleet.simulation import Rules, simulate, write_suite
from tests.fleet.test_simulated import require_whole

distributed = pytest.importorskip("distributed", reason="dask is not installed")


def test_boards_join_the_scheduler_and_leave_it_at_the_end(workplace):
    with distributed.LocalCluster(
        n_workers=0, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=None
    ) as cluster:
        address = cluster.scheduler_address
        found, (records,) = simulate(
            write_suite(workplace, 4),
            workplace / "out",
            3,
            Rules(scale=2e-4, deaths={1: 3}),
            scheduler=address,
        )
        assert not cluster.scheduler.workers
    require_whole(found, records, 16)
    assert not [t for t in threading.enumerate() if "Worker" in t.name]


def test_a_scheduler_that_does_not_answer_is_one_line(workplace, monkeypatch):
    from ondevice_bench.fleet import engine

    monkeypatch.setitem(engine._SETTINGS, "distributed.comm.timeouts.connect", "300ms")
    with pytest.raises(BadInput, match=r"^--scheduler tcp://127.0.0.1:1: ") as raised:
        simulate(
            write_suite(workplace, 1),
            workplace / "out",
            1,
            Rules(),
            scheduler="tcp://127.0.0.1:1",
        )
    assert len(raised.value.lines) == 1


def test_a_scheduler_that_goes_away_ends_the_run_with_one_line(workplace):
    """No work has failed: nothing is stored as failed."""
    cluster = distributed.LocalCluster(
        n_workers=0, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=None
    )
    closing = threading.Timer(1.0, cluster.close)
    closing.start()
    with pytest.raises(BadInput, match="dask") as raised:
        simulate(
            write_suite(workplace, 40),
            workplace / "out",
            2,
            Rules(scale=2e-3, failing=0),
            scheduler=cluster.scheduler_address,
        )
    closing.join()
    assert len(raised.value.lines) == 1
    with Store.open(workplace / "out" / FILE_NAME) as store:
        (run,) = store.runs()
        assert set(store.statuses(run.id).values()) == {"ok"}
