"""The processor time and the memory that `bench plan` takes for a large suite, without its workers.

python benchmarks/size.py [--cells 100000]
"""

import argparse
import contextlib
import resource
import tempfile
import time
from pathlib import Path

from ondevice_bench.protocol.job import PassResult, Reply
from ondevice_bench.report.terminal.plan import plan_table, plan_total
from ondevice_bench.run.hosts.fake import FakeHost
from ondevice_bench.run.preview import preview
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.plan import plan
from ondevice_bench.terminal import print_table

SUITE = """\
schema: 1
title: many cells
models: [{{mcunet: {{batch: [1, 2]}}}}]
methods: [vanilla, checkpoint]
seeds: {seeds}
measure: [memory, time]
"""
COUNTS = {"activation_bytes": 1.0, "step_flops": 1.0, "peak_bytes": 1.0}


def main() -> None:
    """Print the seconds and the peak of memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=100_000)
    cells: int = parser.parse_args().cells

    host = FakeHost(lambda _: Reply("ok", result=PassResult(metrics=COUNTS)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "many.yaml"
        path.write_text(SUITE.format(seeds=list(range(cells // 4))), encoding="utf-8")
        began = time.process_time()
        suite = load_suite(str(path))
        loaded = time.process_time()
        planned = plan(suite, host.board)
        previews = preview(host, suite, host.board, planned, {})
        with (Path(folder) / "out").open("w") as out, contextlib.redirect_stdout(out):
            print_table(plan_table(previews))
            print(plan_total(previews))
    ended = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{len(planned):,} cells: {loaded - began:.1f} s to read the suite,")
    print(f"{ended - loaded:.1f} s to plan and print; at most {peak:.0f} MiB in all")


if __name__ == "__main__":
    main()
