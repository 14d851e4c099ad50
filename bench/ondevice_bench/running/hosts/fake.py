"""A host without processes, for tests: a function answers each job."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ondevice_bench.hardware.finding import DoctorFinding
from ondevice_bench.hardware.probe import Machine
from ondevice_bench.hardware.profile import Profile, load_profile
from ondevice_bench.hardware.state import HardwareState
from ondevice_bench.protocol.job import Job, PassResult, Reply
from ondevice_bench.protocol.turns import Turns
from ondevice_bench.running.hosts.host import (
    Host,
    Outcome,
    Question,
    Tick,
    TurnTaking,
    lowest_cap,
    no_tick,
)

MACHINE = Machine(
    arch="x86_64",
    board="fake board",
    cpu="fake processor",
    physical_cores=2,
    logical_cores=2,
    memory_gib=8,
    page_bytes=4096,
    kernel="6",
    libc="glibc 2",
)
SOFTWARE = {"python": "3", "torch": "2", "torch_commit": "0", "torch_blas": "x", "torch_cpu": "y"}


def one_second(job: Job) -> Reply:
    """Answer every job with a step of one second."""
    return Reply("ok", result=PassResult(metrics={"step_seconds": 1.0}))


def no_network(question: Question, request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer every question with the reason why nobody answers it."""
    return {"error": f"this host runs no code, so it answers no {question}"}


class FakeHost(Host):
    """Records its jobs and its questions; `answer` and `reply_to` decide what comes back."""

    def __init__(
        self,
        answer: Callable[[Job], Reply] = one_second,
        reply_to: Callable[[Question, Mapping[str, Any]], dict[str, Any]] = no_network,
        *,
        profile: Profile | None = None,
        machine: Machine = MACHINE,
        memory_cap: int | None = None,
    ) -> None:
        self.machine = machine
        self.profile = load_profile("generic") if profile is None else profile
        allowed = tuple(range(machine.logical_cores))
        self.cpus = self.profile.cpus_on(allowed)
        self.threads = self.profile.threads_on(machine, allowed)
        self.memory_cap = lowest_cap(self.profile, memory_cap)
        self.missing_allocators: Mapping[str, str] = {}
        self.answer = answer
        self.reply_to = reply_to
        self.jobs: list[Job] = []
        self.questions: list[Question] = []
        self.renewals = 0
        self.is_open = True

    def findings(self) -> tuple[DoctorFinding, ...]:
        """Nothing disturbs a host without processes."""
        return ()

    def state(self) -> HardwareState:
        """Nothing changes here."""
        return HardwareState(0.0, self.machine.memory_gib << 30, 0, None, None)

    def software(self) -> Mapping[str, Any]:
        """Versions that nobody has."""
        return SOFTWARE

    def put(self, path: Path) -> str:
        """Name the file; nobody reads it."""
        return f"/fake/{path.name}"

    def run(self, job: Job, timeout: float, tick: Tick = no_tick) -> Outcome:
        """Record the job and answer it."""
        tick()
        self.jobs.append(job)
        return Outcome(self.answer(job), "fake", 0.5, "printed")

    def ask(
        self, question: Question, requests: Sequence[Mapping[str, Any]], timeout: float
    ) -> list[dict[str, Any]]:
        """Record the question and answer each request."""
        self.questions.append(question)
        return [self.reply_to(question, request) for request in requests]

    def renew(self) -> None:
        """Count how often a new process was wanted."""
        self.renewals += 1

    @contextmanager
    def take_turns(self, steps: int) -> Iterator[TurnTaking]:
        """Run one worker after the other."""
        yield _OneAfterTheOther(steps)

    def close(self) -> None:
        """Note that nobody needs the host any more."""
        self.is_open = False


class _OneAfterTheOther(TurnTaking):
    def __init__(self, steps: int) -> None:
        self.parts = Turns("one", "other", True, steps), Turns("other", "one", False, steps)

    def run(
        self, one: Callable[[], Outcome], other: Callable[[Tick], Outcome]
    ) -> tuple[Outcome, Outcome]:
        return one(), other(no_tick)
