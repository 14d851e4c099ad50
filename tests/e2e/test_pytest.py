"""`pytest` itself on a small suite and on a step, with real workers."""

import json
import os
import subprocess
import sys

from tests.conftest import TINY_CELL

SUITE = """\
schema: 1
title: Tiny
models: [{vit_b_32: {batch: 2, depth: 1, image_size: 32}}]
methods: [vanilla]
measure: [trace, time]
rounds: 1
time: {warmup: 1, min_samples: 3, max_samples: 3, max_seconds: 1}
"""


def run_pytest(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=folder,
        # a session that xdist started would refuse to measure
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_a_suite_is_measured_reported_saved_and_held_against_a_baseline(
    workplace, suite_file, bench, forking_conftest
):
    suite_file(SUITE)
    (workplace / "conftest.py").write_text(forking_conftest)
    first = run_pytest(workplace, "--benchmark", "--suite", "tiny", "--bench-report", "page.html")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "ondevice-bench: report: page.html" in first.stdout
    assert TINY_CELL in (workplace / "page.html").read_text()

    bench("baseline", "save", "main", "tiny")
    kept = workplace / "baselines/main.json"
    values = json.loads(kept.read_text())
    for cell in values["cells"]:
        line = cell["metrics"]["trace/activation_bytes"]
        line["values"] = [value - 4 for value in line["values"]]
    kept.write_text(json.dumps(values))
    again = run_pytest(
        workplace,
        *("--benchmark", "--suite", "tiny", "--interleave", "--benchmark-json", "out.json"),
        *("--baseline", "baselines/main.json"),
    )
    assert again.returncode == 1
    assert f"regressed: {TINY_CELL}: activation_bytes: " in again.stdout
    assert "1 regressed, 0 improved, 0 missing" in again.stdout
    assert "Traceback" not in again.stdout + again.stderr

    (entry,) = json.loads((workplace / "out.json").read_text())["benchmarks"]
    summary = json.loads(bench("report", "tiny", "--format", "json").out)
    (cell,) = summary["cells"]
    assert summary["interleaved"] is True
    assert entry["stats"]["median"] == cell["metrics"]["step_seconds"]["estimate"]
    activations = cell["metrics"]["activation_bytes"]["estimate"]
    assert entry["extra_info"]["activation_bytes"] == activations
