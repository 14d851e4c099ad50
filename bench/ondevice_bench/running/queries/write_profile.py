"""A profile of this machine, measured: its peaks with their intervals, its caches, its identity."""

import glob
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ondevice_bench.errors import BadInput
from ondevice_bench.files import atomic_write
from ondevice_bench.hardware.profile import (
    Peaks,
    load_profile,
    profiles,
    recognise,
    require_name,
)
from ondevice_bench.running.hosts.host import Host
from ondevice_bench.running.queries.aa_trial import CELL
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.stats import Estimate, estimate

FOLDER = Path("hardware")
TIMEOUT = 300.0


def write_profile(host: Host, name: str) -> Path:
    """Measure this machine and write `hardware/NAME.yaml`; what is there already is not touched.

    It extends the profile of the host, so this machine is still all that it was.
    """
    path = new_path(host, name)
    with atomic_write(path) as file:  # fails before the measurement if the file cannot be written
        file.write(_text(name, host, _peaks(host)).encode())
    assert load_profile(name).recognise.matches(host.machine)
    return path


def new_path(host: Host, name: str) -> Path:
    """Where a profile of this name goes; BadInput if it cannot have the name."""
    require_name(name, f"--write-profile {name}")
    path = FOLDER / f"{name}.yaml"
    if path.exists():
        raise BadInput(f"{path}: exists already")
    if name in host.profile.lineage:
        raise BadInput(f"{name} is the profile that the new one extends: choose another name")
    return path


def what_it_changes(host: Host, path: Path) -> str:
    """What the new profile means for later commands, and how to undo it."""
    name, base = path.stem, host.profile.name
    if recognise(host.machine).name != name:
        return f"`{name}` is used only with `--hardware {name}`."
    return (
        f"From now on this machine is `{name}`, which is also `{base}`: suites for {base} still "
        f"run here. Delete {path} to undo."
    )


def _peaks(host: Host) -> dict[str, Estimate]:
    reply = host.run(JobMaker(host, None).job(CELL, "machine_peaks"), TIMEOUT).reply
    if reply.status != "ok":
        raise BadInput(f"this machine could not be measured: {reply.reason}")
    found = reply.result.samples
    named = "copy" in found and set(found) <= {"copy", *Peaks.model_fields}
    if not named or not all(samples and min(samples) > 0 for samples in found.values()):
        raise BadInput("this machine could not be measured: it reports no peaks that make sense")
    return {name: estimate([samples]) for name, samples in found.items()}


def _text(name: str, host: Host, peaks: Mapping[str, Estimate]) -> str:
    machine, base = host.machine, host.profile
    is_by_name = any(profile.path == base.path for profile in profiles().values())
    extended = base.name if is_by_name else str(base.path.resolve())
    rules = {"arch": machine.arch, "board": machine.board, "cpu": machine.cpu}
    lines = [
        "schema: 1",
        f"title: {json.dumps(f'{name}, as measured on {datetime.now(UTC):%Y-%m-%d}')}",
        f"extends: {json.dumps(extended)}",
        "recognise:",
        *(f"  {key}: {json.dumps(glob.escape(rule))}" for key, rule in rules.items() if rule),
        f"  memory_gib: {machine.memory_gib}",
        f"cores: {machine.physical_cores}",
        "peak_gflops:                      # products of 1024 x 1024 matrices, median [95 %]",
        *(_line(f"  {kind}", peaks[kind]) for kind in peaks if kind != "copy"),
        "memory:",
        f"  gib: {machine.memory_gib}",
        _line("  bandwidth_gb_per_s", peaks["copy"]) + ", a copy read and written",
        *_caches(host.caches_kib()),
        f"page_kib: {machine.page_bytes // 1024}",
        f"threads: {host.threads}",
    ]
    return "\n".join(lines) + "\n"


def _line(key: str, peak: Estimate) -> str:
    return f"{key}: {peak.estimate:.1f}".ljust(34) + f"# [{peak.lower:.1f} … {peak.upper:.1f}]"


def _caches(sizes: Mapping[int, int]) -> Sequence[str]:
    listed = ", ".join(f"l{level}_kib: {size}" for level, size in sizes.items())
    return [f"caches: {{{listed}}}"] if listed else []
