"""The identity of a machine, without its clock rates and load.

All files are read below `root`, so that a folder can replace another machine.
"""

import hashlib
import os
import platform
import re
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ondevice_bench.sensors.kernel_file import text_of
from ondevice_bench.units import GIB


@dataclass(frozen=True)
class Machine:
    """The identity of a machine. It is equal on every boot, and different on different machines."""

    arch: str
    board: str
    cpu: str
    physical_cores: int
    logical_cores: int
    memory_gib: int
    page_bytes: int
    kernel: str
    libc: str

    def to_dict(self) -> dict[str, Any]:
        """The identity as plain values."""
        return asdict(self)


def probe(root: Path = Path("/")) -> Machine:
    """Read the identity of the machine whose file system begins at `root`."""
    info, here = _cpuinfo(root), root == Path("/")
    return Machine(
        arch=platform.machine() if here else _arch(info),
        board=board(root),
        cpu=_cpu(root, info),
        physical_cores=_physical_cores(root, info),
        logical_cores=len(info) or 1,
        memory_gib=_memory_gib(root),
        page_bytes=os.sysconf("SC_PAGE_SIZE") if here else 0,  # no file has it
        kernel=_kernel(root),
        libc=" ".join(part for part in platform.libc_ver() if part and here) or "unknown",
    )


def board(root: Path = Path("/")) -> str:
    """`Raspberry Pi 5 Model B Rev 1.0`; empty if the firmware has no name."""
    places = ("proc/device-tree/model", "sys/class/dmi/id/product_name")
    return next(filter(None, (_firmware_text(root / place) for place in places)), "")


def unit(root: Path = Path("/")) -> str:
    """A mark of this one machine among others of its kind; empty if it has none.

    It is a hash of the serial number, or of the identity that the system drew at its installation.
    """
    places = ("proc/device-tree/serial-number", "etc/machine-id")
    number = next(filter(None, (_firmware_text(root / place) for place in places)), "")
    return hashlib.sha256(f"bench unit {number}".encode()).hexdigest()[:12] if number else ""


def _firmware_text(path: Path) -> str:
    """The text of a file. That of a device tree ends with a zero byte."""
    return text_of(path).replace("\0", "").strip()


def _cpuinfo(root: Path) -> list[dict[str, str]]:
    """One mapping for each processor block of /proc/cpuinfo."""
    blocks: list[dict[str, str]] = []
    for block in text_of(root / "proc/cpuinfo").split("\n\n"):
        pairs = (line.partition(":") for line in block.splitlines() if ":" in line)
        values = {key.strip(): value.strip() for key, _, value in pairs}
        if "processor" in values:
            blocks.append(values)
    return blocks


def _arch(info: list[dict[str, str]]) -> str:
    return "aarch64" if info and "CPU part" in info[0] else "x86_64"


def _cpu(root: Path, info: list[dict[str, str]]) -> str:
    """The brand on x86. On ARM, /proc/cpuinfo has only the implementer and the part."""
    first = info[0] if info else {}
    if "CPU part" in first:
        return f"{first.get('CPU implementer', '?')}/{first['CPU part']}"
    if "model name" in first:
        return first["model name"]
    return _brand() if root == Path("/") else "unknown"


@cache
def _brand() -> str:
    import cpuinfo

    return str(cpuinfo.get_cpu_info().get("brand_raw", "unknown"))


# a core of ARM has its number within a cluster: of big.LITTLE, both clusters have a core 0
_PLACE_OF_CORE = ("physical_package_id", "die_id", "cluster_id", "core_id")


def _physical_cores(root: Path, info: list[dict[str, str]]) -> int:
    cores = {
        tuple(text_of(cpu / "topology" / name) for name in _PLACE_OF_CORE)
        for cpu in (root / "sys/devices/system/cpu").glob("cpu[0-9]*")
        if (cpu / "topology/core_id").exists()
    }
    return len(cores) or len(info) or 1


def caches_kib(root: Path = Path("/")) -> dict[int, int]:
    """Data caches of the first processor by level; empty if the kernel does not report them."""
    sizes: dict[int, int] = {}
    for index in sorted((root / "sys/devices/system/cpu/cpu0/cache").glob("index[0-9]*")):
        level, size = text_of(index / "level"), text_of(index / "size")
        for_code = text_of(index / "type") == "Instruction"
        if level in {"1", "2", "3"} and re.fullmatch(r"\d+K", size) and not for_code:
            sizes[int(level)] = int(size[:-1])
    return sizes


def _memory_gib(root: Path) -> int:
    """The memory in GiB, rounded up. The kernel reserves a part that changes with its version."""
    lines = text_of(root / "proc/meminfo").splitlines()
    total = next((line for line in lines if line.startswith("MemTotal")), "MemTotal: 0 kB")
    return -(-int(total.split()[1]) * 1024 // GIB)


def _kernel(root: Path) -> str:
    release = text_of(root / "proc/sys/kernel/osrelease") or platform.release()
    return release.split(".")[0]
