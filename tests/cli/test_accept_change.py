"""Who accepts a change."""

import os

from ondevice_bench.cli.accept_change import _user


def test_a_name_that_is_no_utf8_is_taken_as_far_as_it_is(monkeypatch, workplace):
    for key, value in (
        ("COUNT", "1"),
        ("KEY_0", "user.name"),
        ("VALUE_0", os.fsdecode(b"Jos\xe9")),
    ):
        monkeypatch.setenv(f"GIT_CONFIG_{key}", value)
    assert _user() == "Jos\ufffd"
