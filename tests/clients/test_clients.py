"""Each method in each client does what docs/clients.md says: one test for each cell of its tables.

`tox -e clients` has the libraries. `tox -e clients -- --rewrite` stores what it finds.
"""

import pytest

from tests.clients import table
from tests.clients.conftest import FOUND
from tests.clients.methods import METHODS
from tests.clients.oracle import BOUND, WRONG, least_update

_REWRITE = "tox -e clients -- --rewrite"
CELLS = [
    pytest.param(group, client, method, id=f"{client.name}, {method.name}")
    for group in table.GROUPS
    for client in group.clients
    for method in METHODS
]


def pytest_generate_tests(metafunc):
    """A test for each cell that this session can fill; one skip tells of all others of a kind."""
    if "method" not in metafunc.fixturenames:
        return
    is_slow = metafunc.config.getoption("--slow", default=False)
    chosen, left = [], {}
    for cell in CELLS:
        group, _, method = cell.values
        why = group.skipped or (not is_slow and group.left_out(method))
        if why:
            skipped = pytest.param(*cell.values, id=cell.id, marks=pytest.mark.skip(reason=why))
            left.setdefault((group.title, why), skipped)
        else:
            chosen.append(cell)
    metafunc.parametrize(("group", "client", "method"), [*chosen, *left.values()])


def test_a_method_does_in_a_client_what_the_page_says(group, client, method, request):
    option = request.config.getoption
    cell = client.name, method.name
    known = table.failure(*cell)
    found = table.find(client, method)
    if option("--rewrite", default=False):
        request.config.stash.setdefault(FOUND, {})[cell] = found
        assert found.kind != WRONG or known, found.note
    elif known is None:
        assert found.kind != WRONG, found.note
        assert found == table.stored()[cell]
    elif found.kind == WRONG:
        pytest.xfail(f"item {known.item}: {known.why}: {found.note}")
    else:
        pytest.fail(f"is {found.kind} now: take it out of known_failures.json ({_REWRITE})")


@pytest.mark.parametrize(
    "client",
    [
        pytest.param(client, id=client.name)
        for group in table.GROUPS
        for client in group.clients
        if group.title.startswith("Networks of") and group.skipped is None
    ],
)
def test_each_layer_of_a_network_learns_enough_to_see_a_wrong_gradient(client):
    assert least_update(client) > 100 * BOUND


@pytest.fixture
def stored(request):
    """The table as it is stored; a session that rewrites it has nothing to compare."""
    if request.config.getoption("--rewrite", default=False):
        pytest.skip("the table is written at the end of this session")
    return table.stored()


def test_the_table_has_every_cell_and_no_other(stored):
    cells = {(client.name, method.name) for _, client, method in (cell.values for cell in CELLS)}
    assert stored.keys() == cells


def test_a_cell_is_wrong_only_where_a_reason_is_known(stored):
    wrong = {cell for cell, found in stored.items() if found.kind == WRONG}
    known = [cell for failure in table.failures() for cell in failure.cells]
    assert sorted(known) == sorted(wrong)


def test_the_page_shows_the_table(stored):
    text = table.PAGE.read_text(encoding="utf-8")
    assert table.page(text) == text, f"{_REWRITE} writes it anew"
