"""A Raspberry Pi: what it says of itself, and one whose files change."""

from pathlib import Path

import pytest

# of a Pi 5 with 8 GB
MACHINE = {
    "arch": "aarch64",
    "board": "Raspberry Pi 5 Model B Rev 1.0",
    "cpu": "0x41/0xd0b",
    "physical_cores": 4,
    "logical_cores": 4,
    "memory_gib": 8,
    "page_bytes": 16384,
    "kernel": "6",
    "libc": "glibc 2.41",
}
_CPUFREQ = "sys/devices/system/cpu/cpu{n}/cpufreq/scaling_cur_freq"
VMSTAT = "nr_free_pages 1\npswpin {0}\npswpout {1}\n"
DISKSTATS = (
    "   7 0 loop0 1 0 8 0 9 0 999999 0 0 0 0\n"
    " 179 0 mmcblk0 100 0 800 0 50 0 {0} 0 0 0 0\n"
    " 179 1 mmcblk0p1 90 0 700 0 50 0 {0} 0 0 0 0\n"
    " 254 0 zram0 1 0 8 0 9 0 888888 0 0 0 0\n"
)


class Pi:
    """The files of a board below a folder. Each method sets what they say."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bits_asked = 0  # how often the tool was asked
        self._bits = 0
        self._texts: dict[str, str] = {}
        for name in ("loop0", "mmcblk0", "zram0"):
            (root / "sys/block" / name).mkdir(parents=True)
        self.hot(55.0)
        self.clock(2400)
        self.swapped(0, 0)
        self.written(0)
        self.own_written(0)

    def hot(self, celsius: float) -> None:
        self._write("sys/class/thermal/thermal_zone0/temp", f"{celsius * 1000:.0f}\n")

    def clock(self, mhz: float) -> None:
        """Set the clock. The files of the kernel have the highest one, which the kernel wants."""
        self._mhz = mhz
        for n in range(4):
            self._write(_CPUFREQ.format(n=n), "2400000\n")

    def throttling(self, bits: int) -> None:
        self._bits = bits

    def swapped(self, pages_in: int, pages_out: int) -> None:
        self._write("proc/vmstat", VMSTAT.format(pages_in, pages_out))

    def written(self, sectors: int) -> None:
        self._write("proc/diskstats", DISKSTATS.format(sectors))

    def own_written(self, size: int) -> None:
        self._write("proc/self/io", f"rchar: 1\nwrite_bytes: {size}\ncancelled_write_bytes: 7\n")

    def ask(self, command) -> str:
        tool, *words = command
        assert tool == "vcgencmd"
        if words == ["measure_clock", "arm"]:
            return f"frequency(0)={self._mhz * 1e6:.0f}\n"
        assert words == ["get_throttled"]
        self.bits_asked += 1
        return f"throttled=0x{self._bits:x}\n"

    def _write(self, name: str, text: str) -> None:
        """Write a file anew. What is equal stays, because a disk takes long to replace a file."""
        if self._texts.get(name) == text:
            return
        self._texts[name] = text
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)


@pytest.fixture
def pi(tmp_path: Path) -> Pi:
    return Pi(tmp_path / "pi")
