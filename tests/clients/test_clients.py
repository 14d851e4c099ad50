"""Each method in each client does what docs/clients.md says: one test for each cell of its tables.

`tox -e clients` has the libraries. `tox -e clients -- --rewrite` stores what it finds.
"""

import pytest

from tests.clients import table
from tests.clients.conftest import FOUND
from tests.clients.methods import METHODS
from tests.clients.oracle import WRONG

CELLS = [
    pytest.param(group, client, method.name, id=f"{client.name}, {method.name}")
    for group in table.GROUPS
    for client in group.clients
    for method in METHODS
]


@pytest.mark.parametrize(("group", "client", "method"), CELLS)
def test_a_method_does_in_a_client_what_the_page_says(group, client, method, request):
    option = request.config.getoption
    if group.skipped is not None:
        pytest.skip(group.skipped)
    if group.slow and not option("--slow", default=False):
        pytest.skip("takes minutes (tox -e clients)")
    known = table.failure(client.name, method)
    rewrites = option("--rewrite", default=False)
    if known is not None and not rewrites:
        why = f"item {known.item}: {known.why}"
        request.applymarker(pytest.mark.xfail(strict=True, raises=AssertionError, reason=why))
    found = table.find(client, method)
    if rewrites:
        request.config.stash.setdefault(FOUND, {})[client.name, method] = found
        assert found.kind != WRONG or known, found.note
        return
    assert found.kind != WRONG, found.note
    if known is None:
        assert found == table.stored()[client.name, method]


def test_the_table_has_every_cell_and_no_other():
    cells = {(client.name, method) for _, client, method in (cell.values for cell in CELLS)}
    assert table.stored().keys() == cells


def test_a_cell_is_wrong_only_where_a_reason_is_known():
    wrong = {cell for cell, found in table.stored().items() if found.kind == WRONG}
    known = [cell for failure in table.failures() for cell in failure.cells]
    assert sorted(known) == sorted(wrong)


def test_the_page_shows_the_table():
    text = table.PAGE.read_text(encoding="utf-8")
    assert table.page(text) == text, "tox -e clients -- --rewrite writes it anew"
