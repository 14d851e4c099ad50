"""The measuring side of a board whose workers take no time: only its last part is fake.

Each job leaves a line in `jobs` in the folder of the board. The file `rules.json` there may change
what the board says and does.
"""

import json
import sys
import time
from pathlib import Path

from ondevice_bench.protocol.job import PassResult, Reply
from ondevice_bench.remote import far_side
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.running.hosts.host import Outcome, no_tick

PLACE = Path(sys.argv[-1])
RULES = json.loads((PLACE / "rules.json").read_text()) if (PLACE / "rules.json").exists() else {}


class QuickHost(FakeHost):
    """Answers a job after a moment, with a number that only this job has."""

    def __init__(self, machine, profile, memory_cap):
        super().__init__(machine=machine, profile=profile, memory_cap=memory_cap)

    def run(self, job, timeout, tick=no_tick):
        with (PLACE / "jobs").open("a") as file:
            file.write(f"{job.cell.id} {job.pass_name} {job.batch_path}\n")
        if job.batch_path:
            assert Path(job.batch_path).stat().st_size
        time.sleep(RULES.get("seconds", 0.02))
        metrics = {"activation_bytes": float(len(job.cell.id)), "step_flops": 8.0}
        if job.pass_name == "family":
            metrics = {"family_step_seconds": RULES.get("step", 1.0)}
        if job.pass_name == "shapes":
            metrics |= dict.fromkeys(("batch_bytes", "peak_bytes", "resident_bytes"), 9.0)
        if job.pass_name in ("live_peak", "memory", "time"):
            metrics |= {"peak_bytes": 9.0, "step_seconds": 1.0 + 0.5 * (job.cell.method == "lean")}
            metrics |= {"peak_rss_over_runtime_bytes": 9.0, "peak_rss_bytes": 99.0}
        steps = {"first_seconds": 2.0, "step_seconds": 1.0, "losses": [2.0, 1.0]}
        details = steps if job.pass_name == "pilot" else {}
        result = PassResult(metrics=metrics, details=details)
        return Outcome(Reply("ok", result=result), "forked", 0.02, "printed")


far_side.LocalHost = QuickHost
hello = far_side.hello
far_side.hello = lambda machine: {**hello(machine), **RULES.get("hello", {})}
far_side.main()
