"""A training without pause through the real command; two seconds stand for twenty minutes."""

import json
from dataclasses import replace

import pytest

from ondevice_bench.running.hosts.local import local_host
from ondevice_bench.running.progress import for_terminal
from ondevice_bench.running.request import request
from ondevice_bench.running.session import open_session
from ondevice_bench.suite.load import load_suite

LAYER = """\
schema: 1
title: Layer
models: ["conv2d(4, 4, 3, padding=1) at 8x8": {batch: 2}]
methods: [vanilla]
"""
METER = """\
import time
while True:
    print(time.monotonic(), 5.0, flush=True)
    time.sleep(0.02)
"""
BOARD = """\
schema: 1
title: With a meter
extends: generic
power: {{command: [{command}]}}
"""


@pytest.fixture
def trained(workplace, suite_file, forked):
    """Train on a board with this meter; the schema refuses so short a time."""

    def train(command, seconds):
        (workplace / "hardware").mkdir(exist_ok=True)
        (workplace / "hardware" / "meter.py").write_text(METER)
        (workplace / "hardware" / "mine.yaml").write_text(BOARD.format(command=command))
        suite = replace(load_suite(str(suite_file(LAYER, "layer"))), measure=())
        progress = for_terminal(quiet=True)
        with local_host("mine") as host:
            task = request(host, suite.sustained(seconds), "bench run layer")
            with open_session(task, workplace / "bench-out" / "layer", progress) as session:
                session.perform_all(progress)

    return train


def test_a_training_without_pause_reaches_the_page_with_its_energy(trained, bench, workplace):
    trained("python3, meter.py", 2.0)
    assert bench("report", "layer").code == 0
    page = (workplace / "bench-out" / "layer" / "report.html").read_text()
    assert "Under load without pause" in page
    ended = bench("report", "layer", "--format", "json")
    (cell,) = json.loads(ended.out)["cells"]
    assert cell["status"] == "ok"
    per_step = cell["metrics"]["sustained_step_joules"]["estimate"]
    per_minute = cell["metrics"]["steps_per_minute"]["estimate"]
    assert per_step * per_minute / 60 == pytest.approx(5.0, rel=0.2)
    (note,) = [note for note in cell["notes"] if "the energy is that of" in note]
    assert "`python3 meter.py` meters, a reading every" in note
    assert "its first and its last minute are not two" in cell["unavailable"]["sustained_ratio"]


def test_a_meter_that_fails_costs_only_the_energy_and_says_why(trained, bench):
    trained("python3, none.py", 0.5)
    (cell,) = json.loads(bench("report", "layer", "--format", "json").out)["cells"]
    assert cell["status"] == "ok"
    assert cell["metrics"]["steps_per_minute"]["estimate"] > 0
    reason = cell["unavailable"]["sustained_step_joules"]
    assert "the meter python3 ended with status 2" in reason
    assert "No such file" in reason


def test_less_than_two_minutes_are_refused_in_one_line(bench, suite_file):
    suite_file(f"{LAYER}sustain: 90s\n", "layer")
    why = "must be from 2m to 4h, because the first minute is compared with the last, got"
    for words, line in (
        (("run", "layer"), f"bench: suites/layer.yaml:5: sustain: {why} '90s'"),
        (("run", "quick", "--sustain", "1m"), f"bench: --sustain: {why} '1m'"),
    ):
        ended = bench(*words)
        assert (ended.code, ended.err.strip()) == (2, line)
