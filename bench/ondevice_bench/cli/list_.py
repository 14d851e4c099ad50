"""`bench list`: the names that suites can use, and past runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ondevice_bench.cli.arguments import AsJson, SuitesFolder, Sysroot
from ondevice_bench.errors import BenchError
from ondevice_bench.terminal import print_lines, print_rows
from ondevice_bench.units import about, by_time, clock, moment, natural_key, seconds_between

if TYPE_CHECKING:
    from ondevice_bench.record.model import Run


def list_suites(suites: SuitesFolder = None, as_json: AsJson = False) -> None:
    """List the suites that can be run by name."""
    from ondevice_bench.declare.folders import declared
    from ondevice_bench.suite.load import load_suite

    rows = []
    for name, path in declared("suites", suites).items():
        row = {"name": name, "title": "", "purpose": "", "takes": "", "path": str(path)}
        try:
            suite = load_suite(str(path), suites)
        except BenchError as error:
            row["title"] = f"cannot be read: {error.lines[0]}"
        else:
            times = (f"{clock(seconds)} on {board}" for board, seconds in suite.expected.items())
            row |= {"title": suite.title, "purpose": suite.purpose, "takes": ", ".join(times)}
        rows.append(row)
    print_rows(rows, as_json=as_json)


def list_methods(as_json: AsJson = False) -> None:
    """List the training methods and their options."""
    from ondevice_bench.specs import registry

    print_rows([_spec_row(spec) for spec in registry.methods().values()], as_json=as_json)


def list_models(as_json: AsJson = False) -> None:
    """List the models and their options."""
    from ondevice_bench.specs import registry, single_layer

    print_rows([_spec_row(spec) for spec in registry.models().values()], as_json=as_json)
    if not as_json:
        print_lines(f"a single layer is a model, too: {single_layer.FORMS}")


def list_hardware(sysroot: Sysroot = None, as_json: AsJson = False) -> None:
    """List the hardware profiles. The profile of this machine has a mark."""
    from ondevice_bench.declare.folders import builtin
    from ondevice_bench.hardware.probe import probe
    from ondevice_bench.hardware.profile import Recognise, profiles, recognise

    machine = probe(sysroot or Path("/"))
    here = recognise(machine).name
    found = sorted(profiles().values(), key=lambda each: natural_key(each.name))
    rows = [
        {"name": p.name, "this machine": p.name == here, "title": p.title, "path": str(p.path)}
        for p in found
    ]
    if not as_json:  # our own files are of no interest
        ours = builtin("hardware")
        for row, profile in zip(rows, found, strict=True):
            row["path"] = "" if profile.path.parent == ours else row["path"]
    print_rows(rows, as_json=as_json)
    if not as_json:
        facts = ", ".join(f"{key} {getattr(machine, key)!r}" for key in Recognise.model_fields)
        print_lines(f"profiles recognise this machine by: {facts}")


def list_runs(as_json: AsJson = False) -> None:
    """List the runs in bench-out, oldest first."""
    from ondevice_bench.analyse.find_runs import from_each_store
    from ondevice_bench.record.store import FILE_NAME, OUT, Store

    found = [(str(path), run) for path, runs in from_each_store(Store.runs) for run in runs]
    found.sort(key=lambda each: by_time(each[1].created))
    if as_json:
        rows = [
            {
                "run": run.id,
                "profile": run.profile,
                "started": run.created,
                "finished": run.finished or "",
                "store": store,
            }
            for store, run in found
        ]
    elif not found:
        print_lines(f"no runs in {OUT}: start with `bench run quick`")
        return
    else:  # a store at its usual place is found by the name of the run
        is_usual = all(store == str(OUT / run.suite / FILE_NAME) for store, run in found)
        rows = [
            {
                "run": run.id,
                "profile": run.profile,
                "started": moment(run.created),
                "took": _took(run),
                **({} if is_usual else {"store": store}),
            }
            for store, run in found
        ]
    print_rows(rows, as_json=as_json)


def list_metrics(as_json: AsJson = False) -> None:
    """List the metrics: the pass of each, its unit, which direction is better, and its scope."""
    from ondevice_bench import metrics

    rows = [metric.to_dict() for metric in metrics.ALL]
    if not as_json:
        rows = [
            {
                "name": metric.name,
                "pass": metric.pass_name,
                "unit": metric.unit or "–",
                "better": "lower" if metric.lower_is_better else "higher",
                "kind": metric.kind,
                "scope": metric.scope,
                "title": metric.title,
            }
            for metric in metrics.ALL
        ]
    print_rows(rows, as_json=as_json)


def _took(run: "Run") -> str:
    return about(seconds_between(run.created, run.finished)) if run.finished else "unfinished"


def _spec_row(spec: Any) -> dict[str, Any]:
    options = "\n".join(f"{o.name}: {o.allowed}; {_default(o)}" for o in spec.options)
    return {"name": spec.name, "title": spec.title, "options": options}


def _default(option: Any) -> str:
    if option.default is None:
        return "unset"
    text = str(option.default)
    return f"default {text.lower() if isinstance(option.default, bool) else text}"
