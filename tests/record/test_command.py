"""The command that a store keeps."""

import shlex

import pytest

from ondevice_bench.record.command import without_addresses


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
