"""The content of a baseline's file, checked, as a run and what was accepted since.

Version 1 has a run like that of a bundle. Version 2 has a line for each metric of a cell.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, Field, create_model

from ondevice_bench.declare.schema import Name
from ondevice_bench.errors import BadInput
from ondevice_bench.record.acceptance import Acceptance
from ondevice_bench.record.model import Status
from ondevice_bench.record.run_json import ClosedSchema, RunContent, read_checked, read_run

_Reason = Annotated[str, Field(min_length=1, max_length=2000)]
_PASS_AND_METRIC = r"^[^/]+/[^/]+$"


class _Metric(ClosedSchema):
    values: list[float | None]
    medians: list[float | None] | None = None


class _Process(ClosedSchema):
    pass_name: Name = Field(alias="pass")
    round: Annotated[int, Field(ge=1)]
    status: Status
    reason: str
    launch: str
    started: str
    seconds: Annotated[float, Field(ge=0)]
    unavailable: dict[Name, str]
    details: dict[str, Any]


class _Accepted(ClosedSchema):
    cell: str
    metric: Name
    values: Annotated[list[float], Field(min_length=1)]
    by: _Reason
    because: _Reason


class _Cell(ClosedSchema):
    definition: dict[str, Any]
    planned: dict[str, Any]
    metrics: dict[Annotated[str, Field(pattern=_PASS_AND_METRIC)], _Metric]
    processes: list[_Process]


def read_body(where: str, version: int, values: Mapping[str, Any]) -> RunContent:
    """The run of a file, with what was accepted; BadInput if anything is wrong."""
    if version == 1:
        return read_run(where, json.dumps(values).encode())
    found = read_checked(where, _schema(), json.dumps(values).encode())
    cells, records = [], []
    for place, cell in enumerate(found["cells"]):
        definition = cell["definition"]
        cells.append({"definition": definition, **cell["planned"]})
        records += _records(f"{where}: cells.{place}", definition.get("id"), cell)
    run = {"run": found["run"], "cells": cells, "records": records}
    content = read_run(where, json.dumps(run).encode())
    accepted = tuple(
        Acceptance(**{**each, "values": tuple(each["values"])})
        for each in found.get("accepted", ())
    )
    _require_known(where, content, accepted)
    return replace(content, accepted=accepted)


def _records(where: str, name: Any, cell: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The records of a cell, with the metrics of each of its processes."""
    records = [{"cell": name, "metrics": {}, "samples": {}, **each} for each in cell["processes"]]
    for each in records:
        each.update(state_before={}, state_after={}, output="")
    for key, line in cell["metrics"].items():
        pass_name, _, metric = key.partition("/")
        of_pass = [each for each in records if each.get("pass") == pass_name]
        for kind, field in (("values", "metrics"), ("medians", "samples")):
            column = line.get(kind) or []
            if column and len(column) != len(of_pass):
                raise BadInput(
                    f"{where}.metrics.{key}: has {len(column)} {kind}, but the pass {pass_name} "
                    f"has {'one process' if len(of_pass) == 1 else f'{len(of_pass)} processes'}"
                )
            for record, value in zip(of_pass, column, strict=False):
                if value is not None:
                    record[field][metric] = value if kind == "values" else [value]
    return records


def _require_known(where: str, content: RunContent, accepted: Sequence[Acceptance]) -> None:
    """BadInput for an acceptance of a metric that the run has not, or a second one."""
    metrics: dict[str, set[str]] = {item.cell.id: set() for item in content.cells}
    for record in content.records:
        metrics[record.key.cell] |= {*record.metrics, *record.samples}
    for place, each in enumerate(accepted):
        if each.cell not in metrics:
            raise BadInput(f"{where}: accepted.{place}: the baseline has no cell {each.cell!r}")
        if each.metric not in metrics[each.cell]:
            raise BadInput(f"{where}: accepted.{place}: {each.cell} has no metric {each.metric!r}")
    for (cell, metric), count in Counter((each.cell, each.metric) for each in accepted).items():
        if count > 1:
            raise BadInput(f"{where}: {metric} of {cell} is accepted twice: keep one of the lines")


@cache
def _schema() -> type[BaseModel]:
    return create_model(
        "BaselineFile",
        __base__=ClosedSchema,
        run=(dict[str, Any], ...),
        accepted=(list[_Accepted], []),
        cells=(list[_Cell], ...),
    )
