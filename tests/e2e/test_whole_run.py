"""`bench compare` of stored runs of which the truth is known: a slower day, a busy machine."""

import random

import pytest

from ondevice_bench.record.store import Store
from tests.record.conftest import make_record
from tests.report import synthetic

CELLS = synthetic.cells()[:4]
STEP = "step_seconds"


def store(workplace, name, *, machine=1.0, noise=0.005, slower=None):
    """A run whose cells took these multiples of their time, in ten rounds."""
    dice = random.Random(name)
    records = [
        make_record(
            name,
            cell=cell,
            number=number,
            samples={STEP: [machine * (2.0 if cell is slower else 1.0) * dice.lognormvariate(0, noise)]},
            started=f"2026-01-01T10:{number:02}:{place:02}+00:00",
        )
        for number in range(1, 11)
        for place, cell in enumerate(CELLS)
    ]  # fmt: skip
    with Store.create(workplace / f"{name}.sqlite") as made:
        made.add_run(synthetic.run_of(name), synthetic.planned(CELLS))
        for record in records:
            made.add_record(record)
    return f"{name}.sqlite"


def test_a_slower_day_is_not_decided_and_a_slower_method_is_a_regression(bench, workplace):
    base, day = store(workplace, "a"), store(workplace, "b", machine=1.3)
    ended = bench("compare", base, day)
    assert ended.code == 5, ended.err
    assert "the whole run is slower, step_seconds 1.3" in " ".join(ended.out.split())
    assert "0 regressed" in ended.out
    said = bench("compare", base, day, "--json").json()
    (change,) = said["whole_run"]
    assert change["lowest"] <= change["ratio"] <= change["highest"]
    assert said["exit_code"] == 5
    summary = bench("compare", base, day, "--format", "md")
    assert summary.out.startswith("## ⚠️ Not decided: the whole run is slower")
    method = bench("compare", base, store(workplace, "c", machine=1.3, slower=CELLS[1]))
    assert method.code == 4
    assert "1 regressed" in method.out
    assert bench("compare", day, base).code == 0  # faster


@pytest.mark.parametrize(
    ("noise", "code", "line"), [(0.5, 5, "0 of 4 cells could be decided"), (0.005, 0, "")]
)
def test_a_machine_that_is_always_busy_is_named(bench, workplace, noise, code, line):
    sides = [store(workplace, name, noise=noise) for name in "ab"]
    ended = bench("compare", *sides)
    assert ended.code == code, ended.out
    assert line in " ".join(ended.out.split())
    assert ("could be decided" in ended.out) == bool(line)
    decided = bench("compare", *sides, "--json").json()["decided"]
    assert decided == {"cells": 0 if line else 4, "of": 4}
