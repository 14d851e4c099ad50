"""Two runs at once on one machine: no lock, but no number that looks undisturbed."""

import signal
import subprocess
import time

from tests.conftest import TINY

STEPS = "{warmup: 1, min_samples: 20, max_samples: MOST, max_seconds: SECONDS, precision: 0.0001}"


def suite(most, seconds):
    head = TINY.partition("time:")[0]
    steps = STEPS.replace("MOST", str(most)).replace("SECONDS", str(seconds))
    return f"{head}measure: [time]\ntime: {steps}\n"


def test_a_run_beside_another_one_says_that_its_times_were_disturbed(
    bench, forking_bench, workplace
):
    (workplace / "long.yaml").write_text(suite(100_000, 300))
    (workplace / "short.yaml").write_text(suite(100, 1))
    with subprocess.Popen(
        [*forking_bench, "run", "long.yaml", "-q"], cwd=workplace, stdout=subprocess.DEVNULL
    ) as other:
        try:
            end = time.monotonic() + 60
            while not (workplace / "bench-out/long/results.sqlite").exists():
                assert time.monotonic() < end
                time.sleep(0.05)
            ended = bench("run", "short.yaml", "--json")
            assert other.poll() is None
        finally:
            other.send_signal(signal.SIGINT)
    assert ended.code == 0, ended.err
    (cell,) = ended.json()["cells"]
    (said,) = [
        note for note in cell["notes"] if "disturbed: other programs or a quota took" in note
    ]
    assert "of a core during the samples. So these numbers may be too high" in said
