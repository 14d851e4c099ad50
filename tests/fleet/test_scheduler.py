"""`--scheduler`: a scheduler of dask that somebody else has started."""

import shutil
import subprocess
import threading

import pytest

pytest.importorskip("distributed", reason="dask is not installed: pip install '.[fleet]'")

import dask
import distributed

from ondevice_bench.errors import BadInput
from ondevice_bench.fleet.engine import DaskEngine
from ondevice_bench.record.store import FILE_NAME, Store
from tests.fleet.simulation import Rules, simulate, write_suite
from tests.fleet.test_simulated import require_whole

TLS = "distributed.comm.tls"


@pytest.fixture
def tls(tmp_path):
    """Dask's settings for TLS, with a key of this test. The certificate is its own authority."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1"
    files = ["-subj", "/CN=lab", "-keyout", key, "-out", cert]
    subprocess.run([*words.split(), *files], check=True, capture_output=True)
    own = {"cert": str(cert), "key": str(key)}
    roles = ("client", "scheduler", "worker")
    of_roles = {f"{TLS}.{role}.{name}": file for role in roles for name, file in own.items()}
    return {f"{TLS}.ca-file": str(cert), **of_roles}


def test_boards_join_a_scheduler_with_tls_and_leave_it_at_the_end(workplace, tls):
    with (
        dask.config.set(tls),
        distributed.LocalCluster(
            n_workers=0, processes=False, protocol="tls", host="127.0.0.1", dashboard_address=None
        ) as cluster,
    ):
        found, (records,) = simulate(
            write_suite(workplace, 4),
            workplace / "out",
            3,
            Rules(scale=2e-4, deaths={1: 3}),
            scheduler=cluster.scheduler_address,
        )
        assert cluster.scheduler_address.startswith("tls://")
        assert not cluster.scheduler.workers
    require_whole(found, records, 16)
    assert not [t for t in threading.enumerate() if "Worker" in t.name]


@pytest.mark.parametrize("role", ["client", "worker"])
@pytest.mark.parametrize("cert", [None, "/no/such/file"])
def test_a_desk_without_a_certificate_is_one_line(tls, role, cert):
    """dask itself would wait at its end for a client that never was."""
    lacking = {**tls, f"{TLS}.{role}.cert": cert}
    said = rf"^--scheduler tls://lab:8786: .*certificate of a {role}: "
    with dask.config.set(lacking), pytest.raises(BadInput, match=said) as raised:
        DaskEngine([], lambda _: None, "tls://lab:8786")
    assert len(raised.value.lines) == 1


def test_a_scheduler_that_does_not_answer_is_one_line(workplace, monkeypatch):
    from ondevice_bench.fleet import engine

    monkeypatch.setitem(engine._SETTINGS, "distributed.comm.timeouts.connect", "1s")
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
    closing = threading.Timer(2.0, cluster.close)
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
