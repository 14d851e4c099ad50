"""What about a machine disturbs measurements: each finding with its effect and what mends it.

Everything is read below `root`, so that a folder can stand for another machine.
"""

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from ondevice_bench import units
from ondevice_bench.hardware.probe import Machine
from ondevice_bench.hardware.profile import Profile
from ondevice_bench.hardware.state import HardwareState

Level = Literal["ok", "warning", "unknown"]
BUSY = 0.5  # of a core, by the load of the last minute
THROTTLED = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")
SINCE_BOOT = 16  # the same bits, so many places higher
_SLOW_CLOCKS = ("hpet", "acpi_pm", "jiffies", "refined-jiffies")
_CPUS = "sys/devices/system/cpu"


@dataclass(frozen=True)
class DoctorFinding:
    """One thing about the machine; `unknown` where it does not tell."""

    subject: str
    level: Level
    said: str
    effect: str = ""
    cure: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain values."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "DoctorFinding":
        """The inverse of `to_dict`, whatever a newer version may have added."""
        return DoctorFinding(
            **{f.name: values[f.name] for f in fields(DoctorFinding) if f.name in values}
        )


def examine(
    profile: Profile,
    state: HardwareState,
    threads: int,
    root: Path = Path("/"),
    ask: Callable[[Sequence[str]], str] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> tuple[DoctorFinding, ...]:
    """The quick part: what can be read at once. `ask` runs a board's own command."""
    return (
        _governor(profile, root),
        _turbo(root),
        _throttling(profile, root, ask or _ask),
        _swap(state),
        _load(state),
        _threads(threads, environment),
        _quota(root, threads),
        _clock_source(root),
    )


def free_memory(state: HardwareState, needed: int | None) -> DoctorFinding:
    """What is free, against what the largest cell of a suite needs at the least."""
    free = state.memory_available_bytes
    if free is None:
        return DoctorFinding("memory", "unknown", "the kernel does not say what is free")
    said = f"{units.mib(free)} available"
    if needed is None:
        return DoctorFinding("memory", "ok", said)
    said += f"; the suite's largest cell needs {units.mib(needed)} at the least"
    if needed <= free:
        return DoctorFinding("memory", "ok", said)
    return DoctorFinding(
        "memory",
        "warning",
        said,
        "cells that do not fit end as oom, or swap and have no peak",
        "a smaller batch, `last: K` layers, or a board with more memory",
    )


def like_the_profile(profile: Profile, machine: Machine) -> DoctorFinding:
    """Whether the machine is what its profile says of it."""
    said = profile.declared
    facts = (
        ("cores", said.cores, machine.physical_cores),
        ("page_kib", said.page_kib, machine.page_bytes // 1024 or None),
        ("memory.gib", said.memory.gib, machine.memory_gib),
    )
    unlike = [
        f"{name} is {found:g}, not {expected:g}"
        for name, expected, found in facts
        if expected is not None and found is not None and expected != found
    ]
    if not unlike:
        return DoctorFinding("profile", "ok", profile.name)
    return DoctorFinding(
        "profile",
        "warning",
        f"{profile.name}: {'; '.join(unlike)}",
        "figures stand under the name of a board that this one is not quite",
        "a profile of your own: `bench doctor --write-profile NAME`",
    )


def throttle_bits(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What `vcgencmd get_throttled` says holds now, and held since boot; ValueError otherwise."""
    _, equals, number = text.strip().partition("throttled=")
    if not equals:
        raise ValueError(f"no figure in {text.strip()[:80]!r}")
    bits = int(number, 16)
    now = tuple(name for place, name in enumerate(THROTTLED) if bits >> place & 1)
    before = tuple(name for place, name in enumerate(THROTTLED) if bits >> (place + SINCE_BOOT) & 1)
    return now, before


def _governor(profile: Profile, root: Path) -> DoctorFinding:
    wanted = profile.declared.governor or "performance"
    found = sorted({_text(path) for path in root.glob(f"{_CPUS}/cpu*/cpufreq/scaling_governor")})
    if not found:
        return DoctorFinding("governor", "unknown", "none here: a virtual machine or container")
    if found == [wanted]:
        return DoctorFinding("governor", "ok", wanted)
    return DoctorFinding(
        "governor",
        "warning",
        f"{', '.join(found)}, not {wanted}",
        "the clock follows the load, so the same step takes other times",
        f"echo {wanted} | sudo tee /{_CPUS}/cpu*/cpufreq/scaling_governor",
    )


def _turbo(root: Path) -> DoctorFinding:
    for name, on, off in (("intel_pstate/no_turbo", "0", "1"), ("cpufreq/boost", "1", "0")):
        found = _text(root / _CPUS / name)
        if found == on:
            return DoctorFinding(
                "turbo",
                "warning",
                "on",
                "the clock is higher while the chip is cool: early samples are faster",
                f"echo {off} | sudo tee /{_CPUS}/{name}",
            )
        if found == off:
            return DoctorFinding("turbo", "ok", "off")
    return DoctorFinding("turbo", "unknown", "no switch for it here")


def _throttling(profile: Profile, root: Path, ask: Callable[[Sequence[str]], str]) -> DoctorFinding:
    if profile.declared.throttling != "vcgencmd":
        counts = root.glob(f"{_CPUS}/cpu*/thermal_throttle/core_throttle_count")
        found = [int(text) for text in map(_text, counts) if text.isdigit()]
        if not found:
            return DoctorFinding("throttling", "unknown", "no counter of it here")
        return DoctorFinding("throttling", "ok", f"{sum(found)} times since boot")
    try:
        now, before = throttle_bits(ask(("vcgencmd", "get_throttled")))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return DoctorFinding("throttling", "unknown", f"vcgencmd: {reason}")
    if not now and not before:
        return DoctorFinding("throttling", "ok", "never since boot")
    parts = [f"now: {', '.join(now)}"] if now else []
    parts += [f"since boot: {', '.join(before)}"] if before else []
    return DoctorFinding(
        "throttling",
        "warning",
        "; ".join(parts),
        "the clock was lowered, so times before and after do not compare",
        "a 5 A power supply, a fan; `sudo reboot` clears what is since boot",
    )


def _swap(state: HardwareState) -> DoctorFinding:
    used = state.swap_used_bytes
    if used is None:
        return DoctorFinding("swap", "unknown", "the kernel does not say")
    if not used:
        return DoctorFinding("swap", "ok", "nothing in it")
    return DoctorFinding(
        "swap",
        "warning",
        f"{units.mib(used)} in it",
        "resident memory leaves out what lies in swap: a pass that swaps has no peak",
        "sudo swapoff -a",
    )


def _load(state: HardwareState) -> DoctorFinding:
    load = state.load_1min
    if load is None:
        return DoctorFinding("load", "unknown", "the kernel does not say")
    if load < BUSY:
        return DoctorFinding("load", "ok", f"{load:g}")
    return DoctorFinding(
        "load",
        "warning",
        f"{load:g} in the last minute",
        "others take processor time: samples are disturbed and measured again",
        "ps -eo pcpu,comm --sort=-pcpu | head",
    )


def _threads(threads: int, environment: Mapping[str, str]) -> DoctorFinding:
    """What the user set for other programs, which workers do not take over."""
    said = f"{threads} a worker"
    unlike = [
        f"{name}={environment[name]}"
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        if environment.get(name, str(threads)) != str(threads)
    ]
    if not unlike:
        return DoctorFinding("threads", "ok", said)
    return DoctorFinding(
        "threads",
        "warning",
        f"{said}, whatever {', '.join(unlike)} says",
        "figures are of the profile's threads, not of those that training here would use",
        "`threads: N` in a hardware profile of your own",
    )


def _quota(root: Path, threads: int) -> DoctorFinding:
    """What a container lets its processes use of the processors."""
    quota, _, period = _text(root / "sys/fs/cgroup/cpu.max").partition(" ")
    if not quota.isdigit() or not period.isdigit():
        return DoctorFinding("quota", "ok", "none on processor time")
    cpus = int(quota) / int(period)
    said = f"{cpus:g} processors; {threads} threads a worker"
    if cpus >= threads:
        return DoctorFinding("quota", "ok", said)
    return DoctorFinding(
        "quota",
        "warning",
        said,
        "workers are halted when their share is used up",
        "a larger share for the container, or a profile with fewer `threads`",
    )


def _clock_source(root: Path) -> DoctorFinding:
    found = _text(root / "sys/devices/system/clocksource/clocksource0/current_clocksource")
    if not found:
        return DoctorFinding("clock source", "unknown", "the kernel does not say")
    if found not in _SLOW_CLOCKS:
        return DoctorFinding("clock source", "ok", found)
    return DoctorFinding(
        "clock source",
        "warning",
        found,
        "reading the time takes a microsecond or more",
        "boot with clocksource=tsc if the processor's counter is steady",
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _ask(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout
