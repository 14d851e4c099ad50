"""A lab on this machine: every board has an sshd and a folder of its own, and an own unit."""

import json

import pytest

from tests.remote.conftest import own_server, quick_python, server  # noqa: F401  # fixtures


@pytest.fixture
def lab(workplace, server, own_server, quick_python):  # noqa: F811  # fixtures
    """Write a lab of two boards: `board1`, and `board2` with a server that a test may stop."""

    def write(rules=(), **settings):
        hosts, listed = {}, []
        for number, (name, at) in enumerate((("board1", server), ("board2", own_server))):
            there = workplace / f"there-{name}"
            there.mkdir(exist_ok=True)
            own = {"hello": {"unit": f"{number + 1:012x}"}, **dict(rules).get(name, {})}
            (there / "rules.json").write_text(json.dumps(own))
            hosts[name] = {
                "address": at.address,
                "folder": str(there),
                "python": str(quick_python),
                "ssh_config": str(at.config),
            }
            listed.append({"host": name, "tags": [name]})
        (workplace / "hosts.yaml").write_text(json.dumps({"schema": 1, "boards": hosts}))
        fleet = {"schema": 1, "boards": listed, "patience": 2, **settings}
        (workplace / "fleet.yaml").write_text(json.dumps(fleet))

    return write
