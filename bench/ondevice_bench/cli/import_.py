"""`bench import`: the runs of a bundle, or readings of another tool, into the results here."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ondevice_bench.cli.arguments import AsJson
from ondevice_bench.cli.validate_board import print_validation
from ondevice_bench.errors import BadInput
from ondevice_bench.terminal import print_errors, print_json, print_lines, print_notes

if TYPE_CHECKING:
    from ondevice_bench.record.bundle import Bundle
    from ondevice_bench.validation.pi import Validation


def import_(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A file of `bench export`, or of `pytest --benchmark-json` (pytest-benchmark).",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="The folder for the results (default: bench-out/SUITE, or bench-out/foreign for "
            "JSON of pytest-benchmark).",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add the runs of a bundle to the results here. A run that is here gets its newer results.

    Readings of pytest-benchmark become foreign metrics. `bench history` has a table of them.
    """
    from ondevice_bench.record.foreign import is_foreign

    if is_foreign(path):
        _import_foreign(path, out, as_json=as_json)
    else:
        _import_bundle(path, out, as_json=as_json)


def _import_foreign(path: Path, out: Path | None, *, as_json: bool) -> None:
    from ondevice_bench.record.foreign import FOLDER, keep, read_pytest_benchmark
    from ondevice_bench.record.store import OUT
    from ondevice_bench.report.terminal.foreign import foreign_line, foreign_row

    run = read_pytest_benchmark(path)
    kept, is_new = keep(run, out or OUT / FOLDER)
    if as_json:
        print_json(foreign_row(run, kept, is_new=is_new))
    else:
        print_notes(foreign_line(run, kept, is_new=is_new))


def _import_bundle(path: Path, out: Path | None, *, as_json: bool) -> None:
    from ondevice_bench.record import bundle
    from ondevice_bench.record.store import FILE_NAME, OUT, Store
    from ondevice_bench.report.terminal.bundle import bundle_line, bundle_row

    rows = []
    found = bundle.read_all(path)
    validations = [*_validations(found)]
    for content in found.contents:  # before any of them is stored
        path_here = (out or OUT / content.run.suite) / FILE_NAME
        if path_here.exists():
            with Store.create(path_here) as store:
                store.check_merge(content.run, content.cells, content.records)
    for content in found.contents:
        folder = out or OUT / content.run.suite
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"{folder}: cannot be written: {error.strerror}") from None
        with Store.create(folder / FILE_NAME) as store:
            added = store.merge(content.run, content.cells, content.records)
        rows.append({**bundle_row(content), "new": added, "store": str(folder / FILE_NAME)})
    if as_json:
        judged = [each.to_dict() for each in validations]
        print_json({"bundle": str(path), "runs": rows, "validations": judged})
    else:
        print_notes(*map(bundle_line, rows))
        for each in validations:
            print_validation(each)
        print_lines(f"bundle: {path}")


def _validations(found: "Bundle") -> "Iterator[Validation]":
    """The validations among the runs. Each is judged here, by its records."""
    from ondevice_bench.analyse.summarise import summarise_content
    from ondevice_bench.validation.figures import SUITE, is_of_this_suite
    from ondevice_bench.validation.pi import validated

    told = found.validation
    for content in found.contents:
        is_told = told is not None and told["run"] == content.run.id
        if is_told or (content.run.suite == SUITE and is_of_this_suite(content.cells)):
            judged = validated(summarise_content(content))
            yield judged
            if is_told and told != judged.to_dict():
                print_errors("the board's own report differs from its records; the records count")
