"""The options of the tests of clients; `tox -e clients` uses both.

Only that environment runs these tests. Faults are mended one after the other, and each changes what
`known_failures.json` says.
"""

import os

import pytest

if "BENCH_CLIENTS" not in os.environ:
    collect_ignore_glob = ["test_*.py"]

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
