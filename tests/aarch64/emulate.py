"""A run on aarch64 without a board: Debian's arm64 Python under qemu, beside this machine's own.

Builds a root of Debian packages for arm64, puts the wheel and its requirements into it, runs a tiny
suite there and here, carries the runs over in a bundle, and compares: exact figures that do not
depend on kernels must be equal to the last byte. Then it reaches the emulated Python by ssh, as a
board: the same suite with `--on`, and `bench board validate`. Times and memory of the emulation must
be shown nowhere. Needs root, debootstrap, qemu-user-static, busybox-static and openssh-server
(Debian's names).

    tox -e aarch64 [-- --keep FOLDER]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
RELEASE, PYTHON = "bookworm", "3.11"
QEMU, BUSYBOX = Path("/usr/bin/qemu-aarch64-static"), Path("/bin/busybox")
PROFILE = "cortex-a76-emulated"
NEEDS = ("debootstrap", "qemu-aarch64-static", "busybox", "dpkg-deb", "sshd")
PATH = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin"
CHROOT = shutil.which("chroot", path=PATH)
NOTHING_RAN = 6
BOARD = "emulated"
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/root",
    "USER": "root",
    "PYTHONPATH": "/opt/site",
}
# a child of the emulated Python is started by the kernel of this machine: a shell for this machine
WRAPPER = f"""#!/usr/bin/busybox-host sh
exec /usr/bin/qemu-aarch64-static -cpu cortex-a76 -0 /usr/local/bin/python /usr/bin/python{PYTHON} "$@"
"""
WHEELS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_26", "manylinux_2_24", "manylinux2014")
MOUNTED = ("proc", "dev", "sys")


def main() -> int:
    """Build, run, compare; 6 where the machine cannot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, help="build the root here, and take what is there")
    parser.add_argument("--only-ssh", action="store_true", help="leave out what needs no ssh")
    said = parser.parse_args()
    missing = [name for name in NEEDS if shutil.which(name, path=PATH) is None]
    if os.geteuid() != 0 or missing:
        needed = f"needs {', '.join(missing)}" if missing else "needs root, to enter another root"
        print(f"aarch64: not run: {needed}", file=sys.stderr)
        return NOTHING_RAN
    with tempfile.TemporaryDirectory(prefix="bench-aarch64-") as name:
        folder = said.keep or Path(name)
        root = _root(folder)
        _install(root)
        work = _workplace(root / "work")
        here = _workplace(folder / "here")
        _bench(here, "run", "tiny", "-q")
        with _mounted(root):
            if not said.only_ssh:
                _emulated(root, "run", "tiny", "--hardware", PROFILE)
                _emulated(root, "export", "tiny", "-o", "pi.bundle")
                _bench(here, "import", str(work / "pi.bundle"), "--out", "there")
                if _judged(here, "there/results.sqlite"):
                    return 1
            with _reached_by_ssh(folder, root, here):
                _bench(here, "run", "tiny", "--on", BOARD, "--hardware", PROFILE, "--out", "by-ssh")
                validation = _validated(here)
        return _judged(here, "by-ssh/results.sqlite") or validation


def _root(folder: Path) -> Path:
    """Debian's packages for arm64, unpacked; nothing of them is run but Python."""
    root = folder / "root"
    if (root / "usr/bin" / f"python{PYTHON}").exists():
        return root
    folder.mkdir(parents=True, exist_ok=True)
    packages = "python3"
    command = ["debootstrap", "--foreign", "--arch=arm64", "--variant=minbase"]
    _do([*command, f"--include={packages}", RELEASE, root])
    for package in sorted((root / "var/cache/apt/archives").glob("*.deb")):
        _do(["dpkg-deb", "-x", package, root])
    shutil.copy(QEMU, root / "usr/bin/qemu-aarch64-static")
    shutil.copy(BUSYBOX, root / "usr/bin/busybox-host")
    wrapper = root / "usr/local/bin/python"
    wrapper.parent.mkdir(parents=True, exist_ok=True)
    wrapper.write_text(WRAPPER)
    wrapper.chmod(0o755)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    return root


def _install(root: Path) -> None:
    """The wheel of this checkout, and what it needs as wheels for aarch64."""
    site = root / "opt/site"
    with tempfile.TemporaryDirectory() as built:
        _do([sys.executable, "-m", "build", "--wheel", "--outdir", built, PROJECT], quiet=True)
        (wheel,) = Path(built).glob("*.whl")
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", site]
        if not (site / "torch").exists():
            kinds = [f"--platform={kind}_aarch64" for kind in WHEELS]
            tags = ["--implementation=cp", "--abi=cp311", "--abi=abi3", "--abi=none"]
            only = [f"--python-version={PYTHON}", "--only-binary=:all:"]
            # a constraint would be read for this machine: these are the pins for the other one
            here = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
            _do([*pip, *kinds, *tags, *only, *_requirements()], here)
        for old in (site / "ondevice_bench", *site.glob("ondevice_bench-*")):
            shutil.rmtree(old, ignore_errors=True)
        _do([*pip, wheel])


def _requirements() -> list[str]:
    """The pins of `constraints.txt` for what the package needs at run time, torch as on a board."""
    from importlib.metadata import requires

    from packaging.requirements import Requirement

    pins = {}
    for line in (PROJECT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            pin = Requirement(line)
            if pin.marker is None or pin.marker.evaluate({"platform_machine": "aarch64"}):
                pins[_plain(pin.name)] = f"{pin.name}{pin.specifier}"
    wanted, found = ["ondevice-bench"], set()
    while wanted:
        name = wanted.pop()
        for text in requires(name) or []:
            need = Requirement(text)
            machine = {"platform_machine": "aarch64", "extra": ""}
            applies = need.marker is None or need.marker.evaluate(machine)
            if applies and _plain(need.name) in pins and _plain(need.name) not in found:
                found.add(_plain(need.name))
                wanted.append(need.name)
    return [pins[name] for name in sorted(found)]


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _workplace(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(HERE / "suites", folder / "suites")
    shutil.copytree(HERE / "hardware", folder / "hardware")
    return folder


@contextmanager
def _mounted(root: Path) -> Iterator[None]:
    """The kernel's file systems, seen from within the root."""
    (root / "tmp").mkdir(exist_ok=True)
    done = []
    try:
        for name in MOUNTED:
            _do(["mount", "--bind", f"/{name}", root / name])
            done.append(name)
        yield
    finally:
        for name in reversed(done):
            # at once, also where a process still ends: what follows may remove the root
            _do(["umount", "--lazy", root / name])


def _emulated(root: Path, *words: str) -> None:
    within = f"cd /work && exec python -m ondevice_bench {' '.join(words)}"
    _do([CHROOT, root, "/usr/bin/busybox-host", "sh", "-c", within], ENVIRONMENT)


def _bench(folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "ondevice_bench", *words]
    return subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout


@contextmanager
def _reached_by_ssh(folder: Path, root: Path, here: Path) -> Iterator[None]:
    """An sshd of this machine; the Python of the board enters the root."""
    sys.path.insert(0, str(PROJECT))
    from tests.remote import sshd

    shutil.rmtree(folder / "sshd", ignore_errors=True)
    server = sshd.start(folder / "sshd", forwarded=())
    python = folder / "emulated-python"
    variables = " ".join(f"{name}={value}" for name, value in ENVIRONMENT.items())
    python.write_text(
        f'#!/bin/sh\nexec env -i {variables} {CHROOT} "{root}" /usr/local/bin/python "$@"\n'
    )
    python.chmod(0o755)
    board = {
        "address": server.address,
        "folder": "/opt/board",
        "python": str(python),
        "ssh_config": str(server.config),
    }
    (here / "hosts.yaml").write_text(json.dumps({"schema": 1, "boards": {BOARD: board}}))
    try:
        yield
    finally:
        server.stop()


def _validated(here: Path) -> int:
    """The figures of a desk are those of the emulated board, which is no Pi all the same."""
    words = ("board", "validate", "--on", BOARD, "--hardware", PROFILE, "-q", "--json")
    found = json.loads(_bench(here, *words, "-o", "emulated.bundle"))
    outcomes = {proof["subject"]: proof["outcome"] for proof in found["proofs"]}
    print("validation:", outcomes, found["conclusion"])
    is_no_pi = not found["validates_a_pi"] and "emulated" in found["conclusion"]
    return 0 if outcomes["figures"] == outcomes["suite"] == "passed" and is_no_pi else 1


def _judged(here: Path, there: str) -> int:
    """Compare the two runs, and look that no figure of the emulator's own is shown."""
    command = [sys.executable, "-m", "ondevice_bench", "compare", "tiny", there]
    compared = subprocess.run(command, cwd=here, check=False)
    report = json.loads(_bench(here, "report", there, "--json"))
    cells = [cell for cell in report["cells"] if cell["status"] != "skipped"]
    not_ok = [cell["cell"] for cell in cells if cell["status"] != "ok"]
    timed = [cell["cell"] for cell in cells if "step_seconds" in cell["metrics"]]
    why = {cell["unavailable"]["step_seconds"] for cell in cells}
    print(f"{len(cells)} cells under emulation, {len(not_ok)} not ok; step times: {why}")
    return 1 if compared.returncode or not_ok or timed or not cells else 0


def _do(
    command: list[object], environment: dict[str, str] | None = None, *, quiet: bool = False
) -> None:
    words = [str(word) for word in command]
    print("+", *words, flush=True)
    out = subprocess.DEVNULL if quiet else None
    subprocess.run(words, check=True, env=environment, stdout=out)


if __name__ == "__main__":
    sys.exit(main())
