"""`bench board validate`: what shows that a board is measured correctly, as one file."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ondevice_bench.cli.arguments import AsJson, BundleFile, Hardware, Quiet, command_line
from ondevice_bench.cli.doctor import print_findings, quick_findings
from ondevice_bench.cli.hosts import On
from ondevice_bench.errors import BadInput, ExitCode
from ondevice_bench.terminal import print_json, print_lines, print_notes, print_rows

if TYPE_CHECKING:
    from ondevice_bench.validation.pi import Validation


def validate(
    on: On = None,
    hardware: Hardware = None,
    out: BundleFile = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> ExitCode:
    """Prove that a board is measured correctly, and write the proofs into one file.

    Without --on, the board is this machine. Exit code 5 if a proof failed.
    """
    from ondevice_bench.analyse.resolve_run import content_at
    from ondevice_bench.api.hosts import measuring_host
    from ondevice_bench.api.measuring import measure
    from ondevice_bench.record import bundle
    from ondevice_bench.record.store import FILE_NAME, OUT
    from ondevice_bench.running.progress import for_terminal
    from ondevice_bench.running.request import request
    from ondevice_bench.suite.load import load_suite
    from ondevice_bench.validation.figures import SUITE, suite_file
    from ondevice_bench.validation.pi import validated

    if out is not None and os.path.isdir(out):  # known before the measurement, which takes minutes
        raise BadInput(f"--out: {out}: is a folder, not a file")
    folder = OUT / SUITE
    with measuring_host(on, hardware) as host:
        findings = quick_findings(host, None)
        if not as_json:
            print_findings(findings)
        task = request(host, load_suite(str(suite_file())), command_line())
        summary = measure(task, folder, for_terminal(quiet=quiet))
    found = validated(summary)
    target = out or Path(f"{summary.run.id}{bundle.SUFFIX}")
    content = content_at(folder / FILE_NAME, summary.run.id)
    bundle.write([content], target, found.to_dict())
    if as_json:
        print_json({**found.to_dict(), "bundle": str(target)})
    else:
        print_validation(found)
        print_lines(f"bundle: {target}")
    return ExitCode.INCONCLUSIVE if found.failed else ExitCode.OK


def print_validation(found: "Validation") -> None:
    """Each proof in a row, then what they show."""
    rows = [{"": p.outcome, "about": p.subject, "result": p.observation} for p in found.proofs]
    print_rows(rows, as_json=False)
    print_notes(found.conclusion)
