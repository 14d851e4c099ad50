"""A plan in the terminal: what plain training needs, said once only where it is the same."""

from dataclasses import replace

from ondevice_bench.report.terminal.plan import plan_tables
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.suite.preview import CellPreview, PlainStep
from ondevice_bench.terminal import table_text
from tests.report import synthetic


def text_of(*steps):
    """The table of `vanilla` and `asi`, each with its layers and the step of plain training."""
    cells = synthetic.cells()
    previews = []
    for layers, step in steps:
        for cell in cells[:2]:
            one = replace(cell, layers=layers, id=cell.id.replace("/all/", f"/{layers}/"))
            previews.append(CellPreview(PlannedCell(one, "x86", "planned", ""), step, None))
    (table,) = plan_tables(previews)
    return table_text(table, 100)


WHOLE = PlainStep(40 << 20, 2_000_000_000)


def test_what_is_the_same_for_all_cells_is_in_the_heading():
    text = text_of(("all", WHOLE))
    assert text.count("a step of vanilla takes 40.00 MiB of activations and 2.00 GFLOP") == 1
    assert text.count("MiB") == 1


def test_layers_that_freeze_others_have_a_step_of_their_own():
    text = text_of(("all", WHOLE), ("last:2", PlainStep(3 << 20, 1_000_000_000)))
    rows = [line for line in text.splitlines() if "MiB" in line]
    assert ["last:2" in row for row in rows] == ["3.00 MiB" in row for row in rows]
    assert len(rows) == 4


def test_what_is_not_known_has_its_reason():
    text = text_of(("all", PlainStep(None, None, "no such file")))
    assert "a step of vanilla takes an unknown amount: no such file" in text
