"""A sample of the campaign in the ordinary tests, and all of it in those that take hours."""

import os
import signal
import subprocess
from collections import Counter

import pytest

from tests.campaign import kills
from tests.campaign.inputs import KINDS, try_inputs
from tests.campaign.kills import VERBS, try_kills
from tests.campaign.table import PAGE

SAMPLE = 12  # changed files of each kind


@pytest.mark.parametrize("count", [SAMPLE, pytest.param(800, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_changed_file_is_read_or_refused(kind, count):
    tally = try_inputs(kind, count, seed=20)
    assert not tally.failures
    assert tally.tried == count


@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize(
    ("count", "seed"),
    [(2, 34), pytest.param(1000, 20, marks=pytest.mark.nightly)],  # of the two, one is a run
)
def test_a_command_that_is_ended_loses_nothing_and_leaves_nothing(count, seed):
    tallies = try_kills(count, seed)
    assert not [failure for tally in tallies for failure in tally.failures]
    assert sum(tally.tried for tally in tallies) == count


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_a_command_hears_a_signal_that_the_campaign_ignores(number):
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with kills.heard_by_children():
            waiting = subprocess.Popen(["sleep", "60"])
            waiting.send_signal(number)
            assert waiting.wait(timeout=30) == -number
            os.kill(os.getpid(), number)  # this process still ignores it
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_a_campaign_in_parts_ends_the_same_commands(monkeypatch, capsys):
    def prepare(place):
        (place / kills.STORE.parent).mkdir(parents=True, exist_ok=True)

    def killed(place, verb, chance):
        prepare(place)
        return f"{verb.name} {chance.random()}", []

    monkeypatch.setattr(kills, "_prepare", prepare)
    monkeypatch.setattr(kills, "_killed", killed)
    monkeypatch.setattr(kills, "_bench", lambda *_: None)
    monkeypatch.setattr(kills, "_final_problems", lambda *_: [])
    monkeypatch.setattr(kills, "PROGRESS", 5)

    def endings(count, first):
        return sum((tally.endings for tally in try_kills(count, 3, first)), Counter())

    assert endings(8, 0) + endings(4, 8) == endings(12, 0)
    lines = capsys.readouterr().err.splitlines()
    shown = ["5 of 8 kills", "5 of 12 kills", "10 of 12 kills"]
    assert [line.partition(",")[0] for line in lines] == shown


def test_the_page_has_a_row_for_each_kind():
    rows = PAGE.read_text(encoding="utf-8").splitlines()
    for name in [kind.name for kind in KINDS] + [f"`bench {verb.name}` is ended" for verb in VERBS]:
        assert any(row.startswith(f"| {name} | ") for row in rows), name
