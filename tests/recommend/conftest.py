"""A machine without processes, on which every method has a known cost."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ondevice_bench.protocol.job import Job, PassResult, Reply
from ondevice_bench.recommend.answer import Recommendation
from ondevice_bench.recommend.ask import Network
from ondevice_bench.recommend.question import Limits, Question, goal_named
from ondevice_bench.recommend.search import Search
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.running.progress import Silent
from ondevice_bench.suite.space import load_space
from ondevice_bench.units import MIB

SPACE = """\
schema: 1
title: Four ways
methods: [vanilla, lean, saved_bf16, gradient_filter]
"""


@dataclass(frozen=True)
class Truth:
    """What a method costs on the machine."""

    seconds: float
    peak_mib: float
    cosine: float = 1.0
    accuracy: float = 0.9  # after the last epoch, with the first seed
    of_seeds: tuple[float, ...] = (0.0,)  # what is added for each seed
    best_rate: float = 0.05
    losses: tuple[float | None, float | None] = (2.0, 1.9)


TRUTHS = {
    "vanilla": Truth(1.0, 100),
    "lean": Truth(0.8, 60),
    "saved_bf16": Truth(1.3, 40, cosine=0.99),
    "gradient_filter": Truth(0.5, 50, cosine=0.6, accuracy=0.5),
}


@dataclass
class World:
    """The machine, and how to ask about it."""

    folder: Path
    truths: dict[str, Truth] = field(default_factory=lambda: dict(TRUTHS))
    reply: Callable[[Job], Reply | None] = lambda job: None
    space: str = SPACE
    command: str = "bench recommend --model mcunet"
    seconds: float = 0.0  # of the clock of the machine
    seconds_of_a_process: float = 1.0
    is_here: bool = False  # whether it is the board itself

    def __post_init__(self) -> None:
        self.dice = random.Random(0)
        self.host = FakeHost(self.answer)

    def answer(self, job: Job) -> Reply:
        self.seconds += self.seconds_of_a_process
        own = self.reply(job)
        return self._usual(job) if own is None else own

    def _usual(self, job: Job) -> Reply:
        truth = self.truths[job.cell.method]
        step = truth.seconds * self.dice.lognormvariate(0, 0.02)
        match job.pass_name:
            case "live_peak":
                return _ok(peak_bytes=truth.peak_mib * MIB)
            case "pilot":
                details = {
                    "first_seconds": 2 * step,
                    "step_seconds": step,
                    "losses": list(truth.losses),
                }
                return Reply("ok", result=PassResult(details=details))
            case "time":
                samples = {"step_seconds": [step] * 6}
                metrics = {"step_seconds": step}
                return Reply("ok", result=PassResult(metrics=metrics, samples=samples))
            case "fidelity":
                return _ok(gradient_cosine_first=truth.cosine, gradient_cosine=truth.cosine)
            case "learning_rate":
                rates = job.cell.learning.learning_rates
                chosen = min(rates, key=lambda rate: abs(rate - truth.best_rate))
                return Reply("ok", result=PassResult(details={"chosen_rate": chosen}))
            case "learning":
                return self.learned(job, truth)
            case _:
                peak = truth.peak_mib * MIB
                return _ok(peak_rss_over_runtime_bytes=peak, peak_rss_bytes=peak + 90 * MIB)

    def learned(self, job: Job, truth: Truth) -> Reply:
        """A training whose accuracy rises in equal parts; an epoch takes ten steps."""
        plan, dice = job.cell.learning, random.Random(f"{job.cell.method} {job.cell.seed}")
        last = truth.accuracy + truth.of_seeds[job.cell.seed % len(truth.of_seeds)]
        steps = range(plan.epochs + 1)
        accuracy = [0.1 + (last - 0.1) * number / plan.epochs for number in steps]
        epoch = 10 * truth.seconds * dice.lognormvariate(0, 0.02)
        seconds = [number * epoch for number in steps]
        metrics = {"final_accuracy": accuracy[-1], "training_seconds": seconds[-1]}
        missing = {}
        reached = [s for s, a in zip(seconds, accuracy, strict=True) if a >= (plan.target or 2)]
        if reached:
            metrics["time_to_accuracy_seconds"] = reached[0]
        else:
            missing = {"time_to_accuracy_seconds": "no test reached the target"}
        learned = {"accuracy": accuracy, "seconds": seconds, "rate": job.cell.train.lr}
        result = PassResult(metrics, unavailable=missing, details={"learned": learned})
        return Reply("ok", result=result)

    def search(
        self,
        minimise: str = "step_seconds",
        cap_mib: float = 256,
        min_cosine: float | None = 0.9,
        min_accuracy: float | None = None,
        data: str | None = None,
        model: str = "mcunet",
        budget: float = 10_000,
        fresh: bool = False,
        options: tuple[str, ...] = (),
        target: float | None = None,
        seeds: int = 3,
    ) -> Recommendation:
        (self.folder / "space.yaml").write_text(self.space)
        limits = Limits(int(cap_mib * MIB), min_cosine, min_accuracy)
        question = Question(goal_named(minimise), limits, target, seeds)
        space = load_space("space.yaml")
        workload = Network(model, options, data).workload(self.host, space, question)
        search = Search(
            host=self.host,
            space=space,
            workload=workload,
            question=question,
            board="pi5-2gb",
            is_here=self.is_here,
            out=self.folder / "out",
            command=self.command,
            budget=budget,
            fresh=fresh,
            clock=lambda: self.seconds,
        )
        return search.answer(Silent())

    def passes(self) -> list[str]:
        """The passes of all jobs so far, without those by shapes."""
        return [job.pass_name for job in self.host.jobs if job.pass_name != "live_peak"]


def _ok(**values: float) -> Reply:
    return Reply("ok", result=PassResult(metrics=values))


@pytest.fixture
def world(workplace: Path) -> World:
    """The machine in an empty folder."""
    return World(workplace)
