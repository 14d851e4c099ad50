"""This machine as a host."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ondevice_bench.hardware.allocator_libraries import missing_allocators
from ondevice_bench.hardware.doctor import examine
from ondevice_bench.hardware.finding import DoctorFinding
from ondevice_bench.hardware.probe import Machine, caches_kib, probe
from ondevice_bench.hardware.profile import Profile, load_profile, recognise
from ondevice_bench.hardware.state import (
    HardwareState,
    allowed_cpus,
    memory_limit,
    read_state,
    throttle_bits,
)
from ondevice_bench.protocol.job import Job, Reply
from ondevice_bench.protocol.questions import Questions
from ondevice_bench.running.hosts.host import (
    Host,
    NoAnswer,
    Outcome,
    Question,
    Tick,
    lowest_cap,
    no_tick,
)
from ondevice_bench.running.hosts.interpreter import OURS, Interpreter, worker_environment
from ondevice_bench.running.hosts.launch import PassLauncher, SpawnLauncher, ZygoteLauncher
from ondevice_bench.running.hosts.turns import PipedTurns, piped_turns


class LocalHost(Host):
    """This machine; a zygote starts when a process is first forked under its allocator."""

    def __init__(
        self,
        machine: Machine,
        profile: Profile,
        memory_cap: int | None = None,
        interpreter: Interpreter = OURS,
    ) -> None:
        allowed = allowed_cpus()
        self.machine = machine
        self.profile = profile
        self.cpus = profile.cpus_on(allowed)
        self.threads = profile.threads_on(machine, allowed)
        self.memory_cap = lowest_cap(profile, memory_cap)
        self.memory_limit = memory_limit()
        self.missing_allocators = missing_allocators()
        self._interpreter = interpreter
        self._launchers: dict[str, PassLauncher] = {}  # by allocator
        self._throttled_by = profile.declared.throttling or ""
        self._throttling = throttle_bits(self._throttled_by)

    def findings(self) -> tuple[DoctorFinding, ...]:
        """What disturbs measurements here, as far as it shows at once."""
        return examine(self.profile, self.state(), self.threads)

    def state(self) -> HardwareState:
        """The load, memory, clock, temperature and throttling now."""
        state = read_state(throttled_by=self._throttled_by)
        return replace(state, throttle_bits=self._throttling())

    def caches_kib(self) -> Mapping[int, int]:
        """The data caches of a processor, by level."""
        return caches_kib()

    def software(self) -> Mapping[str, Any]:
        """What workers compute with; HostError if none can start."""
        preload = os.environ.get("LD_PRELOAD")
        preloaded = {"preload": preload} if preload else {}
        return {**self._launcher("").zygote.hello["software"], **preloaded}

    def put(self, path: Path) -> str:
        """A worker finds the file where it lies."""
        return os.path.abspath(path)

    def run(self, job: Job, timeout: float, tick: Tick = no_tick) -> Outcome:
        """Run the job in a process of its own, under the allocator of its cell."""
        allocator = job.cell.allocator
        if allocator in self.missing_allocators:
            return Outcome(Reply("failed", self.missing_allocators[allocator]), "none", 0.0)
        return self._launcher(allocator).launch(job, timeout, tick)

    def ask(
        self, question: Question, requests: Sequence[Mapping[str, Any]], timeout: float
    ) -> list[dict[str, Any]]:
        """Have a new process answer each request; NoAnswer if it does not."""
        questions = Questions(question, requests, self.cpus)
        outcome = self._launcher("").launch(questions, timeout, no_tick)
        if outcome.reply.status != "ok":
            said = [] if outcome.reply.traceback else outcome.output.strip().splitlines()[-1:]
            raise NoAnswer(f"gave no answer: {': '.join([outcome.reply.reason, *said])}")
        return _answers(outcome.reply, len(requests))

    def renew(self) -> None:
        """Fork later workers from new zygotes."""
        for launcher in self._launchers.values():
            launcher.renew()

    @contextmanager
    def take_turns(self, steps: int) -> Iterator[PipedTurns]:
        """Let two workers of this machine take this number of steps each, in turn."""
        with piped_turns(steps) as turns:
            yield turns

    def close(self) -> None:
        """End the zygotes, and with them any worker."""
        for launcher in self._launchers.values():
            launcher.close()

    def _variables(self, allocator: str) -> dict[str, str]:
        python = self._interpreter
        return worker_environment(self.threads, python.sources, allocator, python.hidden)

    def _launcher(self, allocator: str) -> PassLauncher:
        """The launcher of workers under this allocator: a zygote must have it, too."""
        if allocator not in self._launchers:
            program = self._interpreter.program
            variables = self._variables(allocator)
            self._launchers[allocator] = PassLauncher(
                SpawnLauncher(variables, program), lambda: ZygoteLauncher(variables, program)
            )
        return self._launchers[allocator]


def _answers(reply: Reply, count: int) -> list[dict[str, Any]]:
    """The answers in the reply; NoAnswer if the user's code has written something else."""
    answers = reply.result.details.get("answers")
    if not isinstance(answers, list) or [type(each) for each in answers] != [dict] * count:
        raise NoAnswer(f"answered what cannot be read: {str(answers)[:60]}")
    return answers


def planning_host(hardware: str | None) -> LocalHost:
    """This machine, under that profile if it matches, to plan for that board."""
    is_here = hardware is None or load_profile(hardware).recognise.matches(probe())
    return local_host(hardware if is_here else None)


def local_host(
    hardware: str | None = None,
    memory_cap: int | None = None,
    interpreter: Interpreter = OURS,
) -> LocalHost:
    """This machine under the profile of that name, or under the one that recognises it."""
    machine = probe()
    return LocalHost(machine, recognise(machine, hardware), memory_cap, interpreter)
