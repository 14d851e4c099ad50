"""A run of which a page shows everything."""

import pytest

from tests.report import synthetic


@pytest.fixture
def whole(summary_of):
    cells = [*synthetic.cells(8), *synthetic.cells(16)]
    hot = (cell for cell in cells if cell.method == "vanilla")
    records = [*synthetic.records(cells), *map(synthetic.sustained, hot)]
    return summary_of(records, synthetic.planned(cells), synthetic.run_of())
