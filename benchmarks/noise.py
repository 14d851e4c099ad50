"""How often a difference is claimed where there is none, and how often a true one is found.

A cell is measured against itself, and against itself made slower by a spin of 5 % of its median
step so far, for as many rounds as asked: two fresh processes each time, forked from processes that
are new in each round, whose steps are taken in turn. Comparisons are then replayed from these
rounds, as `bench ab` makes them: each begins at another round, takes rounds in their order, and
looks now and then, each time after a quarter more rounds, whether the interval of the ratio
(99.5 %, Wilcoxon) says enough. It ends with a verdict, or without one when its seconds are spent.
Of equal sides either may stand for the other, so each round of theirs is swapped or not by the toss
of a coin; comparisons overlap, so they are fewer than they look.

    python benchmarks/noise.py [--rounds 600] [--busy] [--keep rounds.json]
    python benchmarks/noise.py --replay rounds.json
"""

import argparse
import contextlib
import json
import math
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median, stdev

from ondevice_bench.ab.comparison import steps_per_round
from ondevice_bench.analyse.cell_pair import FEWEST, CellPair
from ondevice_bench.data.batch import BatchStore
from ondevice_bench.protocol.job import Job
from ondevice_bench.running.hosts.host import Host, Outcome, TurnTaking
from ondevice_bench.running.hosts.interpreter import Interpreter
from ondevice_bench.running.hosts.local import local_host
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.suite.cell import Cell

SLOWER = 0.05
WORDS = {"more": "slower", "less": "faster"}
SPUN = """
import time
from ondevice_bench.models import mcunet
from ondevice_bench.models.mcunet import initialise


def construct(spin, **options):
    network = mcunet.construct(**options)

    def wait(module, inputs):
        end = time.perf_counter() + spin
        while module.training and time.perf_counter() < end:
            pass

    network.register_forward_pre_hook(wait)
    return network
"""


def main() -> None:
    """Measure rounds, or read them, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=600)
    parser.add_argument("--comparisons", type=int, default=200)
    parser.add_argument("--budgets", type=float, nargs="+", default=[20.0, 60.0, 120.0, 300.0])
    parser.add_argument("--threshold", type=float, default=0.02)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--busy", action="store_true", help="beside a busy process")
    parser.add_argument("--keep", type=Path, help="write the rounds to this file")
    parser.add_argument("--replay", type=Path, help="read the rounds from this file")
    said = parser.parse_args()
    if said.replay:
        rounds = [_Round(**one) for one in json.loads(said.replay.read_text())]
    else:
        rounds = _measured(said.rounds, said.batch, is_busy=said.busy)
    if len(rounds) < FEWEST:
        sys.exit(f"{len(rounds)} rounds: too few for a single comparison")
    if said.keep:
        said.keep.write_text(json.dumps([asdict(one) for one in rounds]))
    print(f"{len(rounds)} rounds, {said.comparisons} comparisons; {_spread(rounds)}")
    for budget in said.budgets:
        for side in ("itself", "slower"):
            found = _replayed(rounds, side, said.comparisons, budget, said.threshold)
            print(f"{budget:4.0f} s  {side:7} {_summary(found)}", flush=True)


@dataclass(frozen=True)
class _Round:
    """How many times a side's step takes the base's, and the seconds that both took."""

    ratios: dict[str, float]
    seconds: dict[str, float]


def _measured(count: int, batch: int, *, is_busy: bool) -> list[_Round]:
    """Rounds of the cell beside itself and beside the slower one; whoever goes first changes."""
    rounds: list[_Round] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "spun_mcunet.py").write_text(SPUN)
        interpreter = Interpreter(sources=(folder,))
        with (
            local_host(interpreter=interpreter) as one,
            local_host(interpreter=interpreter) as other,
            _company(is_busy),
            contextlib.suppress(KeyboardInterrupt),
        ):
            jobs, steps = _Jobs(one, folder, batch), []
            for number in range(count):
                ratios, seconds = {}, {}
                began = time.perf_counter()
                one.renew()
                other.renew()
                one.software()
                other.software()
                renewing = time.perf_counter() - began
                for side in ("itself", "slower") if number % 4 < 2 else ("slower", "itself"):
                    # the machine's pace may change
                    spin = SLOWER * median(steps) if steps and side == "slower" else 0.0
                    began = time.perf_counter()
                    count_of_steps = steps_per_round(median(steps) if steps else None)
                    with one.take_turns(count_of_steps) as turns:
                        of_base, of_new = turns.parts if number % 2 else turns.parts[::-1]
                        base, ratios[side] = _in_turns(
                            turns,
                            (one, replace(jobs.job(0.0), turns=of_base)),
                            (other, replace(jobs.job(spin), turns=of_new)),
                        )
                    seconds[side] = renewing + time.perf_counter() - began
                    steps.append(base)
                if number:  # the first had no step to spin by
                    rounds.append(_Round(ratios, seconds))
    return rounds


def _in_turns(
    turns: TurnTaking,
    base: tuple[Host, Job],
    new: tuple[Host, Job],
) -> tuple[float, float]:
    """The base's step, and the median of the ratios of neighbours."""
    outcomes = turns.run(lambda: base[0].run(base[1], 120), lambda: new[0].run(new[1], 120))
    steps = [_steps(outcome) for outcome in outcomes]
    return median(steps[0]), median(n / b for b, n in zip(*steps, strict=True))


class _Jobs:
    def __init__(self, host: Host, folder: Path, batch: int) -> None:
        self._maker = JobMaker(host, BatchStore(folder / "batches"))
        self._cell = Cell(id="noise", model="mcunet", method="vanilla", batch=batch)

    def job(self, spin: float) -> Job:
        """The cell, its forward longer by so many seconds."""
        made = self._maker.job(self._cell, "time")
        options = {**made.model_options, "spin": spin}
        return replace(made, model="spun_mcunet", model_options=options)


@dataclass(frozen=True)
class _Comparison:
    """How one ended."""

    verdict: str
    rounds: int
    seconds: float


def _spread(rounds: list[_Round]) -> str:
    """How far equal processes are apart, and how slow the slower side really was."""
    logs = [math.log(one.ratios["itself"]) for one in rounds]
    slower = median(one.ratios["slower"] for one in rounds)
    return (
        f"equal steps differ by {stdev(logs):.0%} (sd), the slower side is {slower:.3f} of the base"
    )


def _replayed(
    rounds: list[_Round], side: str, count: int, budget: float, threshold: float
) -> list[_Comparison]:
    """Comparisons of a side with the base that begin at rounds evenly apart."""
    toss = random.Random(f"{side} {budget}")
    return [
        _compared(rounds, place * len(rounds) // count, side, budget, threshold, toss)
        for place in range(count)
    ]


def _compared(
    rounds: list[_Round],
    start: int,
    side: str,
    budget: float,
    threshold: float,
    toss: random.Random,
) -> _Comparison:
    pair = CellPair("noise", "base", side)
    spent = 0.0
    for place in range(len(rounds)):
        one = rounds[(start + place) % len(rounds)]
        spent += one.seconds[side]
        if spent > budget:
            break
        steps = 1.0, one.ratios[side]
        before, after = steps[::-1] if side == "itself" and toss.random() < 0.5 else steps
        pair.add_round(before, after, threshold)
        if pair.step is not None and pair.step.direction != "unknown":
            break
    direction = "unknown" if pair.step is None else pair.step.direction
    return _Comparison(WORDS.get(direction, direction), len(pair.base), spent)


def _steps(outcome: Outcome) -> list[float]:
    reply = outcome.reply
    assert reply.status == "ok", reply.reason
    return reply.result.samples["step_seconds"]


def _summary(found: list[_Comparison]) -> str:
    verdicts = Counter(one.verdict for one in found).most_common()
    listed = ", ".join(f"{verdict} {count}" for verdict, count in verdicts)
    seconds = median(one.seconds for one in found)
    return f"{listed}; median {median(one.rounds for one in found):g} rounds, {seconds:.0f} s"


@contextlib.contextmanager
def _company(is_busy: bool) -> Iterator[None]:
    """A process that takes all the time it can get, or none."""
    if not is_busy:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


if __name__ == "__main__":
    main()
