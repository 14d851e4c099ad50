"""The command that a store keeps."""

import shlex

import pytest

from ondevice_bench.record.command import command_text, without_addresses


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["--on", "pi@192.168.1.20:2222"], "--on BOARD"),
        (["--on=pi@board1", "--fresh"], "--on BOARD --fresh"),
        (["--on", "pi@[fe80::1%eth0]"], "--on BOARD"),
        (["--on=pi@[fe80::1%eth0]"], "--on BOARD"),
        (["--on", "board1"], "--on board1"),
        (["--filter", "my@v2"], "--filter my@v2"),
        (["--scheduler", "tls://lab:8786", "--fresh"], "--scheduler ADDRESS --fresh"),
        (["--scheduler=tls://[fe80::1]:8786"], "--scheduler ADDRESS"),
    ],
)
def test_no_address_of_a_board_is_in_it(words, kept):
    command = shlex.join(["bench", "run", "quick", *words])
    assert without_addresses(command) == f"bench run quick {kept}"


def test_no_address_of_a_board_is_in_a_call():
    call = "run(Suite(name='mine'), budget='10m', on='{}')"
    assert without_addresses(call.format("pi@192.168.1.20")) == call.format("BOARD")
    assert without_addresses(call.format("board1")) == call.format("board1")


def test_a_path_that_is_no_utf8_can_be_stored():
    assert (
        command_text(["bench", "run", "a b", "--out", "r\udce9s"])
        == r"bench run 'a b' --out 'r\xe9s'"
    )
