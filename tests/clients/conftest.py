"""The options of the tests of clients; `tox -e clients` uses both."""

import pytest

FOUND = pytest.StashKey[dict]()  # the outcomes of this session, by client and method


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("clients")
    group.addoption("--slow", action="store_true", help="also clients that take minutes")
    group.addoption(
        "--rewrite", action="store_true", help="store what is found, and write docs/clients.md anew"
    )


def pytest_sessionfinish(session: pytest.Session) -> None:
    found = session.config.stash.get(FOUND, None)
    if found:
        from tests.clients import table

        table.rewrite(found)
