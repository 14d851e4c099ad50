"""`bench prune`: thin the old runs of stores by a rule."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ondevice_bench.cli.arguments import STORES, AsJson
from ondevice_bench.errors import BadInput
from ondevice_bench.terminal import Table, print_errors, print_json, print_lines, print_tables
from ondevice_bench.units import number_of, size

if TYPE_CHECKING:
    from ondevice_bench.record.model import Run
    from ondevice_bench.record.thinning import KeepRule

BASELINES = Path("baselines")


def prune(
    stores: Annotated[
        list[str] | None,
        typer.Argument(metavar="STORE", help=STORES),
    ] = None,
    keep_last: Annotated[
        int, typer.Option(metavar="N", help="Keep the newest N runs of each suite on each board.")
    ] = 0,
    keep_weekly: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Of the latest N weeks that have runs, keep the newest run of each week.",
        ),
    ] = 0,
    baselines: Annotated[
        Path, typer.Option(metavar="DIR", help="Keep the runs of the baselines in this folder.")
    ] = BASELINES,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remove old runs from stores. The newest run of each suite and board always stays."""
    from ondevice_bench.analyse.find_runs import find_stores
    from ondevice_bench.record.origin import commit_text
    from ondevice_bench.record.thinning import KeepRule

    for option, number in (("--keep-last", keep_last), ("--keep-weekly", keep_weekly)):
        if number < 0:
            raise BadInput(f"{option}: must be 0 or more, got {number}")
    if not keep_last and not keep_weekly:
        raise BadInput("say what to keep: --keep-last 30, --keep-weekly 52, or both")
    paths = find_stores(stores or ())
    needed = _runs_of_baselines(baselines) | _runs_of_pis()
    rule = KeepRule(keep_last, keep_weekly, needed)
    rows = [_pruned(path, rule, dry_run=True) for path in paths]  # reads every store first
    if not dry_run:
        rows = [_pruned(path, rule, dry_run=False) for path in paths]
    if as_json:
        print_json({"dry_run": dry_run, "stores": rows})
        return
    for row in rows:
        print_lines(_line(row, dry_run=dry_run))
    table = Table("run", "suite", "profile", "when", "commit", "store")
    for row in rows:
        for run in row["removed"]:
            shown = {**run, "commit": commit_text(run["commit"])}
            table.add_row(*shown.values(), row["store"])
    if table.rows and dry_run:
        print_tables(table)


def _pruned(path: Path, rule: "KeepRule", *, dry_run: bool) -> dict[str, Any]:
    """What was removed from a store, or would be."""
    from ondevice_bench.record.store import Store
    from ondevice_bench.record.thinning import removable
    from ondevice_bench.running.workspace import is_in_use

    def choose(runs: "Sequence[Run]") -> "list[Run]":
        in_use = is_in_use(path.parent)
        return removable(runs, replace(rule, in_use=in_use), now=datetime.now(UTC))

    with Store.open(path) as store:
        lengths, count = store.bytes_by_run(), len(store.runs())
        gone: tuple[Run, ...] = tuple(choose(store.runs_as_added()))
        before = after = store.file_bytes
    share = sum(lengths.get(run.id, 0) for run in gone) / max(1, sum(lengths.values()))
    if gone and not dry_run:
        with Store.create(path) as store:
            gone = store.remove(choose)
            # while a file is made smaller, a run would wait for it, and end
            in_use = "a run measures into this folder" if is_in_use(path.parent) else ""
            if problem := in_use or store.shrink():
                print_errors(f"{path}: the file could not be made smaller: {problem}")
            after = store.file_bytes
    return {
        "store": str(path),
        "runs": count,
        "removed": [
            {
                "run": run.id,
                "suite": run.suite,
                "profile": run.profile,
                "created": run.created,
                "commit": run.commit,
            }
            for run in gone
        ],
        "about_bytes": round(share * before),
        "file_bytes_before": before,
        "file_bytes_after": after,
    }


def _line(row: dict[str, Any], *, dry_run: bool) -> str:
    gone, count = len(row["removed"]), row["runs"]
    runs = f"{gone} of {number_of(count, 'run')}"
    if not gone:
        return f"{row['store']}: nothing to remove: all of {number_of(count, 'run')} stay"
    before = size(row["file_bytes_before"])
    if dry_run:
        about = size(row["about_bytes"])
        return f"{row['store']}: would remove {runs}, about {about} of {before}"
    return f"{row['store']}: removed {runs}: {before} → {size(row['file_bytes_after'])}"


def _runs_of_baselines(folder: Path) -> frozenset[str]:
    """The runs of the baselines in a folder; BadInput if one of the files cannot be read."""
    from ondevice_bench.record import baseline

    if not folder.is_dir():
        if folder != BASELINES:
            raise BadInput(f"--baselines: {folder}: no such folder")
        return frozenset()
    try:
        # not `glob`, which finds nothing in a folder that cannot be read
        paths = sorted(path for path in folder.iterdir() if path.suffix == baseline.SUFFIX)
        return frozenset(baseline.read(path).run.id for path in paths)
    except OSError as error:
        raise BadInput(
            f"--baselines: {folder}: cannot be read: {error.strerror}; no run was removed"
        ) from None
    except BadInput as error:
        raise BadInput(
            f"{error.lines[0]}; no run was removed, because the run of this baseline must stay: "
            "repair or remove this file, or name another folder with --baselines"
        ) from None


def _runs_of_pis() -> frozenset[str]:
    """The runs that validate a Raspberry Pi: reports name them."""
    from ondevice_bench.validation.pi import validated_pis

    return frozenset(each.run.id for each in validated_pis())
