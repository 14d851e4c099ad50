"""`bench baseline save`: a run's figures as a small file."""

import re
from typing import TYPE_CHECKING, Annotated

import typer

from ondevice_bench.cli.arguments import AsJson
from ondevice_bench.errors import BadInput
from ondevice_bench.terminal import print_json

if TYPE_CHECKING:
    pass


def save_baseline(
    name: Annotated[str, typer.Argument(help="The name: baselines/NAME.json is written.")],
    run: Annotated[
        str | None, typer.Argument(help="A suite (its latest run), a run's id, or STORE@RUN.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Keep a run's figures as a small file beside the code; `compare` takes it as its base."""
    from ondevice_bench.analyse.find_runs import find_run
    from ondevice_bench.record import baseline
    from ondevice_bench.record.run_json import Content
    from ondevice_bench.record.store import Store

    if not re.fullmatch(r"[\w.-]+", name):
        raise BadInput(f"baseline {name!r}: letters, digits, '.', '_' and '-' only")
    path, run_id = find_run(run)
    with Store.open(path) as store:
        found = store.run(run_id)
        content = Content(found, store.cells(run_id), store.records(run_id))
    if found.finished is None:
        raise BadInput(f"{run_id} is unfinished: a baseline is of a whole run")
    target = baseline.FOLDER / f"{name}{baseline.SUFFIX}"
    baseline.write(content, target)
    if as_json:
        print_json({"run": run_id, "baseline": str(target)})
    else:
        print(f"baseline: {target}")
