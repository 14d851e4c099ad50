"""Small file systems that stand for machines."""

from collections.abc import Callable
from pathlib import Path

import pytest

PI5_CPU = "processor\t: {n}\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x4\nCPU part\t: 0xd0b\nCPU revision\t: 1\n"
X86_CPU = "processor\t: {n}\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz\ncpu MHz\t\t: {mhz}\nbogomips\t: 3600.00\n"


@pytest.fixture
def machine_tree(tmp_path: Path) -> Callable[..., Path]:
    """Write the files that a probe reads."""

    def write(files: dict[str, str]) -> Path:
        root = tmp_path / "root"
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return root

    return write


def pi5(memory_kb: int = 8255488) -> dict[str, str]:
    """A Raspberry Pi 5 with 8 GB, as its users report it."""
    return {
        "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
        "proc/cpuinfo": "\n".join(PI5_CPU.format(n=n) for n in range(4))
        + "\nRevision\t: d04170\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n",
        "proc/meminfo": f"MemTotal:        {memory_kb} kB\nMemAvailable:    7000000 kB\nSwapTotal: 2097136 kB\nSwapFree: 2097136 kB\n",
        "proc/sys/kernel/osrelease": "6.18.39+rpt-rpi-2712\n",
        "proc/loadavg": "0.15 0.10 0.05 1/200 999\n",
        "sys/class/thermal/thermal_zone0/temp": "52300\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "2400000\n",
        **{f"sys/devices/system/cpu/cpu{n}/topology/core_id": f"{n}\n" for n in range(4)},
        **{f"sys/devices/system/cpu/cpu{n}/topology/physical_package_id": "0\n" for n in range(4)},
    }


def pi4() -> dict[str, str]:
    """A Raspberry Pi 4 with 4 GB: other cores, smaller pages, no power chip."""
    return {
        name: text.replace("Raspberry Pi 5", "Raspberry Pi 4").replace("0xd0b", "0xd08")
        for name, text in pi5(memory_kb=3885000).items()
    }


def server() -> dict[str, str]:
    """Two sockets of a brand that /proc/cpuinfo names, sixteen cores each, no product name."""
    cpus = "sys/devices/system/cpu/cpu"
    return {
        "proc/cpuinfo": "\n".join(
            f"processor\t: {n}\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 7302\n"
            for n in range(32)
        ),
        "proc/meminfo": "MemTotal:       131900000 kB\n",
        "proc/sys/kernel/osrelease": "6.1.0-42-amd64\n",
        **{f"{cpus}{n}/topology/core_id": f"{n % 16}\n" for n in range(32)},
        **{f"{cpus}{n}/topology/physical_package_id": f"{n // 16}\n" for n in range(32)},
    }


def laptop(mhz: str = "1800.000") -> dict[str, str]:
    """A laptop: four cores, eight threads."""
    return {
        "sys/class/dmi/id/product_name": "ThinkPad T480\n",
        "proc/cpuinfo": "\n".join(X86_CPU.format(n=n, mhz=mhz) for n in range(8)),
        "proc/meminfo": "MemTotal:       16217160 kB\nMemAvailable:    9000000 kB\n",
        "proc/sys/kernel/osrelease": "6.12.1-arch1\n",
        **{f"sys/devices/system/cpu/cpu{n}/topology/core_id": f"{n % 4}\n" for n in range(8)},
        **{f"sys/devices/system/cpu/cpu{n}/topology/physical_package_id": "0\n" for n in range(8)},
    }
