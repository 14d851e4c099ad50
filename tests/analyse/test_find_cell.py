from dataclasses import replace

import pytest

from ondevice_bench.analyse.find_cell import find_cell
from ondevice_bench.errors import BadInput
from ondevice_bench.suite.planned_cell import PlannedCell
from tests.record.conftest import CELL, SECOND, make_record, planned
from tests.report import synthetic


@pytest.fixture
def run(summary_of):
    return summary_of([], planned(CELL, SECOND))


@pytest.mark.parametrize("text", [CELL.id, "b8", "VANILLA b8", "mcunet b8 s0"])
def test_a_cell_is_found_by_its_id_or_by_words_of_it(run, text):
    assert find_cell(run, text).id == CELL.id


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mcunet", "r1: 2 cells match 'mcunet': mcunet/vanilla/all/b8/s0, mcunet/vanilla/all/b2"),
        ("mcunet/vanilla/all/b9/s0", "r1: unknown cell .*; did you mean 'mcunet/vanilla/all/b"),
    ],
)
def test_words_of_no_or_several_cells_are_refused(run, text, says):
    with pytest.raises(BadInput, match=says):
        find_cell(run, text)


def test_only_some_of_many_cells_are_listed(summary_of):
    cells = [replace(CELL, id=f"mcunet/vanilla/all/b{batch}/s0") for batch in range(1, 200)]
    for text, says in (("asi", "unknown cell 'asi'"), ("vanilla", "199 cells match 'vanilla'")):
        with pytest.raises(BadInput) as error:
            find_cell(summary_of([], planned(*cells)), text)
        (line,) = error.value.lines
        assert line.startswith(f"r1: {says}")
        assert "mcunet/vanilla/all/b5/s0 …" in line
        assert len(line) < 250


def test_a_whole_word_fits_better_than_a_part_of_one(summary_of):
    found = summary_of([], synthetic.planned(synthetic.cells()))
    assert find_cell(found, "asi 0.125").id == "mcunet/asi(fraction=0.125)/all/b8/s0"
    assert find_cell(found, "asi 0.25").id == "mcunet/asi(fraction=0.25)/all/b8/s0"
    assert find_cell(found, "was 0.25").id == "mcunet/wasi(fraction=0.25)/all/b8/s0"
    with pytest.raises(BadInput, match=r"2 cells match 'asi': mcunet/asi\(fraction=0.125\)/all/b8"):
        find_cell(found, "asi")


def test_a_name_from_the_table_is_found(summary_of):
    cell = replace(CELL, id="mcunet/asi(epsilon=0.8)/all/b8/s0", method_options=(("epsilon", 0.8),))
    assert find_cell(summary_of([], planned(cell)), "asi ε=0.8").id == cell.id


def test_a_measured_cell_goes_before_pending_ones(summary_of):
    items = [
        *planned(CELL),
        *(PlannedCell(CELL, board, "pending", "pending") for board in ("pi5", "pi4")),
    ]
    found = summary_of([make_record(metrics={"step_seconds": 1.0})], items)
    assert find_cell(found, "vanilla").status != "pending"
    with pytest.raises(BadInput, match="3 cells match 'vanilla'"):
        find_cell(summary_of([], items), "vanilla")


def test_the_nearest_word_is_named(run):
    with pytest.raises(BadInput, match=r"unknown cell 'vanila'; did you mean 'vanilla'\?"):
        find_cell(run, "vanila")
