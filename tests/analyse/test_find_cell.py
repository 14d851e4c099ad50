import pytest

from ondevice_bench.analyse.find_cell import find_cell
from ondevice_bench.errors import BadInput
from tests.record.conftest import CELL, SECOND, planned


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
