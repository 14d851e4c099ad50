"""`bench doctor`: finds what disturbs measurements on this machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ondevice_bench.cli import names
from ondevice_bench.cli.arguments import AsJson, Hardware, SuitesFolder, Sysroot
from ondevice_bench.cli.hosts import On
from ondevice_bench.errors import BadInput, ExitCode
from ondevice_bench.terminal import print_json, print_lines, print_rows

if TYPE_CHECKING:
    from ondevice_bench.hardware.finding import DoctorFinding
    from ondevice_bench.running.hosts.host import Host


def doctor(
    suite: Annotated[
        str | None,
        typer.Argument(
            help="A suite: also check that its largest step fits.", autocompletion=names.suites
        ),
    ] = None,
    suites: SuitesFolder = None,
    hardware: Hardware = None,
    on: On = None,
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
    if sysroot is not None:
        if suite or write_profile or on:
            raise BadInput("--sysroot is another machine: nothing can be measured on it")
        elsewhere = _folder_findings(sysroot, hardware)
        if as_json:
            print_json([finding.to_dict() for finding in elsewhere])
        else:
            print_findings(elsewhere)
        return _code(elsewhere)

    from ondevice_bench.api.hosts import measuring_host
    from ondevice_bench.running.queries.aa_trial import trial
    from ondevice_bench.running.queries.write_profile import new_path, what_it_changes
    from ondevice_bench.running.queries.write_profile import write_profile as write

    with measuring_host(on, hardware) as host:
        if write_profile:
            new_path(host, write_profile)  # fails before the trial if the name cannot be used
        needed = _memory_needed(host, suite, suites) if suite else None
        findings = quick_findings(host, needed)
        if not as_json:
            print_findings(findings)
        if not quick:
            tried = trial(host).finding()
            findings.append(tried)
            if not as_json:
                print_lines(f"{tried.level}: {tried.subject}: {tried.observation}")
                _print_cures([tried])
        if as_json:
            print_json([finding.to_dict() for finding in findings])
        if write_profile:
            path = write(host, write_profile)
            if not as_json:
                print_lines(f"profile: {path}", what_it_changes(host, path))
    return _code(findings)


def quick_findings(host: "Host", needed: int | None) -> "list[DoctorFinding]":
    """What shows at once; `needed` is the memory of a suite's largest step."""
    from ondevice_bench.hardware.doctor import free_memory, profile_match

    return [
        profile_match(host.profile, host.machine),
        *host.findings(),
        free_memory(host.state(), needed),
    ]


def _folder_findings(root: Path, hardware: str | None) -> "list[DoctorFinding]":
    """The findings about another machine, from its files."""
    from ondevice_bench.hardware.doctor import examine, free_memory, profile_match
    from ondevice_bench.hardware.probe import probe
    from ondevice_bench.hardware.profile import recognise
    from ondevice_bench.hardware.state import read_state

    if not root.is_dir():
        raise BadInput(f"{root}: no such folder")
    machine, state = probe(root), read_state(root)
    profile = recognise(machine, hardware)
    threads = profile.threads_on(machine, tuple(range(machine.logical_cores)))
    return [
        profile_match(profile, machine),
        *examine(profile, state, threads, root, _not_there, environment={}),
        free_memory(state, None),
    ]


def _not_there(command: "Sequence[str]") -> str:
    raise ValueError("it would answer for this machine")


def _memory_needed(host: "Host", suite: str, suites: Path | None) -> int | None:
    from ondevice_bench.running.memory_needed import memory_needed
    from ondevice_bench.running.queries.described_suite import described
    from ondevice_bench.suite.load import load_suite

    return memory_needed(host, described(host, load_suite(suite, suites)))


def _code(findings: "Sequence[DoctorFinding]") -> ExitCode:
    disturbed = any(finding.level == "warning" for finding in findings)
    return ExitCode.INCONCLUSIVE if disturbed else ExitCode.OK


def print_findings(findings: "Sequence[DoctorFinding]") -> None:
    """Each finding in a row, then what to do about the warnings."""
    rows = [
        {"": finding.level, "about": finding.subject, "result": finding.observation}
        for finding in findings
    ]
    print_rows(rows, as_json=False)
    _print_cures(findings)


def _print_cures(findings: "Sequence[DoctorFinding]") -> None:
    for finding in findings:
        if finding.level == "warning":
            print_lines(f"{finding.subject}: {finding.effect}\n  {finding.cure}")
