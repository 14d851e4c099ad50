"""A board on the network as a host.

Every question is asked again if the connection is lost meanwhile, so nothing is lost. A job whose
reply was lost is measured again, by new processes. The far side of a lost connection is killed
before that, by itself or by its successor.
"""

import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar

import ondevice_bench
from ondevice_bench import protocol
from ondevice_bench.errors import BadInput
from ondevice_bench.hardware.finding import DoctorFinding
from ondevice_bench.hardware.profile import Profile, recognise
from ondevice_bench.hardware.state import HardwareState
from ondevice_bench.protocol import frames
from ondevice_bench.protocol.frames import Frame
from ondevice_bench.protocol.job import Job, Reply
from ondevice_bench.remote import answers
from ondevice_bench.remote.answers import BadAnswer, Hello
from ondevice_bench.remote.exchange import Refused, exchange, next_answer
from ondevice_bench.remote.far_side import profile_to_dict
from ondevice_bench.remote.link import Link, LinkLost
from ondevice_bench.remote.outbox import Outbox
from ondevice_bench.remote.received_files import NOT_WRITTEN
from ondevice_bench.remote.transfer import fetch, made_there, send_files
from ondevice_bench.remote.version import code_digest, why_no_torch
from ondevice_bench.running.hosts.host import (
    Host,
    HostError,
    NoAnswer,
    Outcome,
    Question,
    Tick,
    TurnTaking,
    lowest_cap,
    no_tick,
)

T = TypeVar("T")
HELLO_SECONDS = 60.0  # for a slow card to read Python
LAUNCH_SECONDS = 330.0  # for processes to start and to end, besides what a job may take
ATTEMPTS = 5  # of one question whose connection is lost each time
RECONNECT_SECONDS = 600.0  # for a board to come back, as after a reboot
LONGEST_PAUSE = 30.0
CLOCK_SECONDS = 60.0  # a difference of clocks that is worth a line


class BoardLost(BadInput):
    """The board does not come back. What was measured is stored."""


class BoardWay(Protocol):
    """How to reach a board."""

    @property
    def name(self) -> str:
        """What the user calls the board."""

    def link(self) -> Link:
        """Start the process that leads there; LinkLost if it cannot start."""

    def refusal(self, status: int | None, printed: str) -> str:
        """Why there is no use in another attempt, if the process ended like this; else empty."""


class SshHost(Host):
    """A board that another process reaches."""

    patience = RECONNECT_SECONDS  # how long it waits for the board to come back
    wait: Callable[[float], object] = staticmethod(time.sleep)  # between two attempts

    def __init__(
        self,
        way: BoardWay,
        hardware: str | None = None,
        memory_cap: int | None = None,
    ) -> None:
        self.name = way.name
        self._way = way
        self._outbox = Outbox()
        self._sent: set[tuple[str, str]] = set()  # place and hash, in this connection
        self._key = secrets.token_hex(16)
        self._link: Link | None = None
        self._software: Mapping[str, Any] = {}
        try:
            link, self._hello = self._greeted()
            self.machine = self._hello.machine
            self.unit = self._hello.unit
            self.profile: Profile = recognise(self.machine, hardware)
            self.cpus = self.profile.cpus_on(self._hello.allowed)
            self.threads = self.profile.threads_on(self.machine, self._hello.allowed)
            self.memory_cap = lowest_cap(self.profile, memory_cap)
            self.memory_limit = self._hello.memory_limit
            self.missing_allocators = self._hello.missing_allocators
            self._open(link)
        except LinkLost as lost:
            self.close()
            raise BadInput(f"{self.name}: {lost}") from None
        except BaseException:
            self.close()
            raise

    def findings(self) -> tuple[DoctorFinding, ...]:
        """What disturbs measurements there, as far as it shows at once."""
        return (*self._simple("findings", answers.findings), *self._clock())

    def state(self) -> HardwareState:
        """The load, memory, clock and temperature now."""
        return self._simple("state", answers.state)

    def caches_kib(self) -> Mapping[int, int]:
        """The data caches of a processor there, by level."""
        return self._hello.caches_kib

    def software(self) -> Mapping[str, Any]:
        """What workers compute with; HostError if none can start."""

        def asked(link: Link) -> Mapping[str, Any]:
            return answers.software(exchange(link, {"do": "software"}, LAUNCH_SECONDS))

        try:
            self._software = self._retrying(asked)
        except Refused as error:
            raise HostError(str(error)) from None
        return self._software

    def put(self, path: Path) -> str:
        """Name the place of the file or folder there; it travels when a question names it."""
        found = Path(os.path.abspath(path))
        return self._outbox.folder(found) if found.is_dir() else self._outbox.file(found)

    def code(self, implementation: str) -> str:
        """Name the place of the user's file there."""
        return self._outbox.code(implementation)

    def run(self, job: Job, timeout: float, tick: Tick = no_tick) -> Outcome:
        """Run the job there. Too many lost connections are a failure of this job."""
        if job.power is not None:  # its command runs there, and no folder of profiles is there
            job = replace(job, power={**job.power, "folder": None})
        text = job.to_text()
        question = {"do": "run", "job": text, "timeout": timeout}

        def ran(link: Link) -> Outcome:
            self._send_files(link, text)
            frame = exchange(link, question, timeout + LAUNCH_SECONDS, tick)
            return answers.outcome(frame, self._outbox.told(_text(frame)), job.pass_name)

        try:
            return self._retrying(ran)
        except Refused as error:
            return Outcome(Reply("failed", reason=str(error)), "none", 0.0, is_lost=True)
        except _LostTooOften:  # ssh has its own words, which may have the address of the board
            reason = f"not measured: the connection was lost {ATTEMPTS} times"
            return Outcome(Reply("failed", reason=reason), "none", 0.0, is_lost=True)

    def ask(
        self, question: Question, requests: Sequence[Mapping[str, Any]], timeout: float
    ) -> list[dict[str, Any]]:
        """Have a new process there answer each request; NoAnswer if it does not.

        Too many lost connections say nothing about the user's code: BoardLost.
        """
        made = [Path(each["path"]) if "path" in each else None for each in requests]
        there = [
            {**each, **({"path": f"{self._outbox.root}/{made_there(path)}"} if path else {})}
            for each, path in zip(requests, made, strict=True)
        ]
        words = {"do": "ask", "question": question, "requests": there, "timeout": timeout}

        def asked(link: Link) -> list[dict[str, Any]]:
            self._send_files(link, json.dumps(there))
            frame = exchange(link, words, timeout + LAUNCH_SECONDS)
            found = answers.answers(question, self._outbox.told(_text(frame)), requests)
            for answer, path in zip(found, made, strict=True):
                if path and "error" not in answer:
                    fetch(link, made_there(path), path)
            return found

        try:
            return self._retrying(asked)
        except Refused as error:
            raise NoAnswer(str(error)) from None

    def renew(self) -> None:
        """Start later workers from a new process."""
        self._simple("renew", lambda _: None)

    def take_turns(self, steps: int) -> AbstractContextManager[TurnTaking]:
        """Two refs in turn are measured on the machine itself."""
        raise BadInput(f"{self.name}: workers of a board on the network cannot take turns")

    def close(self) -> None:
        """End the far side, with all its processes and files."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _clock(self) -> Iterator[DoctorFinding]:
        if abs(self._clock_difference) > CLOCK_SECONDS:
            yield DoctorFinding(
                "clock",
                "warning",
                f"the board's clock differs by {self._clock_difference:+.0f} s from this one",
                "records have the time of this machine, so no number is wrong",
                "set the clock there: `sudo timedatectl set-ntp true`",
            )

    def _simple(self, question: str, read: Callable[[Frame], T]) -> T:
        """The answer to a question that no board may refuse."""
        try:
            return self._retrying(lambda link: read(exchange(link, {"do": question})))
        except Refused as error:
            raise BoardLost(f"{self.name}: cannot continue: {error}") from None

    def _retrying(self, action: Callable[[Link], T]) -> T:
        """The result of the action. If the connection is lost, it is repeated on a new one."""
        for _ in range(ATTEMPTS):
            link = self._link or self._reconnected()
            try:
                return action(link)
            except LinkLost as error:
                problem = str(error)
                self._drop(problem)
        raise _LostTooOften(f"the connection was lost {ATTEMPTS} times: {problem}")

    def _drop(self, problem: str) -> None:
        link, self._link = self._link, None
        if link is not None:
            self.tell(f"{self.name}: {problem}; connecting again …")
            link.kill()

    def _reconnected(self) -> Link:
        """The board again, which may need some time; BoardLost if it does not come back."""
        deadline, pause, problem = time.monotonic() + self.patience, 1.0, ""
        while time.monotonic() < deadline:
            try:
                return self._same_again()
            except LinkLost as lost:
                problem = str(lost)
                self.close()
                self.wait(min(pause, max(0.0, deadline - time.monotonic())))
                pause = min(LONGEST_PAUSE, 2 * pause)
            except BadInput as error:
                self.close()  # no later question may reach what has just been refused
                raise BoardLost(*error.lines) from None
            except BaseException:
                self.close()
                raise
        raise BoardLost(
            f"{self.name}: did not come back within {self.patience:g} s: {problem}; what was "
            "measured is stored, and the same command continues from there (without --fresh)"
        )

    def _same_again(self) -> Link:
        """A new connection to the same machine and software; BadInput if they differ."""
        link, hello = self._greeted()
        if (hello.machine, hello.unit) != (self.machine, self.unit):
            raise BoardLost(f"{self.name}: another machine answers now")
        before = self._hello
        if (hello.allowed, hello.memory_limit) != (before.allowed, before.memory_limit):
            raise BoardLost(
                f"{self.name}: has other processors or another memory limit than before"
            )
        self._open(link)
        return link

    def _greeted(self) -> tuple[Link, Hello]:
        """A connection to a far side of the same versions; BadInput where they differ.

        A refusal by ssh or by the shell there is final for a first connection only: a board that
        starts again may not have mounted its disks.
        """
        link = self._link = self._way.link()
        try:
            link.skip_to_mark(HELLO_SECONDS)
            frame = link.receive(HELLO_SECONDS)
        except LinkLost:
            if why := self._way.refusal(link.status, link.printed):
                raise LinkLost(why) from None
            raise
        theirs, ours = answers.versions(frame), (frames.VERSION, protocol.VERSION)
        if theirs != ours:
            said = ".".join(str(each)[:20] for each in theirs)
            self._refuse(f"speaks protocol {said}, here it is {ours[0]}.{ours[1]}")
        try:
            hello = answers.hello(frame)
        except BadAnswer as error:
            raise BadInput(f"{self.name}: what answers is not bench: {error}") from None
        if hello.code != code_digest():
            self._refuse(
                f"has bench {hello.bench} ({hello.code[:8]}), "
                f"here it is {ondevice_bench.__version__} ({code_digest()[:8]})"
            )
        if why := why_no_torch(hello.torch, hello.machine.arch):
            self._refuse(why)
        self._clock_difference = hello.clock - time.time()
        return link, hello

    def _refuse(self, what: str) -> NoReturn:
        raise BadInput(f"{self.name}: {what}: run `bench board setup {self.name}`")

    def _open(self, link: Link) -> None:
        """Take the board, which answers with its state."""
        self._sent.clear()
        opening = {
            "key": self._key,
            "desk": this_desk(),
            "root": self._outbox.root,
            "profile": profile_to_dict(self.profile),
            "memory_cap": self.memory_cap,
        }
        link.send(opening)
        try:
            answers.state(next_answer(link))
            if self._software:
                now = answers.software(exchange(link, {"do": "software"}, LAUNCH_SECONDS))
                if now != self._software:
                    raise BoardLost(f"{self.name}: has other software now than before")
        except Refused as error:  # as when another desk looks at the board for a moment
            raise LinkLost(str(error)) from None

    def _send_files(self, link: Link, text: str) -> None:
        """Send what the text names. A board that is full begins anew, without earlier files."""
        has_earlier = bool(self._sent)
        try:
            send_files(link, self._outbox.named_in(text), self._sent)
        except Refused as error:
            if has_earlier and NOT_WRITTEN in str(error):
                raise LinkLost(str(error)) from None
            raise


def this_desk() -> str:
    """The name of this desk, for another desk that wants the same board."""
    user = os.environ.get("USER") or os.environ.get("LOGNAME") or f"user {os.getuid()}"
    return f"{user}@{socket.gethostname()} (process {os.getpid()})"


class _LostTooOften(BoardLost):
    """A question was asked several times, and the connection was lost each time."""


def _text(frame: Frame) -> str:
    return frame.content.decode(errors="replace")
