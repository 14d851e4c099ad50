"""`fleet.yaml`: what it says, and what is wrong with it."""

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.fleet.fleet_file import Cooling, load_fleet


@pytest.fixture
def fleet(workplace):
    def write(text, *tags):
        path = workplace / "fleet.yaml"
        path.write_text(f"schema: 1\n{text}")
        return load_fleet(path, tags)

    return write


def test_a_file_says_hosts_tags_commands_and_patience(fleet):
    found = fleet(
        "boards:\n"
        "- {host: pi@one, tags: [pi5, a], lock: 'take \"one board\"', unlock: give one}\n"
        "- {host: 'pi@two:2222', profile: pi5}\n"
        "cooling: {celsius: 60, wait: 5m}\n"
        "patience: 1m\n"
    )
    one, two = found.boards
    assert (one.name, one.tags, one.lock) == ("pi@one", ("pi5", "a"), ("take", "one board"))
    assert (two.address.port, two.profile, two.lock) == (2222, "pi5", ())
    assert (found.cooling, found.patience) == (Cooling(60, 300), 60)


def test_only_boards_with_all_tags_take_part(fleet):
    text = "boards: [{host: pi@one, tags: [a, b]}, {host: pi@two, tags: [a]}]\n"
    assert [board.name for board in fleet(text, "a").boards] == ["pi@one", "pi@two"]
    assert [board.name for board in fleet(text, "a", "b").boards] == ["pi@one"]
    with pytest.raises(BadInput, match="--tag: unknown tag 'c'"):
        fleet(text, "c")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("boards: []\n", "fleet.yaml:2: boards: "),
        ("boards: [{host: pi@one}]\nbords: 1\n", "fleet.yaml:3: unknown key 'bords'; did you mean"),
        ("boards: [{host: pi@one, tag: x}]\n", "unknown key 'tag'; did you mean 'tags'"),
        ("boards: [{tags: [x]}]\n", "boards[0].host: is required"),
        ("boards: [{host: one}]\n", "fleet.yaml:2: unknown board 'one'"),
        ("boards:\n- {host: pi@one}\n- {host: pi@one}\n", "fleet.yaml:4: pi@one is listed twice"),
        ("boards: [{host: pi@one, lock: ''}]\n", "an empty command"),
        ("boards: [{host: pi@one, lock: 'a \"b'}]\n", "is not a command"),
        ('boards: [{host: pi@one, lock: "a\\0b"}]\n', "is not a command"),
        ("boards: [{host: pi@one}]\ncooling: {celsius: -3}\n", "cooling.celsius"),
        ("boards: [{host: pi@one}]\npatience: soon\n", "patience"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_place(fleet, text, said):
    with pytest.raises(BadInput) as raised:
        fleet(text)
    (line,) = raised.value.lines
    assert said in line


def test_one_host_under_two_names_is_refused(fleet, workplace):
    (workplace / "hosts.yaml").write_text("schema: 1\nboards: {mine: {address: pi@one}}\n")
    with pytest.raises(BadInput, match=r"fleet.yaml:4: mine is listed twice"):
        fleet("boards:\n- {host: mine}\n- {host: pi@one}\n")


@pytest.fixture
def require_safe():
    pytest.importorskip("distributed", reason="dask is not installed")
    from ondevice_bench.fleet.engine import _require_safe

    return _require_safe


@pytest.mark.parametrize(
    "address", ["tcp://10.0.0.1:8786", "10.0.0.1:8786", "ucx://10.0.0.1:1", "tcp://localhost"]
)
def test_a_scheduler_elsewhere_needs_tls(require_safe, address):
    with pytest.raises(BadInput, match="must be tls://HOST:PORT"):
        require_safe(address)


@pytest.mark.parametrize("address", ["tls://lab:8786", "tcp://127.0.0.1:8786", "tcp://[::1]:8786"])
def test_a_scheduler_on_this_machine_or_with_tls_may_be_used(require_safe, address):
    require_safe(address)


def test_without_a_file_the_line_says_what_to_write(tmp_path):
    path = tmp_path / "fleet.yaml"
    with pytest.raises(BadInput, match="no such file: list the boards in it") as caught:
        load_fleet(path)
    assert "\n" not in str(caught.value)
    path.write_text("schema: 1\nboards:\n  - host: pi@board1\n")  # what the line says
    assert len(load_fleet(path).boards) == 1
