"""Whether a run over ssh takes the same times as a run here: the board is this machine.

Two runs, one after the other, would also show how the machine drifts. So short runs take turns:
one here and one over ssh make a pair, and every other pair begins with ssh. Each pair gives the
ratio of the median steps. Six pairs or more are needed for a 95 % interval.

    python benchmarks/over_ssh.py ADDRESS [--pairs 6] [--rounds 8]

ADDRESS is that of `bench run --on`: a board of `hosts.yaml` that is this machine, already set up.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from ondevice_bench.record.store import FILE_NAME, Store
from ondevice_bench.stats import median_interval

SUITE = """schema: 1
title: Here and over ssh
models: [mcunet: {batch: 4}]
methods: [vanilla]
measure: [time]
rounds: ROUNDS
time: {max_seconds: 2}
"""


def main() -> None:
    """Print the step of each pair, and the ratio over all pairs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address")
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=8)
    arguments = parser.parse_args()
    ratios = []
    with tempfile.TemporaryDirectory() as name:
        suite = Path(name) / "pair.yaml"
        suite.write_text(SUITE.replace("ROUNDS", str(arguments.rounds)))
        for number in range(arguments.pairs):
            places = ("here", "ssh") if number % 2 == 0 else ("ssh", "here")
            steps = {}
            for place in places:
                on = ["--on", arguments.address] if place == "ssh" else []
                steps[place] = _step(suite, Path(name) / f"{number}-{place}", on)
            ratios.append(steps["ssh"] / steps["here"])
            print(
                f"here {steps['here'] * 1e3:.2f} ms, over ssh {steps['ssh'] * 1e3:.2f} ms: "
                f"{ratios[-1]:.3f}",
                flush=True,
            )
    print(f"over ssh / here: {median(ratios):.3f} ({_interval(ratios)})")


def _step(suite: Path, out: Path, on: list[str]) -> float:
    """The median over the processes of a run of their median steps."""
    command = [sys.executable, "-m", "ondevice_bench", "run", suite, "--out", out, "-q", *on]
    subprocess.run(command, check=True, capture_output=True)
    with Store.open(out / FILE_NAME) as store:
        records = list(store.records(store.runs()[0].id))
    return median(median(each.samples["step_seconds"]) for each in records if each.status == "ok")


def _interval(ratios: list[float]) -> str:
    found = median_interval(ratios)
    return "no interval" if found is None else f"{found[0]:.3f} to {found[1]:.3f}, 95 %"


if __name__ == "__main__":
    main()
