"""The summary of the run that a user's text names: in a store, a bundle or a baseline."""

from pathlib import Path

from ondevice_bench.analyse.find_runs import find_run, latest_runs, split_reference
from ondevice_bench.analyse.summarise import summarise, summarise_content
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.errors import BadInput, unknown
from ondevice_bench.record import baseline, bundle
from ondevice_bench.record.run_json import RunContent
from ondevice_bench.record.store import Store
from ondevice_bench.terminal import print_errors


def summary_of(reference: str) -> RunSummary:
    """The run that `reference` names for `bench compare`.

    It is a stored run as for `find_run`, `FILE.bundle` (its only run), `FILE.bundle@RUN`, or the
    file of a baseline.
    """
    path, run = split_reference(reference)
    if reference.endswith(baseline.SUFFIX):
        return summarise_content(baseline.read(Path(reference)))
    if path.endswith(bundle.SUFFIX):
        return summarise_content(_content_of_bundle(Path(path), run))
    return stored_summary(reference)


def stored_summary(reference: str | None) -> RunSummary:
    """The summary of the stored run that `find_run` finds."""
    return summary_at(*find_run(reference))


def summary_at(path: Path, run_id: str) -> RunSummary:
    """The summary of a run in this store."""
    with Store.open(path) as store:
        return summarise(store, store.run(run_id))


def latest_summaries() -> list[RunSummary]:
    """The latest run of each suite on each profile. A run that cannot be read is left out.

    A line on standard error names its store.
    """
    found = []
    for place in latest_runs():
        try:
            found.append(summary_at(*place))
        except BadInput as error:
            print_errors(f"left out: {error.lines[0]}")
    return found


def stored_content(reference: str | None) -> RunContent:
    """The complete content of the stored run that `find_run` finds."""
    return content_at(*find_run(reference))


def content_at(path: Path, run_id: str) -> RunContent:
    """The complete content of a run in this store."""
    with Store.open(path) as store, store.one_state():
        return RunContent(store.run(run_id), store.cells(run_id), store.records(run_id))


def _content_of_bundle(path: Path, run: str) -> RunContent:
    runs = {content.run.id: content for content in bundle.read(path)}
    if run in runs:
        return runs[run]
    if run or len(runs) != 1:
        problem = unknown("run", run, runs) if run else f"holds {len(runs)} runs: {', '.join(runs)}"
        raise BadInput(f"{path}: {problem}" + ("" if run else f": choose one with {path}@RUN"))
    return next(iter(runs.values()))
