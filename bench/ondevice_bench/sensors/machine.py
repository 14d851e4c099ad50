"""Clock, temperature, throttling, swap and writes of this machine: numbers, or reasons.

The files are looked up once, so that a reading takes as little time as possible.
"""

import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from ondevice_bench.errors import first_line
from ondevice_bench.sensors import temperature, throttling

CLOCK, TEMPERATURE, THROTTLING = "mhz", "celsius", "throttle_bits"
# bytes since the machine, or the process, was started
SWAPPED, WRITTEN, OWN_WRITTEN = "swapped_bytes", "written_bytes", "own_written_bytes"
COUNTERS = (SWAPPED, WRITTEN, OWN_WRITTEN)

Sensor: TypeAlias = Callable[[], float]
Ask: TypeAlias = Callable[[Sequence[str]], str]

_CPUS = "sys/devices/system/cpu"
_THROTTLED_FILES = "sys/devices/platform/soc*/*firmware/get_throttled"
VCGENCMD = "vcgencmd"  # the tool of a Raspberry Pi that asks its firmware
_NO_DEVICE = "Can't open device file"  # what it says to a user who may not ask
_ASK_SECONDS = 1.0
_SECTOR = 512  # bytes, in /proc/diskstats on every machine
# disks in memory, and disks that are made of the others
_NO_DISKS = re.compile(r"(loop|ram|zram|dm-|md|bcache|drbd|zd|sr|fd)\d+")
_NVME_PATH = re.compile(r"(nvme\d+)c\d+(n\d+)")  # a path to a disk that is listed itself, too
# pages to swap and back, also those that zswap keeps in memory and moves to no disk
_SWAP_COUNTERS = ("pswpin", "pswpout", "zswpin", "zswpout")


FAULTS = (OSError, ValueError, LookupError, subprocess.SubprocessError)


class NoSensor(Exception):
    """The machine does not show this quantity. The text has the reason."""


class MachineSensors:
    """The sensors of a machine. `unavailable` has the reason for each one that is missing."""

    def __init__(
        self,
        cpus: Sequence[int],
        throttled_by: str = "",
        root: Path = Path("/"),
        ask: Ask | None = None,
    ) -> None:
        self.unavailable: dict[str, str] = {}
        self._sensors: dict[str, Sensor] = {}
        finders: Mapping[str, Callable[[], Sensor]] = {
            CLOCK: lambda: _clock(root, cpus, throttled_by, ask or asked),
            TEMPERATURE: lambda: _temperature(root),
            THROTTLING: lambda: throttling_sensor(root, throttled_by, ask or asked),
            SWAPPED: lambda: _swapped(root / "proc/vmstat"),
            WRITTEN: lambda: _written(root),
            OWN_WRITTEN: lambda: _own_written(root / "proc/self/io"),
        }
        for name, find in finders.items():
            try:
                self._sensors[name] = find()
            except (NoSensor, *FAULTS) as error:
                self.unavailable[name] = _reason(error)
        self.read()

    def read(self) -> dict[str, float]:
        """All quantities now. A sensor that fails is read no more."""
        found: dict[str, float] = {}
        for name, sensor in list(self._sensors.items()):
            try:
                found[name] = sensor()
            except FAULTS as error:
                del self._sensors[name]
                self.unavailable[name] = _reason(error)
        return found


def _clock(root: Path, cpus: Sequence[int], throttled_by: str, ask: Ask) -> Sensor:
    """The clock in MHz: that of a Raspberry Pi, or the mean of these processors."""
    if throttled_by == VCGENCMD:
        return lambda: firmware_mhz(ask)
    paths = [root / f"{_CPUS}/cpu{cpu}/cpufreq/scaling_cur_freq" for cpu in cpus]
    present = [path for path in paths if path.is_file()]
    if not present:
        raise NoSensor("the kernel does not report the clock (no cpufreq)")
    return lambda: sum(map(_number, present)) / len(present) / 1e3


def asked(command: Sequence[str], seconds: float = _ASK_SECONDS) -> str:
    """The output of a tool of the board; ValueError with what it said if it fails."""
    process = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    if process.returncode != 0:
        said = [*process.stdout.splitlines(), *process.stderr.splitlines()]
        last = [*said[-1:], "it said nothing"][0][:80]
        if any(_NO_DEVICE in line for line in said):  # its own advice is for another fault
            last = "it may not ask the firmware: is this user in the group `video`?"
        raise ValueError(f"{command[0]} ended with {process.returncode}: {last}")
    return process.stdout


def firmware_mhz(ask: Ask = asked) -> float:
    """The clock of a Raspberry Pi by its firmware, in MHz; ValueError without it.

    The files of the kernel have the clock that the kernel wants. They do not change when the
    firmware lowers the clock (https://github.com/raspberrypi/linux/issues/5874).
    """
    text = ask((VCGENCMD, "measure_clock", "arm")).strip()
    _, _, hertz = text.partition("=")
    if not text.startswith("frequency(") or not hertz.isdecimal() or not int(hertz):
        raise ValueError(f"no clock in {text[:80]!r}")
    return int(hertz) / 1e6


def _temperature(root: Path) -> Sensor:
    """The temperature of the processor, or of the hottest zone."""
    files = temperature.temperature_files(root)
    if not files:
        raise NoSensor("the kernel reports no temperature (no thermal zone)")
    return lambda: temperature.celsius(files)


def throttling_sensor(root: Path, throttled_by: str, ask: Ask = asked) -> Sensor:
    """The bits of a Raspberry Pi, from its tool or from a file, or one bit from x86's counters.

    The file has what a driver of the kernel asked last: two seconds ago, or at boot if the driver
    is not loaded. So it is read only if the tool does not answer.
    """
    files = sorted(root.glob(_THROTTLED_FILES))
    if throttled_by == VCGENCMD:

        def tool() -> int:
            return throttling.bits_of(ask((VCGENCMD, "get_throttled")))

        if not files or _answers(tool):
            return tool
    if files:
        return lambda: int(files[0].read_text(), 16)
    # of a core, and of its package: one of them may rise alone
    counts = sorted(root.glob(f"{_CPUS}/cpu*/thermal_throttle/*_throttle_count"))
    if not counts:
        raise NoSensor("this machine does not report throttling")
    before = sum(map(_number, counts))

    def rose() -> float:
        nonlocal before
        earlier, before = before, sum(map(_number, counts))
        return throttling.LOWERED if before > earlier else 0

    return rose


def _answers(sensor: Sensor) -> bool:
    try:
        sensor()
    except FAULTS:
        return False
    return True


def _swapped(vmstat: Path) -> Sensor:
    """Bytes that the machine has moved to swap or back."""
    page = os.sysconf("SC_PAGE_SIZE")

    def read() -> float:
        pages = swapped_pages(vmstat)
        if pages is None:
            raise ValueError(f"{vmstat} does not count swap")
        return pages * page

    return read


def swapped_pages(vmstat: Path) -> int | None:
    """Pages that the machine has moved to swap or back since boot; None without such a counter."""
    rows = (line.partition(" ") for line in vmstat.read_text().splitlines())
    found = [int(count) for name, _, count in rows if name in _SWAP_COUNTERS]
    return sum(found) if found else None


def _written(root: Path) -> Sensor:
    """Bytes that the machine has written to its disks and cards."""
    stats = root / "proc/diskstats"
    try:
        disks = {path.name for path in (root / "sys/block").iterdir()}
    except OSError:
        raise NoSensor("the kernel does not list disks (no /sys/block)") from None
    paths = {name for name in disks if _NVME_PATH.fullmatch(name)}
    disks -= {_NVME_PATH.sub(r"\1\2", name) for name in paths}  # its paths count its writes
    disks = {name for name in disks if not _NO_DISKS.fullmatch(name)}
    if not disks:
        raise NoSensor("the machine shows no disk and no card")

    def read() -> float:
        rows = [line.split() for line in stats.read_text().splitlines()]
        sectors = [int(row[9]) for row in rows if row[2] in disks]
        if not sectors:
            raise ValueError(f"{stats} counts for no disk and no card")
        return sum(sectors) * _SECTOR

    return read


def _own_written(io: Path) -> Sensor:
    """Bytes that this process has had written to disks and cards."""

    def read() -> float:
        for line in io.read_text().splitlines():
            if line.startswith("write_bytes:"):
                return int(line.split()[1])
        raise ValueError(f"{io} does not count writes")

    return read


def _number(path: Path) -> float:
    return float(path.read_text())


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'} cannot be read: {error.strerror}"
    return first_line(error)
