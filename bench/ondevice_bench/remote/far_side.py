"""The measuring side on a board: `python -m ondevice_bench.remote.far_side FOLDER`.

It reads frames from standard input and answers each on what was standard output. Nobody starts it
by hand. It is to its workers what `bench` is on a desk. It ends with its connection, and so does
all that it has started.
"""

import contextlib
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import ondevice_bench
from ondevice_bench import protocol
from ondevice_bench.errors import BadInput
from ondevice_bench.hardware.allocator_libraries import missing_allocators
from ondevice_bench.hardware.probe import Machine, caches_kib, probe, unit
from ondevice_bench.hardware.profile import Profile, ProfileSchema
from ondevice_bench.hardware.state import allowed_cpus, memory_limit
from ondevice_bench.protocol import frames
from ondevice_bench.protocol.frames import CHUNK_BYTES, MARK, BadFrame, Frame, packed, read_frame
from ondevice_bench.protocol.job import Job
from ondevice_bench.remote.in_use import InUse, in_use
from ondevice_bench.remote.outbox import in_json
from ondevice_bench.remote.received_files import NotReceived, ReceivedFiles
from ondevice_bench.remote.version import code_digest, torch_version
from ondevice_bench.running.hosts.host import HostError, NoAnswer
from ondevice_bench.running.hosts.local import LocalHost
from ondevice_bench.running.work_folder import work_folder

# what a desk may ask; each is a method of `Board`
QUESTIONS = ("run", "ask", "put", "fetch", "state", "findings", "software", "renew")
IDLE_SECONDS = 600.0  # without a question this process ends; the desk can connect again
CLEANING_SECONDS = 20.0
_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class Ended(BaseException):
    """The connection ended."""


class Conversation:
    """Frames from the desk, and answers to it. A thread reads, so that the end is seen at once."""

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(1), "wb")
        self._questions = os.fdopen(os.dup(0), "rb")
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(2, 1)  # prints must not mix with answers
        self._read: queue.Queue[Frame] = queue.Queue(4)
        self.failure = ""  # why no frame can be read any more, if the desk did not end it

    def begin(self, hello: Mapping[str, Any]) -> None:
        """Greet the desk, then listen."""
        for number in _SIGNALS:
            signal.signal(number, _stop)
        self._answers.write(MARK)
        self.answer(hello)
        threading.Thread(target=self._listen, daemon=True).start()

    def next(self) -> Frame:
        """The next frame; Ended if there is none."""
        try:
            return self._read.get(timeout=IDLE_SECONDS)
        except queue.Empty:
            _end()

    def answer(self, values: Mapping[str, Any], content: bytes = b"") -> None:
        """Send a frame."""
        try:
            self._answers.write(packed(values, content))
            self._answers.flush()
        except OSError:
            _end()

    def _listen(self) -> None:
        try:
            while True:
                self._read.put(read_frame(self._exactly))
        except (EOFError, OSError):
            pass
        except MemoryError:
            self.failure = "the board has too little memory to read a message of the desk"
        except ValueError as error:
            self.failure = f"the board cannot read the desk: {_reason(error)}"
        os.kill(os.getpid(), signal.SIGTERM)  # interrupts any wait of the main thread
        time.sleep(CLEANING_SECONDS)
        os._exit(1)  # the kernel ends the workers

    def _exactly(self, count: int) -> bytes:
        data = self._questions.read(count)
        if len(data) < count:
            raise EOFError
        return data


def _stop(number: int, _: object) -> NoReturn:
    _end()


def _end() -> NoReturn:
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)  # the rest only cleans up
    raise Ended


class Board:
    """This machine as a host for one desk, and the files that the desk has sent."""

    def __init__(self, host: LocalHost, files: ReceivedFiles, root: str) -> None:
        self._host = host
        self._files = files
        self._root = root  # what stands for the folder of the files in the desk's texts

    def run(self, question: Mapping[str, Any], talk: Conversation) -> None:
        """Run a job in a process of its own."""
        job = Job.from_text(self._here(question["job"]))
        job = replace(job, created_ns=time.monotonic_ns())
        outcome = self._host.run(job, float(question["timeout"]))
        values = {"launch": outcome.launch, "seconds": outcome.seconds, "output": outcome.output}
        talk.answer(values, self._there(outcome.reply.to_text()).encode())

    def ask(self, question: Mapping[str, Any], talk: Conversation) -> None:
        """Have a process answer questions about the user's code."""
        requests = json.loads(self._here(json.dumps(question["requests"])))
        for request in requests:
            if "path" in request:
                Path(request["path"]).parent.mkdir(exist_ok=True)
        answers = self._host.ask(question["question"], requests, float(question["timeout"]))
        talk.answer({}, self._there(json.dumps(answers)).encode())

    def put(self, question: Mapping[str, Any], talk: Conversation) -> None:
        """Receive a file."""
        size = int(question["size"])
        self._files.receive(
            question["place"], size, question["sha256"], lambda: _chunk(talk.next())
        )
        talk.answer({})

    def fetch(self, question: Mapping[str, Any], talk: Conversation) -> None:
        """Send a file that the user's code has written."""
        with self._files.path(question["place"]).open("rb") as file:
            talk.answer({"size": os.fstat(file.fileno()).st_size})
            while chunk := file.read(CHUNK_BYTES):
                talk.answer({}, chunk)

    def state(self, _: Mapping[str, Any], talk: Conversation) -> None:
        """The load, memory, clock and temperature now."""
        talk.answer({"state": self._host.state().to_dict()})

    def findings(self, _: Mapping[str, Any], talk: Conversation) -> None:
        """What disturbs measurements here."""
        talk.answer({"findings": [each.to_dict() for each in self._host.findings()]})

    def software(self, _: Mapping[str, Any], talk: Conversation) -> None:
        """What workers compute with."""
        talk.answer({"software": dict(self._host.software())})

    def renew(self, _: Mapping[str, Any], talk: Conversation) -> None:
        """Start later workers from new processes."""
        self._host.renew()
        talk.answer({})

    def answer_all(self, talk: Conversation) -> None:
        """Answer each question; an error is an answer, too."""
        answers: dict[str, Callable[[Mapping[str, Any], Conversation], None]] = {
            name: getattr(self, name) for name in QUESTIONS
        }
        while True:
            frame = talk.next()
            if "do" not in frame.values:
                continue  # the rest of a file that was refused
            try:
                answers[frame.values["do"]](frame.values, talk)
            except (NotReceived, HostError, NoAnswer, BadInput, BadFrame, OSError) as error:
                talk.answer({"error": _reason(error)})
            except (LookupError, TypeError, ValueError) as error:
                talk.answer({"error": f"the question cannot be read: {_reason(error)}"})

    def _here(self, text: str) -> str:
        return text.replace(self._root, in_json(str(self._files.folder)))

    def _there(self, text: str) -> str:
        return text.replace(in_json(str(self._files.folder)), self._root)


def _chunk(frame: Frame) -> bytes:
    if not frame.content:
        raise ValueError("a part of a file has no bytes")
    return frame.content


def hello(machine: Machine) -> dict[str, Any]:
    """The greeting: what a desk must know about this machine before it plans."""
    return {
        "frames": frames.VERSION,
        "protocol": protocol.VERSION,
        "bench": ondevice_bench.__version__,
        "code": code_digest(),
        "torch": torch_version(),
        "python": sys.version.split()[0],
        "machine": machine.to_dict(),
        "unit": unit(),
        "allowed": list(allowed_cpus()),
        "caches_kib": {str(level): size for level, size in caches_kib().items()},
        "missing_allocators": dict(missing_allocators()),
        "memory_limit": memory_limit(),
        "clock": time.time(),
    }


def profile_to_dict(profile: Profile) -> dict[str, Any]:
    """A profile as plain values, with all that it inherits."""
    declared = profile.declared.model_dump(mode="json", by_alias=True)
    return {"name": profile.name, "declared": declared, "lineage": list(profile.lineage)}


def _profile(values: Mapping[str, Any]) -> Profile:
    declared = dict(values["declared"])
    if declared.get("memory_cap") is not None:  # a schema reads a size as a text
        declared["memory_cap"] = f"{declared['memory_cap'] / 1024:.10f}K"
    return Profile(
        name=values["name"],
        path=Path(values["name"]),
        text="",
        declared=ProfileSchema.model_validate_json(json.dumps(declared)),
        lineage=tuple(values["lineage"]),
    )


def serve(place: Path, talk: Conversation) -> None:
    """Answer one desk until its connection ends; `place` is the folder of bench on this board."""
    machine = probe()
    talk.begin(hello(machine))
    opening = talk.next().values
    with contextlib.ExitStack() as stack:
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.chmod(place, 0o700)
            stack.enter_context(in_use(place, opening["key"], opening["desk"]))
            folder = stack.enter_context(work_folder("board", place))
            profile = _profile(opening["profile"])
            host = stack.enter_context(LocalHost(machine, profile, opening["memory_cap"]))
        except InUse as error:
            talk.answer({"error": str(error)})
            return
        except (BadInput, OSError) as error:
            talk.answer({"error": f"cannot measure there: {_reason(error)}"})
            return
        board = Board(host, ReceivedFiles(folder / "files"), opening["root"])
        board.state({}, talk)
        board.answer_all(talk)


def _reason(error: Exception) -> str:
    """The text of an error for the desk, on one line."""
    reason = getattr(error, "strerror", None) or str(error)
    return (reason.splitlines() or [type(error).__name__])[0][:500]


def main() -> None:
    """Serve the desk at the other end of the pipe."""
    talk = Conversation()
    with contextlib.suppress(Ended):
        serve(Path(sys.argv[1]), talk)
    if talk.failure:
        sys.stderr.write(f"{talk.failure}\n")  # the desk shows the last line
    sys.stderr.flush()
    os._exit(1 if talk.failure else 0)  # the thread may still wait for a frame


if __name__ == "__main__":
    main()
