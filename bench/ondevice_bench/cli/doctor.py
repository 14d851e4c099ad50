"""`bench doctor`: what about this machine disturbs measurements."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ondevice_bench.cli.arguments import AsJson, Hardware, SuitesFolder, Sysroot, suite_of
from ondevice_bench.errors import BadInput, ExitCode
from ondevice_bench.terminal import print_json, print_rows

if TYPE_CHECKING:
    from ondevice_bench.hardware.doctor import Finding
    from ondevice_bench.suite.suite import Suite


def doctor(
    suite: Annotated[
        str | None, typer.Argument(help="A suite whose need of memory is to be looked at.")
    ] = None,
    suites: SuitesFolder = None,
    hardware: Hardware = None,
    quick: Annotated[bool, typer.Option("--quick", help="Without the trial of 20 s.")] = False,
    sysroot: Sysroot = None,
    write_profile: Annotated[
        str | None,
        typer.Option(
            "--write-profile", metavar="NAME", help="Write a measured hardware/NAME.yaml."
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Look for what disturbs measurements here; exit code 5 where something does."""
    from ondevice_bench.hardware import doctor as findings
    from ondevice_bench.hardware.probe import probe
    from ondevice_bench.hardware.profile import recognise
    from ondevice_bench.hardware.state import allowed_cpus, read_state

    root = sysroot or Path("/")
    if not root.is_dir():
        raise BadInput(f"{root}: no such folder")
    if sysroot and (suite or write_profile):
        raise BadInput("--sysroot is another machine: nothing can be measured or asked for there")
    machine, state = probe(root), read_state(root)
    profile = recognise(machine, hardware)
    allowed = tuple(range(machine.logical_cores)) if sysroot else allowed_cpus()
    threads = profile.threads_on(machine, allowed)
    needed = _needed(suite_of(suite, suites, None), hardware) if suite else None
    found = [
        findings.like_the_profile(profile, machine),
        *findings.examine(profile, state, threads, root, environment={} if sysroot else os.environ),
        findings.free_memory(state, needed),
    ]
    cpus = profile.cpus_on(allowed)
    if not quick and not sysroot:
        from ondevice_bench.run.queries.aa_trial import trial

        found.append(trial(threads, cpus, lambda: None).finding())
    _say(found, as_json)
    if write_profile:
        from ondevice_bench.run.queries.write_profile import write_profile as write

        print(f"profile: {write(write_profile, machine, threads, cpus)}")
    disturbed = any(finding.level == "warning" for finding in found)
    return ExitCode.INCONCLUSIVE if disturbed else ExitCode.OK


def _needed(suite: "Suite", hardware: str | None) -> int | None:
    """What the tensors of the suite's largest vanilla step take at its highest moment."""
    from ondevice_bench.run.queries.preview import outline
    from ondevice_bench.run.request import request

    asked = request(suite, "", hardware)
    here = [item for item in asked.plan if item.state == "planned"]
    outlined = outline(suite, asked.board, here, asked.threads, {})
    peaks = [item.vanilla.peak_bytes for item in outlined]
    return max((peak for peak in peaks if peak is not None), default=None)


def _say(found: "list[Finding]", as_json: bool) -> None:
    if as_json:
        print_json([finding.to_json() for finding in found])
        return
    rows: list[dict[str, Any]] = [
        {"": finding.level, "about": finding.subject, "found": finding.said} for finding in found
    ]
    print_rows(rows, as_json=False)
    for finding in found:
        if finding.level == "warning":
            print(f"{finding.subject}: {finding.effect}\n  {finding.cure}")
