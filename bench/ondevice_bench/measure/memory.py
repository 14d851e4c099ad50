"""Resident memory of this process, by the kernel's high-water mark.

`ru_maxrss` is not used, because a spawned child inherits the parent's peak on Linux. A sampler is
not used either, because it misses short peaks.
"""

import ctypes
import gc
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ondevice_bench.sensors import machine

_STATUS = Path("/proc/self/status")
_VMSTAT = Path("/proc/vmstat")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"
_ALL_ARENAS = 4096  # jemalloc's own number for them
# functions of glibc, tcmalloc, mimalloc and jemalloc, with their arguments
_GIVE_BACK: Mapping[str, tuple[Any, ...]] = {
    "malloc_trim": (0,),
    "MallocExtension_ReleaseFreeMemory": (),
    "mi_collect": (True,),
    "mallctl": (f"arena.{_ALL_ARENAS}.purge".encode(), None, None, None, ctypes.c_size_t(0)),
}


@dataclass(frozen=True)
class ResidentMemory:
    """Resident memory in total, and its pages of files, which are mostly code of libraries."""

    total: int
    file_backed: int

    @property
    def anonymous(self) -> int:
        """The memory that the process allocated itself."""
        return self.total - self.file_backed


class PeakUnavailable(RuntimeError):
    """The high-water mark cannot be read or reset on this machine."""


def settle() -> None:
    """Collect garbage and return free heap memory to the kernel."""
    gc.collect()
    process = ctypes.CDLL(None)
    for name, arguments in _GIVE_BACK.items():
        function = getattr(process, name, None)
        if function is not None:
            function(*arguments)


def ways_to_give_back() -> tuple[str, ...]:
    """The functions of this process by which its allocators return free memory to the kernel."""
    return tuple(name for name in _GIVE_BACK if hasattr(ctypes.CDLL(None), name))


def rss_bytes() -> int:
    """Resident memory now."""
    return _field("VmRSS")


def peak_bytes() -> int:
    """The highest resident memory since the last reset."""
    return _field("VmHWM")


def resident() -> ResidentMemory:
    """Resident memory now, with the part that is file-backed."""
    return ResidentMemory(rss_bytes(), _field("RssFile") + _field("RssShmem"))


def data_bytes() -> int:
    """Bytes that the process has reserved for its data, used or not."""
    return _field("VmData")


def swap_bytes() -> int:
    """Bytes of this process in swap, which are not part of resident memory."""
    return _field("VmSwap")


def swapped_pages() -> int | None:
    """Pages that the machine has swapped in or out since boot; None without such a counter."""
    try:
        return machine.swapped_pages(_VMSTAT)
    except OSError:
        return None


def reset_peak() -> int:
    """Set the high-water mark to the resident memory now, and return it."""
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK)
    except OSError as error:
        raise PeakUnavailable(f"{_CLEAR_REFS} cannot be written: {error.strerror}") from None
    return peak_bytes()


def _field(name: str) -> int:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError as error:
        raise PeakUnavailable(f"{_STATUS} cannot be read: {error.strerror}") from None
    for line in lines:
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise PeakUnavailable(f"{_STATUS} has no {name}")
