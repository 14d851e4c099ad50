"""Whether `bench recommend` finds what an exhaustive run of the same space finds, and how soon.

First the search, with its budget. Then every candidate that fits is measured under the same limits
in a store of its own: its gradient, and so many rounds in turn. The answer of the search should
cost at most 5 % more than the best of the exhaustive run, and take at most a quarter of its time.

    python benchmarks/recommend.py --model mcunet --board pi5-2gb [--rounds 20] [--space NAME]
"""

import argparse
import json
import math
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from ondevice_bench.recommend.ask import Network, memory_bytes, narrowed
from ondevice_bench.recommend.cell_trials import CellTrials
from ondevice_bench.recommend.question import Limits, Question, goal_named
from ondevice_bench.recommend.search import Search
from ondevice_bench.run.boards import board_named
from ondevice_bench.run.hosts.local import local_host
from ondevice_bench.run.progress import for_terminal
from ondevice_bench.run.session import open_session
from ondevice_bench.suite.board import SYSTEM_RESERVE
from ondevice_bench.suite.space import load_space
from ondevice_bench.units import parse_bytes

NEAR, SHARE = 1.05, 0.25  # the goals
UNLIMITED = 7 * 24 * 3600.0


@dataclass(frozen=True)
class Exhaustive:
    """The median cost of each candidate that meets the limits, and the time that all took."""

    costs: dict[str, float]
    seconds: float


def main() -> None:
    """Print the answer, its cost beside the best, and the share of the time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--board", default="pi5-2gb")
    parser.add_argument("--hardware")
    parser.add_argument("--space", default="default")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--min-cosine", type=float, default=0.9)
    parser.add_argument("--budget", default="30m")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("bench-out/exhaustive"))
    said = parser.parse_args()
    found, seconds = _recommended(said)
    if found["winner"] is None:
        sys.exit("the search has no winner: give it a larger --budget")
    whole = _exhaustive(said)
    best = min(whole.costs, key=whole.costs.__getitem__)
    winner = found["winner"]["cell"]
    cost = whole.costs.get(winner, math.inf)
    print(f"\n{said.model}, {len(whole.costs)} candidates meet the limits")
    for name in sorted(whole.costs, key=whole.costs.__getitem__)[:8]:
        print(f"  {whole.costs[name]:.6g}  {name}")
    print(f"the search chose {winner}, decided: {found['decided']}")
    print(f"its cost is {cost / whole.costs[best]:.3f} of the best (goal: at most {NEAR})")
    share = seconds / whole.seconds
    print(f"{seconds:.0f} s of {whole.seconds:.0f} s: {share:.2f} (goal: at most {SHARE})")
    is_met = cost <= NEAR * whole.costs[best] and share <= SHARE
    print("goals met" if is_met else "goals missed")


def _recommended(said: argparse.Namespace) -> tuple[dict[str, Any], float]:
    """The answer of the command in a new store, and its seconds."""
    words = ["recommend", "--model", said.model, "--board", said.board, "--space", said.space]
    words += ["--min-cosine", str(said.min_cosine), "--budget", said.budget, "--json", "--fresh"]
    words += ["--hardware", said.hardware] if said.hardware else []
    words += ["--batch", str(said.batch)] if said.batch else []
    began = time.monotonic()
    command = [sys.executable, "-m", "ondevice_bench", *words]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode not in (0, 5):
        sys.exit(ended.returncode)
    return json.loads(ended.stdout), time.monotonic() - began


def _exhaustive(said: argparse.Namespace) -> Exhaustive:
    """Every candidate, with all its rounds."""
    space = narrowed(load_space(said.space), (), [said.batch] if said.batch else ())
    with local_host(said.hardware) as host:
        board = board_named(said.board, host)
    limit = memory_bytes(board, None, parse_bytes(SYSTEM_RESERVE))
    question = Question(goal_named("step_seconds"), Limits(limit, said.min_cosine))
    progress = for_terminal()
    began = time.monotonic()
    with local_host(said.hardware, limit) as host:
        workload = Network(said.model).workload(host, space, question)
        search = Search(
            host=host,
            space=space,
            workload=workload,
            question=question,
            board=board.name,
            is_here=False,
            out=said.out,
            command=" ".join(sys.argv),
            budget=UNLIMITED,
        )
        found = search.candidates(progress)
        names = [cell.id for cell in found.fitting]
        readings: dict[str, list[float]] = {name: [] for name in names}
        with open_session(search.request(found), said.out, progress) as session:
            end = began + UNLIMITED
            labels = {name: found.labels[name] for name in names}
            trials = CellTrials(session, question, labels, progress, end)
            fit = [name for name in names if trials.meets_limits(name)]
            for number in range(1, said.rounds + 1):
                random.Random(number).shuffle(fit)
                for name in list(fit):
                    value = trials.reading(name, number)
                    if value is None:
                        fit.remove(name)
                    else:
                        readings[name].append(value)
    progress.close()
    costs = {name: median(readings[name]) for name in fit}
    return Exhaustive(costs, time.monotonic() - began)


if __name__ == "__main__":
    main()
