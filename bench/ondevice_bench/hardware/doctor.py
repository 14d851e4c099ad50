"""Finds what disturbs measurements on a machine: each finding with its effect and its cure.

All files are read below `root`, so that a folder can replace another machine.
"""

import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from ondevice_bench import allocators, units
from ondevice_bench.errors import first_line
from ondevice_bench.hardware.allocator_libraries import missing_allocators, preloaded
from ondevice_bench.hardware.finding import DoctorFinding
from ondevice_bench.hardware.probe import Machine
from ondevice_bench.hardware.profile import Profile
from ondevice_bench.hardware.state import HardwareState
from ondevice_bench.sensors import control_groups, throttling
from ondevice_bench.sensors.kernel_file import text_of
from ondevice_bench.sensors.machine import asked

BUSY = 0.5  # of a core, by the load of the last minute
_SLOW_CLOCKS = ("hpet", "acpi_pm", "jiffies", "refined-jiffies")
_CPUS = "sys/devices/system/cpu"
_ASK_SECONDS = 10.0


def examine(
    profile: Profile,
    state: HardwareState,
    threads: int,
    root: Path = Path("/"),
    ask: Callable[[Sequence[str]], str] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> tuple[DoctorFinding, ...]:
    """The findings that need no measurement. `ask` runs a command of the board."""
    return (
        _governor(profile, root),
        _turbo(root),
        _throttling(profile, root, ask or partial(asked, seconds=_ASK_SECONDS)),
        _swap(state),
        _load(state),
        _threads(threads, environment),
        _quota(root, threads),
        _clock_source(root),
        _huge_pages(root),
        _allocator(profile, root, environment),
    )


def free_memory(state: HardwareState, needed: int | None) -> DoctorFinding:
    """The free memory, and whether the largest cell of a suite fits; `needed` is its least need."""
    free = state.memory_available_bytes
    if free is None:
        return DoctorFinding("memory", "unknown", "the kernel does not report free memory")
    observation = f"{units.mib(free)} available"
    if needed is None:
        return DoctorFinding("memory", "ok", observation)
    observation += f"; the suite's largest cell needs at least {units.mib(needed)}"
    if needed <= free:
        return DoctorFinding("memory", "ok", observation)
    return DoctorFinding(
        "memory",
        "warning",
        observation,
        "cells that do not fit run out of memory (oom), or they swap and have no peak",
        "a smaller batch, `last: K` layers, or a board with more memory",
    )


def profile_match(profile: Profile, machine: Machine) -> DoctorFinding:
    """Whether the machine has the cores, page size and memory of its profile."""
    declared = profile.declared
    facts = (
        ("cores", declared.cores, machine.physical_cores),
        ("page_kib", declared.page_kib, machine.page_bytes // 1024 or None),
        ("memory.gib", declared.memory.gib, machine.memory_gib),
    )
    differences = [
        f"{name} is {actual:g}, not {expected:g}"
        for name, expected, actual in facts
        if expected is not None and actual is not None and expected != actual
    ]
    if not differences:
        return DoctorFinding("profile", "ok", profile.name)
    return DoctorFinding(
        "profile",
        "warning",
        f"{profile.name}: {'; '.join(differences)}",
        "results get the name of a board that is not exactly this one",
        "make your own profile: `bench doctor --write-profile NAME`",
    )


def _governor(profile: Profile, root: Path) -> DoctorFinding:
    wanted = profile.declared.governor or "performance"
    governors = sorted(
        {text_of(path) for path in root.glob(f"{_CPUS}/cpu*/cpufreq/scaling_governor")}
    )
    if not governors:
        return DoctorFinding("governor", "unknown", "none: a virtual machine or container")
    if governors == [wanted]:
        return DoctorFinding("governor", "ok", wanted)
    return DoctorFinding(
        "governor",
        "warning",
        f"{', '.join(governors)}, not {wanted}",
        "the clock rate follows the load, so times of the same step differ",
        f"`echo {wanted} | sudo tee /{_CPUS}/cpu*/cpufreq/scaling_governor`",
    )


def _turbo(root: Path) -> DoctorFinding:
    for name, on, off in (("intel_pstate/no_turbo", "0", "1"), ("cpufreq/boost", "1", "0")):
        switch = text_of(root / _CPUS / name)
        if switch == on:
            return DoctorFinding(
                "turbo",
                "warning",
                "on",
                "the clock rate is higher on a cool chip, so early samples are faster",
                f"`echo {off} | sudo tee /{_CPUS}/{name}`",
            )
        if switch == off:
            return DoctorFinding("turbo", "ok", "off")
    return DoctorFinding("turbo", "unknown", "this machine has no switch for it")


def _throttling(profile: Profile, root: Path, ask: Callable[[Sequence[str]], str]) -> DoctorFinding:
    if profile.declared.throttling != "vcgencmd":
        counts = root.glob(f"{_CPUS}/cpu*/thermal_throttle/core_throttle_count")
        numbers = [int(text) for text in map(text_of, counts) if text.isascii() and text.isdigit()]
        if not numbers:
            return DoctorFinding("throttling", "unknown", "this machine has no counter for it")
        return DoctorFinding("throttling", "ok", f"{sum(numbers)} times since boot")
    try:
        bits = throttling.bits_of(ask(("vcgencmd", "get_throttled")))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return DoctorFinding("throttling", "unknown", f"vcgencmd: {first_line(error)}")
    now, before = throttling.causes(bits), throttling.causes_since_boot(bits)
    if not now and not before:
        return DoctorFinding("throttling", "ok", "never since boot")
    parts = [f"now: {', '.join(now)}"] if now else []
    parts += [f"since boot: {', '.join(before)}"] if before else []
    return DoctorFinding(
        "throttling",
        "warning",
        "; ".join(parts),
        "the clock rate was lowered, so times before and after are not comparable",
        "use a 5 A power supply and a fan; `sudo reboot` clears the part since boot",
    )


def _swap(state: HardwareState) -> DoctorFinding:
    used = state.swap_used_bytes
    if used is None:
        return DoctorFinding("swap", "unknown", "the kernel does not report it")
    if not used:
        return DoctorFinding("swap", "ok", "empty")
    return DoctorFinding(
        "swap",
        "warning",
        f"{units.mib(used)} used",
        "resident memory does not include swap, so a pass that swaps has no peak",
        "`sudo swapoff -a`",
    )


def _load(state: HardwareState) -> DoctorFinding:
    load = state.load_1min
    if load is None:
        return DoctorFinding("load", "unknown", "the kernel does not report it")
    if load < BUSY:
        return DoctorFinding("load", "ok", f"{load:g}")
    return DoctorFinding(
        "load",
        "warning",
        f"{load:g} in the last minute",
        "programs used the CPU, perhaps an earlier run; disturbed samples are measured again",
        "`ps -eo pcpu,comm --sort=-pcpu | head` lists these programs",
    )


def _threads(threads: int, environment: Mapping[str, str]) -> DoctorFinding:
    """Thread counts in the environment. Workers ignore them."""
    observation = f"{threads} for each worker"
    ignored = [
        f"{name}={environment[name]}"
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        if environment.get(name, str(threads)) != str(threads)
    ]
    if not ignored:
        return DoctorFinding("threads", "ok", observation)
    return DoctorFinding(
        "threads",
        "warning",
        f"{observation}; workers ignore {', '.join(ignored)}",
        "results are for the threads of the profile, not for those of your own training",
        "set `threads: N` in your own hardware profile",
    )


def _quota(root: Path, threads: int) -> DoctorFinding:
    """The processor time that a container or a service allows its processes."""
    cpus = control_groups.processors(root)
    if cpus is None:
        return DoctorFinding("quota", "ok", "no limit on processor time")
    observation = f"{cpus:g} processors; {threads} threads for each worker"
    if cpus >= threads:
        return DoctorFinding("quota", "ok", observation)
    return DoctorFinding(
        "quota",
        "warning",
        observation,
        "workers are stopped when their share is used up",
        "a larger share for the container, or a profile with fewer `threads`",
    )


def _clock_source(root: Path) -> DoctorFinding:
    source = text_of(root / "sys/devices/system/clocksource/clocksource0/current_clocksource")
    if not source:
        return DoctorFinding("clock source", "unknown", "the kernel does not report it")
    if source not in _SLOW_CLOCKS:
        return DoctorFinding("clock source", "ok", source)
    return DoctorFinding(
        "clock source",
        "warning",
        source,
        "reading the time takes a microsecond or more",
        "boot with clocksource=tsc if the processor's counter is steady",
    )


def _huge_pages(root: Path) -> DoctorFinding:
    """When the kernel gives pages of 2 MiB and more: it changes peaks and times. Runs store it."""
    text = text_of(root / "sys/kernel/mm/transparent_hugepage/enabled")
    chosen = re.search(r"\[(\w+)\]", text)
    if chosen is None:
        return DoctorFinding("huge pages", "unknown", "the kernel does not report them")
    return DoctorFinding("huge pages", "ok", chosen[1])


def _allocator(profile: Profile, root: Path, environment: Mapping[str, str]) -> DoctorFinding:
    """The allocator of workers, those that suites may name here, and what the user preloads."""
    name, missing = profile.allocator, missing_allocators(environment, root)
    if name in missing:
        *_, cure = missing[name].split(": ")
        return DoctorFinding(
            "allocator",
            "warning",
            f"the profile names {name}: {missing[name].removesuffix(f': {cure}')}",
            "cells of suites that name no allocator are skipped",
            cure,
        )
    own = name or "the C library's"
    facts = [f"{own} for each worker"]
    usable = [each.name for each in allocators.ALL if each.name not in missing]
    facts += [f"suites may name {', '.join(usable)}"] if usable else []
    packages = [each.packages[0] for each in allocators.ALL if each.name in missing and usable]
    facts += [f"not installed: {', '.join(packages)}"] if packages else []
    loaded = preloaded(environment)
    facts += [f"workers also load {', '.join(loaded)} (LD_PRELOAD)"] if loaded else []
    return DoctorFinding("allocator", "ok", "; ".join(facts))
