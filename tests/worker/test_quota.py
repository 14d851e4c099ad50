"""Time that a quota of the control group takes, in the passes that time steps."""

import importlib
import time

import pytest

from ondevice_bench.analyse.process_notes import is_disturbed
from ondevice_bench.measure import interference
from ondevice_bench.record.details import Details
from tests.workers import CONV


@pytest.mark.parametrize("pass_name", ["time", "treated_layers", "family"])
def test_what_a_quota_takes_disturbs_a_pass(make_job, monkeypatch, pass_name):
    def read():
        now = time.perf_counter()
        return interference.Counters(now, 0.0, 0.0, 0.0, now / 2)

    monkeypatch.setattr(interference, "read", read)
    monkeypatch.setattr(interference, "SLACK", 0.0)
    module = importlib.import_module(f"ondevice_bench.worker.passes.{pass_name}")
    details = module.measure(make_job(pass_name, CONV)).details
    assert details["foreign_cpu_share"] == pytest.approx(0.5, abs=0.05)
    assert is_disturbed(Details.from_dict(details))
