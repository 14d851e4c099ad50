"""Sets up a board: installs the running `bench` there, in an environment of its own."""

import hashlib
import json
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import Field, ValidationError

from ondevice_bench import units
from ondevice_bench.declare.schema import StrictSchema
from ondevice_bench.errors import BadInput
from ondevice_bench.remote import answers, installer
from ondevice_bench.remote.address import Address
from ondevice_bench.remote.host import this_desk
from ondevice_bench.remote.link import Link, LinkLost
from ondevice_bench.remote.ssh import ssh_words, started, why_refused
from ondevice_bench.remote.version import torch_version
from ondevice_bench.remote.wheel import wheel
from ondevice_bench.running.hosts.host import Tell

PYTHON = "python3"
STEP_SECONDS = 120.0
INSTALL_SECONDS = 2 * installer.PIP_SECONDS + STEP_SECONDS
_START_SECONDS = 60.0
_OLDEST = ".".join(map(str, installer.OLDEST))
_LOADER = (  # a Python before 3.7 cannot read the installer
    f"import sys; sys.version_info < (3, 7) and sys.exit('bench needs Python {_OLDEST} there'); "
    "text = sys.stdin.buffer.read(int(sys.argv[1])); "
    "exec(compile(text, 'bench board setup', 'exec'), {'__name__': '__main__'})"
)
_PART = 1 << 20
_Text = Annotated[str, Field(max_length=300)]
_Bytes = Annotated[int, Field(ge=0, lt=1 << 63)]
_Schema = TypeVar("_Schema", bound=StrictSchema)


class _Facts(StrictSchema):
    python: _Text
    arch: _Text
    memory: _Bytes
    free: _Bytes


class _Present(StrictSchema):
    wheels: dict[_Text, _Text]


class _Removed(StrictSchema):
    removed: bool


@dataclass(frozen=True)
class _Wheel:
    name: str
    content: bytes | Path

    def read(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()


def set_up(address: Address, wheelhouse: Path | None, python: str | None, tell: Tell) -> None:
    """Make the environment on the board and install there; BadInput if it cannot have one."""
    ours = _Wheel(*wheel())
    wheels = [ours, *_wheels_of(wheelhouse)]
    with Installer(address, python or PYTHON) as there:
        looked = there.ask("look", desk=this_desk(), least_disk=installer.LEAST_DISK)
        facts = _checked(address, _Facts, looked)
        tell(
            f"Python {facts.python}, {units.mib(facts.memory)} of memory, "
            f"{units.mib(facts.free)} of disk left"
        )
        prepared = there.ask("prepare", wanted=[each.name for each in wheels])
        present = _checked(address, _Present, prepared)
        for each in wheels:
            there.send(each, present.wheels)
        tell("installing, which may take minutes …")
        there.ask(
            "install",
            INSTALL_SECONDS,
            offline=wheelhouse is not None,
            wheel=ours.name,
            requirements=[*_pinned(facts.arch), *_for_images(wheelhouse, wheels)],
        )


def remove(address: Address, python: str | None = None) -> bool:
    """Remove all our files on the board. True if there were any."""
    with Installer(address, python or PYTHON) as there:
        return _checked(address, _Removed, there.ask("remove", desk=this_desk())).removed


def _wheels_of(folder: Path | None) -> list[_Wheel]:
    if folder is None:
        return []
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder")
    found = [_Wheel(path.name, path) for path in sorted(folder.glob("*.whl"))]
    if not found:
        raise BadInput(f"{folder}: has no wheels: fill it with `pip download` (docs/boards.md)")
    return found


def _pinned(arch: str) -> list[str]:
    """A board of the desk's architecture gets the desk's torch."""
    release = torch_version().partition("+")[0]
    return [f"torch=={release}"] if release and arch == platform.machine() else []


def _for_images(wheelhouse: Path | None, wheels: Sequence[_Wheel]) -> list[str]:
    """What reads images: the pass `loading` does so on the board. From wheels, if it is there."""
    has_it = any(each.name.lower().startswith("pillow-") for each in wheels)
    return ["pillow>=11"] if wheelhouse is None or has_it else []


class Installer:
    """The process on the board that installs."""

    def __init__(self, address: Address, python: str) -> None:
        self._address = address
        self._python = python
        text = Path(installer.__file__).read_bytes()
        self._link: Link | None = None
        try:
            words = [python, "-c", _LOADER, str(len(text))]
            self._link = started(ssh_words(address, words))
            self._link.send_bytes(text)
            self._wait_until_ready(self._link)
        except LinkLost as lost:
            raise BadInput(f"{address.name}: {self._why(lost)}") from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        if self._link is not None:
            self._link.close()

    def ask(self, step: str, seconds: float = STEP_SECONDS, **values: Any) -> dict[str, Any]:
        """Let the board do a step; BadInput with its reason if it cannot."""
        return self._exchange({"do": step, "folder": self._address.folder, **values}, b"", seconds)

    def send(self, each: _Wheel, present: Mapping[str, str]) -> None:
        """Send a wheel, unless the board has it."""
        content = each.read()
        digest = hashlib.sha256(content).hexdigest()
        if present.get(each.name) != digest:
            question = {"do": "receive", "folder": self._address.folder, "name": each.name}
            self._exchange({**question, "size": len(content), "sha256": digest}, content)

    def _exchange(
        self, question: Mapping[str, Any], content: bytes, seconds: float = STEP_SECONDS
    ) -> dict[str, Any]:
        assert self._link is not None
        try:
            self._link.send_bytes(f"{json.dumps(question)}\n".encode())
            for start in range(0, len(content), _PART):
                self._link.send_bytes(content[start : start + _PART])
            answer = _parsed(self._link.read_line(seconds))
        except LinkLost as lost:
            raise BadInput(f"{self._address.name}: {self._why(lost)}") from None
        if "error" in answer:
            raise BadInput(f"{self._address.name}: {answer['error']}")
        return answer

    def _wait_until_ready(self, link: Link) -> None:
        """Leave out what a shell prints before."""
        deadline = time.monotonic() + _START_SECONDS
        for _ in range(1000):
            line = link.read_line(max(0.0, deadline - time.monotonic()))
            if line == b'{"ready": true}':
                return
            if not line and not link.is_open:
                break
        raise LinkLost(link.how_it_ended() if not link.is_open else "its shell prints without end")

    def _why(self, lost: LinkLost) -> str:
        """Why the board cannot be set up, in one line."""
        status = None if self._link is None else self._link.status
        if status in (126, 127):
            return (
                f"has no {self._python}: install Python {_OLDEST} or newer there, or name one with "
                "--python"
            )
        printed = "" if self._link is None else self._link.printed
        if "No module named" in printed:  # as of a package with a small part of Python only
            return f"its Python has no whole standard library ({lost}): install python3-full there"
        return why_refused(self._address, status, printed) or str(lost)


def _checked(address: Address, schema: type[_Schema], answer: dict[str, Any]) -> _Schema:
    """The answer to a step; BadInput if its values are none that our installer gives."""
    try:
        return schema.model_validate(answer)
    except ValidationError as error:
        said = f"what answers is no installer of bench: {answers.problem(error)}"
        raise BadInput(f"{address.name}: {said}") from None


def _parsed(line: bytes) -> dict[str, Any]:
    """The answer in a line."""
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise LinkLost(f"what answers is not the installer of bench: {line[:60]!r}")
    return answer
