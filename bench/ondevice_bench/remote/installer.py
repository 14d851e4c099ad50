"""Runs on a board before `bench` is there: checks its Python, makes the environment, installs.

The desk sends the text of this file to the Python of the board. So it needs the standard library
alone, and an older Python (3.7) must be able to read it and say that it is too old. It reads lines
of JSON, perhaps with bytes behind them, and answers each with a line of JSON.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

OLDEST = (3, 11)
LEAST_MEMORY = 1 << 30  # torch alone takes some hundred MiB
LEAST_DISK = 3 << 30  # torch and what it needs, unpacked
MARKER = ".bench-environment"  # only a folder with this file is ever removed
PIP_SECONDS = 3600
_PART = 1 << 20
# in what pip prints
_TRACEBACK, _BROKEN = "ERROR: Exception:", "connection broken by "


class Stop(Exception):
    """The board cannot have bench; the text says why."""


def look(request: dict[str, Any]) -> dict[str, Any]:
    """What the board has: its Python, memory and disk. Stop if that is too little."""
    if sys.version_info[:2] < OLDEST:
        found, needed = (".".join(map(str, v)) for v in (sys.version_info[:2], OLDEST))
        raise Stop(
            f"its Python is {found}, bench needs {needed} or newer: install one there, and name it "
            "with --python"
        )
    if sys.maxsize < 1 << 32:  # a kernel of 64 bits may run such a system: a Pi's usually does
        raise Stop(
            "its Python has 32 bits, torch needs 64: install a 64-bit system there, such as "
            "Raspberry Pi OS (64-bit)"
        )
    memory = _memory_bytes()
    if memory < LEAST_MEMORY * 0.9:  # the kernel keeps a part of it
        raise Stop(f"it has {memory >> 20} MiB of memory: torch needs 1 GiB")
    folder = os.path.abspath(request["folder"])
    _take(folder, request["desk"])
    free = shutil.disk_usage(_existing(folder)).free
    has_environment = os.path.exists(os.path.join(folder, "env", "bin", "python"))
    if free < request["least_disk"] and not has_environment:
        raise Stop(f"{_existing(folder)} has {free >> 20} MiB left: bench and torch need 3 GiB")
    _require_venv()
    python = ".".join(map(str, sys.version_info[:3]))
    return {"python": python, "arch": os.uname().machine, "memory": memory, "free": free}


def prepare(request: dict[str, Any]) -> dict[str, Any]:
    """Make the folder, which only this user can read, and drop the wheels of an earlier time."""
    folder = os.path.abspath(request["folder"])
    wheels, marker = os.path.join(folder, "wheels"), os.path.join(folder, MARKER)
    if _is_of_others(folder):
        raise Stop(f"{folder} exists and is not a folder of bench: choose another in hosts.yaml")
    os.makedirs(wheels, mode=0o700, exist_ok=True)
    os.chmod(folder, 0o700)
    with open(marker, "w", encoding="utf-8") as file:
        file.write("made by `bench board setup`, removed by `bench board remove`\n")
    for name in {*os.listdir(wheels)} - {*request["wanted"]}:
        os.unlink(os.path.join(wheels, name))
    return {"wheels": {name: _digest(os.path.join(wheels, name)) for name in os.listdir(wheels)}}


def receive(request: dict[str, Any]) -> dict[str, Any]:
    """Write one wheel. All its bytes are read, whatever fails."""
    name, left = request["name"], request["size"]
    path = os.path.join(os.path.abspath(request["folder"]), "wheels", os.path.basename(name))
    problem = ""
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open(f"{path}.part", "wb", buffering=0))
        except OSError as error:
            file, problem = None, f"{name} cannot be written: {error.strerror}"
        while left > 0:
            part = sys.stdin.buffer.read(min(left, _PART))
            if not part:
                raise Stop("the connection ended")
            left -= len(part)
            try:
                if file is not None and not problem:
                    file.write(part)
            except OSError as error:
                problem = f"{name} cannot be written: {error.strerror}"
    if not problem and _digest(f"{path}.part") != request["sha256"]:
        problem = f"{name} came with other bytes"
    if problem:
        raise Stop(problem)
    os.replace(f"{path}.part", path)
    return {}


def install(request: dict[str, Any]) -> dict[str, Any]:
    """Make the environment and let pip install the wheel, from the network or from wheels."""
    folder = os.path.abspath(request["folder"])
    environment, wheels = os.path.join(folder, "env"), os.path.join(folder, "wheels")
    python = os.path.join(environment, "bin", "python")
    if not _has_pip(python):  # pip comes last
        _run([sys.executable, "-m", "venv", "--clear", environment], "the environment")
    words = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "-q"]
    if request["offline"]:
        words += ["--no-index", "--find-links", wheels]
    wheel = os.path.join(wheels, request["wheel"])
    _run([*words, wheel, *request["requirements"]], "pip")
    # other code may have the same version: it replaces what is there, but not what it needs
    _run([*words, "--force-reinstall", "--no-deps", wheel], "pip")
    return {}


def remove(request: dict[str, Any]) -> dict[str, Any]:
    """Remove the folder, if it is one of bench."""
    folder = os.path.abspath(request["folder"])
    if not os.path.isdir(folder):
        return {"removed": False}
    if _is_of_others(folder):
        raise Stop(f"{folder} was not made by `bench board setup`: remove it by hand")
    _take(folder, request["desk"])
    for name in {*os.listdir(folder)} - {MARKER}:
        path = os.path.join(folder, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    shutil.rmtree(folder)  # the marker is last: what is left after a stop can be removed later
    return {"removed": True}


def _has_pip(python: str) -> bool:
    """Whether the environment is whole. The Python behind it may be gone, or a newer one."""
    words, nowhere = [python, "-I", "-c", "import pip"], subprocess.DEVNULL
    try:
        return not subprocess.call(words, stdin=nowhere, stdout=nowhere, stderr=nowhere)
    except OSError:
        return False


def _is_of_others(folder: str) -> bool:
    """Whether there is a folder with files, and `board setup` has not made it."""
    if not os.path.isdir(folder) or os.path.exists(os.path.join(folder, MARKER)):
        return False
    return bool({*os.listdir(folder)} - {"in-use"})


def _take(folder: str, desk: str) -> None:
    """Keep others from measuring meanwhile; the kernel releases the lock with this process."""
    path = os.path.join(folder, "in-use")
    if not os.path.exists(path):
        return
    lock = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lines = os.read(lock, 500).decode(errors="replace").splitlines()
        raise Stop(f"{[*lines[2:], 'another desk'][0]} uses this board now") from None
    os.ftruncate(lock, 0)
    os.write(lock, f"0\n\n{desk}\n".encode(errors="replace")[:500])


def _memory_bytes() -> int:
    with open("/proc/meminfo", encoding="utf-8") as file:
        sizes = [line.split()[1] for line in file if line.startswith("MemTotal:")]
    return int(sizes[0]) * 1024


def _existing(folder: str) -> str:
    """The folder, or the nearest one above it that exists."""
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder


def _require_venv() -> None:
    try:
        import ensurepip  # noqa: F401  # is it there?
        import venv  # noqa: F401  # the same
    except ImportError:
        reason = "its Python makes no environments: `sudo apt-get install python3-venv` there"
        raise Stop(reason) from None


def _digest(path: str) -> str:
    found = hashlib.sha256()
    with open(path, "rb") as file:
        for part in iter(lambda: file.read(_PART), b""):
            found.update(part)
    return found.hexdigest()


def _run(words: list[str], what: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if "--no-index" in words:  # other settings of pip may name other wheels
        environment = {k: v for k, v in environment.items() if not k.startswith("PIP_")}
        environment["PIP_CONFIG_FILE"] = os.devnull
    with subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            printed = _printed(process, what)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode != 0:
        lines = [line.strip() for line in printed.decode(errors="replace").splitlines()]
        raise Stop(f"{what}: {_why([*filter(None, lines)], process.returncode)}")


def _why(lines: list[str], status: int) -> str:
    """Why a process failed, by what it printed: an error, and the network's fault behind it."""
    if status == -signal.SIGKILL:
        return "the system has killed it: perhaps the memory ran out"
    if _TRACEBACK in lines:  # an error that pip does not know, such as a download that is too slow
        return lines[-1]
    errors = [line for line in lines if line.startswith("ERROR")]
    # pip goes on without a package index that it cannot reach, and then finds no version
    faults = [line.partition(_BROKEN)[2] for line in lines if _BROKEN in line]
    return "; before: ".join([*errors, *lines, "it failed"][:1] + faults[-1:])


def _printed(process: subprocess.Popen[bytes], what: str) -> bytes:
    """What the process prints until it ends; Stop if that is late, or the desk is gone."""
    deadline = time.monotonic() + PIP_SECONDS
    while True:
        try:
            return process.communicate(timeout=1)[0]
        except subprocess.TimeoutExpired:
            if select.select([sys.stdin], [], [], 0)[0]:  # the end: a desk that waits is silent
                raise Stop("the connection ended") from None
            if time.monotonic() > deadline:
                raise Stop(f"{what} did not end within an hour") from None


STEPS = {
    "look": look,
    "prepare": prepare,
    "receive": receive,
    "install": install,
    "remove": remove,
}


def _say(values: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Answer the desk until it says no more."""
    sys.stdout.write("\n")  # a shell may have printed a title, which has no end of line
    _say({"ready": True})
    for line in iter(lambda: sys.stdin.buffer.readline(_PART), b""):
        request = json.loads(line)
        try:
            _say(STEPS[request["do"]](request))
        except Stop as error:
            _say({"error": str(error)[:900]})
        except OSError as error:
            _say({"error": f"{error.filename or request['do']}: {error.strerror}"})


if __name__ == "__main__":
    main()
