"""Whether `bench recommend` finds what an exhaustive run of the same space finds, and how soon.

First the search, with its budget. Then every candidate that fits the memory by shapes is measured
in a store of its own: its gradient, its memory, and so many rounds in turn. The answer of the
search should cost at most 5 % more than the best candidate of the exhaustive run that meets the
limits, and take at most a quarter of its time. The script also prints the share of the time that
went to candidates that meet the limits: somebody who knew them in advance would measure these
alone. Times are those of the processes in both stores. So an interrupted run may go on with the
same command: nothing is measured twice.

    python benchmarks/recommend.py --model mcunet --option image_size=96 --batch 4
        --board pi5-2gb --space benchmarks/recommend_space.yaml
"""

import argparse
import json
import math
import random
import subprocess
import sys
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from ondevice_bench.recommend.ask import Network, memory_bytes, narrowed
from ondevice_bench.recommend.cell_trials import CellTrials
from ondevice_bench.recommend.question import Limits, Question, goal_named
from ondevice_bench.recommend.search import Search
from ondevice_bench.record.store import FILE_NAME, Store
from ondevice_bench.running.boards import board_named
from ondevice_bench.running.hosts.local import local_host
from ondevice_bench.running.progress import for_terminal
from ondevice_bench.running.session import open_session
from ondevice_bench.suite.space import load_space
from ondevice_bench.units import number_of

NEAR, SHARE = 1.05, 0.25  # the goals
UNLIMITED = 7 * 24 * 3600.0


@dataclass(frozen=True)
class Measured:
    """Processes of a store: how many there are, and their seconds."""

    processes: int
    seconds: float


def main() -> None:
    """Print the answer, its cost beside the best, and the share of the time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--board", default="pi5-2gb")
    parser.add_argument("--hardware")
    parser.add_argument("--space", default="default")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--minimise", default="step_seconds")
    parser.add_argument("--min-cosine", type=float, default=0.9)
    parser.add_argument("--budget", default="30m")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("bench-out/recommend-benchmark"))
    said = parser.parse_args()
    answered, whole = (said.out / name for name in ("answer", "exhaustive"))
    found = _recommended(said, answered)
    if found["winner"] is None:
        sys.exit("the search has no winner: give it a larger --budget")
    costs, count = _exhaustive(said, whole)
    if not costs:
        sys.exit("no candidate meets the limits in the exhaustive run")
    best = min(costs, key=costs.__getitem__)
    winner = found["winner"]["cell"]
    cost = costs.get(winner, math.inf)
    search, exhaustive = (_measured(folder) for folder in (answered, whole))
    of_fitting = _measured(whole, costs)
    print(f"\n{said.model}: {number_of(count, 'candidate')}, {len(costs)} meet all limits")
    for name in sorted(costs, key=costs.__getitem__)[:8]:
        print(f"  {costs[name]:.6g}  {name}")
    print(f"the search chose {winner}, decided: {found['decided']}")
    print(f"answer / best: {cost / costs[best]:.3f} (goal: at most {NEAR})")
    share = search.seconds / exhaustive.seconds
    print(
        f"time of the search / of the exhaustive run: {share:.2f} (goal: at most {SHARE}): "
        f"{search.seconds:.0f} s in {search.processes} processes, "
        f"{exhaustive.seconds:.0f} s in {exhaustive.processes}"
    )
    print(
        f"of it, candidates that meet the limits: {of_fitting.seconds:.0f} s in "
        f"{of_fitting.processes}; the share of these is {search.seconds / of_fitting.seconds:.2f}"
    )
    is_met = cost <= NEAR * costs[best] and share <= SHARE
    print("goals met" if is_met else "goals missed")


def _recommended(said: argparse.Namespace, out: Path) -> dict[str, Any]:
    """The answer of the command, in a store of its own."""
    words = ["recommend", "--model", said.model, "--board", said.board, "--space", said.space]
    words += ["--min-cosine", str(said.min_cosine), "--minimise", said.minimise]
    words += ["--budget", said.budget, "--out", str(out), "--json"]
    words += [word for option in said.option for word in ("--option", option)]
    words += ["--hardware", said.hardware] if said.hardware else []
    words += ["--batch", str(said.batch)] if said.batch else []
    command = [sys.executable, "-m", "ondevice_bench", *words]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode not in (0, 5):
        sys.exit(ended.returncode)
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


def _exhaustive(said: argparse.Namespace, out: Path) -> tuple[dict[str, float], int]:
    """The median cost of each candidate that meets the limits, and how many were measured."""
    space = narrowed(load_space(said.space), (), [said.batch] if said.batch else ())
    with local_host(said.hardware) as host:
        board = board_named(said.board, host)
    limit = memory_bytes(board, None, None)
    question = Question(goal_named(said.minimise), Limits(limit, said.min_cosine))
    rounds = said.rounds if question.repeats else 1
    progress = for_terminal()
    with local_host(said.hardware, limit) as host:
        search = Search(
            host=host,
            space=space,
            workload=Network(said.model, said.option).workload(host, space, question),
            question=question,
            board=board.name,
            is_here=False,
            out=out,
            command=" ".join(sys.argv),
            budget=UNLIMITED,
        )
        found = search.candidates(progress)
        names = [cell.id for cell in found.fitting]
        readings: dict[str, list[float]] = {name: [] for name in names}
        with open_session(search.request(found), out, progress) as session:
            end = time.monotonic() + UNLIMITED
            labels = {name: found.labels[name] for name in names}
            trials = CellTrials(session, question, labels, progress, end)
            meeting = [
                name
                for name in names
                if all([trials.meets_limits(name), trials.enters_final(name)])
            ]
            for number in range(1, rounds + 1):
                order = sorted(names)
                random.Random(number).shuffle(order)
                for name in order:
                    if (value := trials.reading(name, number)) is not None:
                        readings[name].append(value)
    progress.close()
    complete = [name for name in meeting if len(readings[name]) == rounds]
    return {name: median(readings[name]) for name in complete}, len(names)


def _measured(folder: Path, cells: Collection[str] | None = None) -> Measured:
    """The processes and the seconds of the latest run in a store, or of these cells of it."""
    with Store.open(folder / FILE_NAME) as store:
        records = [
            record
            for record in store.records(store.runs()[-1].id)
            if cells is None or record.key.cell in cells
        ]
    return Measured(len(records), sum(record.seconds for record in records))


if __name__ == "__main__":
    main()
