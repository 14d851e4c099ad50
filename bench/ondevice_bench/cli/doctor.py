"""`bench doctor`: what on this machine disturbs measurements."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ondevice_bench.cli.arguments import AsJson, Hardware, SuitesFolder, Sysroot
from ondevice_bench.errors import BadInput, ExitCode
from ondevice_bench.terminal import print_json, print_rows

if TYPE_CHECKING:
    from ondevice_bench.hardware.doctor import Finding


def doctor(
    suite: Annotated[
        str | None, typer.Argument(help="A suite: also check that its largest step fits.")
    ] = None,
    suites: SuitesFolder = None,
    hardware: Hardware = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Skip the 20 s test with two identical runs.")
    ] = False,
    sysroot: Sysroot = None,
    write_profile: Annotated[
        str | None,
        typer.Option(
            "--write-profile",
            metavar="NAME",
            help="Measure this machine and write hardware/NAME.yaml.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Look for what disturbs measurements on this machine; exit code 5 if something does."""
    from ondevice_bench.hardware import doctor as checks
    from ondevice_bench.hardware.probe import probe
    from ondevice_bench.hardware.profile import recognise
    from ondevice_bench.hardware.state import allowed_cpus, read_state

    root = sysroot or Path("/")
    if not root.is_dir():
        raise BadInput(f"{root}: no such folder")
    if sysroot and (suite or write_profile):
        raise BadInput("--sysroot is another machine: nothing can be measured on it")
    machine, state = probe(root), read_state(root)
    profile = recognise(machine, hardware)
    allowed = tuple(range(machine.logical_cores)) if sysroot else allowed_cpus()
    threads, cpus = profile.threads_on(machine, allowed), profile.cpus_on(allowed)
    environment = {} if sysroot else os.environ

    findings = [
        checks.like_the_profile(profile, machine),
        *checks.examine(profile, state, threads, root, environment=environment),
        checks.free_memory(state, _memory_needed(suite, suites, hardware) if suite else None),
    ]
    if not quick and not sysroot:
        from ondevice_bench.run.queries.aa_trial import trial

        findings.append(trial(threads, cpus, lambda: None).finding())
    _print(findings, as_json=as_json)
    if write_profile:
        from ondevice_bench.run.queries.write_profile import write_profile as write

        print(f"profile: {write(write_profile, machine, threads, cpus)}")
    disturbed = any(finding.level == "warning" for finding in findings)
    return ExitCode.INCONCLUSIVE if disturbed else ExitCode.OK


def _memory_needed(suite: str, suites: Path | None, hardware: str | None) -> int | None:
    from ondevice_bench.run.queries.described_suite import described
    from ondevice_bench.run.queries.memory_needed import memory_needed
    from ondevice_bench.suite.load import load_suite

    return memory_needed(described(load_suite(suite, suites)), hardware)


def _print(findings: "Sequence[Finding]", *, as_json: bool) -> None:
    if as_json:
        print_json([finding.to_json() for finding in findings])
        return
    rows = [
        {"": finding.level, "about": finding.subject, "result": finding.said}
        for finding in findings
    ]
    print_rows(rows, as_json=False)
    for finding in findings:
        if finding.level == "warning":
            print(f"{finding.subject}: {finding.effect}\n  {finding.cure}")
