"""A run with its progress on standard error. `run` and `claims` share it."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ondevice_bench.analyse.summary import RunSummary
    from ondevice_bench.run.request import Request


def measure(task: "Request", folder: Path, *, quiet: bool) -> "RunSummary":
    """Measure what is left of the request, and summarise its run."""
    from ondevice_bench.analyse.summary import summarise
    from ondevice_bench.report.terminal.plan import plan_misfits
    from ondevice_bench.run.progress import for_terminal
    from ondevice_bench.run.session import open_session

    progress = for_terminal(quiet=quiet)
    task.host.tell = progress.note
    try:
        with open_session(task, folder, progress) as session:
            progress.prepare("looking for cells that cannot fit …")
            for line in plan_misfits(session.preview(), task.host.board):
                progress.note(line)
            session.perform_all(progress)
            return summarise(session.store, session.store.run(session.run.id))
    finally:
        progress.close()
