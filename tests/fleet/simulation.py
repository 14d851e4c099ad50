"""Boards that only wait: drawn durations, results of every kind, lost connections, reboots, deaths.

The time of the simulation is scaled: a board sleeps a part of the seconds that it draws.
"""

import hashlib
import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from ondevice_bench.fleet.fleet_file import Cooling, FleetBoard
from ondevice_bench.fleet.muster import Present
from ondevice_bench.fleet.run import Wanted, requests, running
from ondevice_bench.hardware.profile import load_profile
from ondevice_bench.hardware.state import HardwareState
from ondevice_bench.protocol.job import PassResult, Reply
from ondevice_bench.remote.address import Address
from ondevice_bench.remote.host import BoardLost
from ondevice_bench.running.hosts.fake import SOFTWARE, FakeHost
from ondevice_bench.running.hosts.host import Outcome, no_tick
from ondevice_bench.running.progress import Silent
from ondevice_bench.suite.load import load_suite

AT_ONCE = Cooling(70, 0)  # skip a hot board at once
METHODS = ("vanilla", "checkpoint", "lean", "saved_bf16")
SUITE = """\
schema: 1
title: Simulated
models: [{{vit_b_32: {{batch: 1, depth: 1, image_size: 32}}}}]
methods: [{methods}]
seeds: {seeds}
measure: [{measure}]
rounds: {rounds}
"""


@dataclass(frozen=True)
class Rules:
    """How a board behaves. Seconds are those of the simulation."""

    seed: int = 0
    scale: float = 1e-3  # seconds here for a second of the simulation
    mean: float = 60.0  # seconds of a measurement
    failing: float = 0.02  # the share of cells whose result is no number
    losing: float = 0.0  # the share of measurements after which the way is lost
    reboots: float = 0.0  # the share of measurements in which the board reboots
    reboot: float = 90.0  # seconds
    deaths: dict[int, int] = field(default_factory=dict)  # by board: after how many measurements
    broken: frozenset[int] = frozenset()  # boards to which the way is lost but for the shared cell
    slow: dict[int, float] = field(default_factory=dict)  # by board: a factor
    slow_once: dict[int, float] = field(default_factory=dict)  # the same, in its first process
    failing_once: frozenset[int] = frozenset()  # boards whose first shared cell has no memory
    broken_after: dict[int, int] = field(default_factory=dict)  # by board: after how many cells
    hot: dict[int, int] = field(default_factory=dict)  # by board: how many looks are too hot


class SimulatedHost(FakeHost):
    """A board by these rules. Whatever it draws depends only on the seed and on the job."""

    def __init__(self, number: int, rules: Rules, profile: str = "generic") -> None:
        super().__init__(profile=load_profile(profile))
        self.number, self.rules = number, rules
        self.unit = hashlib.sha256(f"board {number}".encode()).hexdigest()[:12]
        self.done: list[tuple[str, str]] = []
        self.looks = rules.hot.get(number, 0)
        self.down = 0.0  # seconds here
        self.died: float | None = None
        self.is_measuring = threading.Lock()

    def state(self):
        self.looks -= 1
        celsius = 90.0 if self.looks >= 0 else 40.0
        return HardwareState(0.0, 1 << 30, 0, None, celsius)

    def run(self, job, timeout, tick=no_tick):
        assert self.is_measuring.acquire(blocking=False), "a board measures one thing at a time"
        try:
            return self._run(job, tick)
        finally:
            self.is_measuring.release()

    def _run(self, job, tick):
        rules, what = self.rules, f"{job.cell.id} {job.pass_name}"
        draw = random.Random(f"{rules.seed} {what}")
        seconds = rules.mean * draw.uniform(0.5, 1.5) * rules.slow.get(self.number, 1.0)
        if not self.done:
            seconds *= rules.slow_once.get(self.number, 1.0)
        if len(self.done) == rules.deaths.get(self.number, -1):
            time.sleep(rules.scale * seconds / 2)
            self.died = time.monotonic()
            raise BoardLost(f"board{self.number}: did not come back")
        again = random.Random(f"{rules.seed} {what} {self.number} {len(self.done)}")
        self.done.append((job.cell.id, job.pass_name))
        if again.random() < rules.reboots:  # the same job begins anew, as `SshHost` has it
            time.sleep(rules.scale * seconds / 2)
            time.sleep(rules.scale * rules.reboot)
            self.down += rules.scale * rules.reboot
        time.sleep(rules.scale * seconds)
        tick()
        of_cells = [name for _, name in self.done if name != "family"]
        is_broken = self.number in rules.broken and job.pass_name != "family"
        is_broken |= len(of_cells) > rules.broken_after.get(self.number, len(of_cells))
        if job.pass_name == "family" and self.number in rules.failing_once and len(self.done) == 1:
            return Outcome(Reply("oom", "drawn"), "fork", seconds)
        if again.random() < rules.losing or is_broken:
            return Outcome(Reply("failed", "not measured: lost"), "none", 0.0, is_lost=True)
        if job.pass_name != "family" and draw.random() < rules.failing:
            return Outcome(
                Reply(draw.choice(("oom", "timeout", "failed")), "drawn"), "fork", seconds
            )
        name = {"family": "family_step_seconds", "trace": "step_flops"}.get(
            job.pass_name, "step_seconds"
        )
        return Outcome(Reply("ok", result=PassResult(metrics={name: seconds})), "fork", seconds)


@dataclass
class Simulated:
    """What a simulated run left."""

    campaigns: tuple
    hosts: list[SimulatedHost]
    began: float
    wall: float
    notes: list[str]

    def efficiency(self, records) -> float:
        """The drawn work of all records over the time that boards were alive."""
        scale = self.hosts[0].rules.scale
        work = scale * sum(record.seconds for record in records)
        alive = sum(
            (self.wall if host.died is None else host.died - self.began) - host.down
            for host in self.hosts
        )
        return work / alive


class Told(Silent):
    """Keeps the notes of a run."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.lines = 0

    def note(self, text):
        self.notes.append(text)

    def begin(self, what, share, left):
        self.lines += 1


def write_suite(folder: Path, seeds: int, measure="time", rounds=1, methods=METHODS) -> Path:
    path = folder / "simulated.yaml"
    path.write_text(
        SUITE.format(
            methods=", ".join(methods),
            seeds=list(range(seeds)),
            measure=measure,
            rounds=rounds,
        )
    )
    return path


def present(host: SimulatedHost) -> Present:
    name = f"board{host.number}"
    return Present(FleetBoard(Address(name, f"pi@{name}")), host, dict(SOFTWARE))


def simulate(
    suite, out, boards: int, rules: Rules, cooling=AT_ONCE, profiles=("generic",), **wanted
):
    """Run the suite on so many boards of each profile; what is found, and the records of each run."""
    numbers = [(n, profile) for n in range(boards) for profile in profiles]
    hosts = [SimulatedHost(n, rules, profile) for n, (_, profile) in enumerate(numbers)]
    there = [present(host) for host in hosts]
    asked = Wanted("bench fleet run simulated", **wanted)
    told, stop = Told(), threading.Event()
    of_suite = requests(lambda host: load_suite(str(suite), None), (), there, asked)
    began = time.monotonic()
    with running([(of_suite, out)], there, cooling, asked, told, stop) as campaigns:
        wall = time.monotonic() - began
        found = Simulated(campaigns, hosts, began, wall, told.notes)
        return found, [list(each.store.records(each.run.id)) for each in campaigns]
