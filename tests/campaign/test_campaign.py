"""A sample of the campaign in the ordinary tests, and all of it in those that take hours."""

import os
import signal
import subprocess
from collections import Counter
from dataclasses import replace

import pytest
import typer

from ondevice_bench.cli.app import app
from tests.campaign import kills, place
from tests.campaign.inputs import try_inputs
from tests.campaign.kills import try_kills
from tests.campaign.kinds import KINDS
from tests.campaign.table import PAGE, rows_of, with_rows
from tests.campaign.tally import Tally
from tests.campaign.verbs import VERBS, Verb
from tests.ci_shell import bench_program

SAMPLE = 12  # changed files of each kind


@pytest.mark.parametrize("count", [SAMPLE, pytest.param(800, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_changed_file_is_read_or_refused(kind, count):
    tally = try_inputs(kind, count, seed=20)
    assert not tally.failures
    assert tally.tried == count


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_file_without_a_change_is_read(kind):
    """A kind whose good file is refused would try nothing."""
    tally = try_inputs(replace(kind, change=lambda good, _: good), 2, seed=20)
    assert (tally.failures, tally.endings) == ([], {"read": 2})


@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize(
    ("count", "seed"),
    [
        (2, 4919),
        pytest.param(1000, 20, marks=pytest.mark.nightly),
    ],  # of the two, one is a run, one a site
)
def test_a_command_that_is_ended_loses_nothing_and_leaves_nothing(
    count, seed, command, tmp_path, monkeypatch
):
    monkeypatch.setattr(place, "BENCH", tmp_path / "bench")  # for those that nobody ends
    with bench_program(tmp_path, command):
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
    monkeypatch.setattr(kills, "prepare", lambda _: None)
    monkeypatch.setattr(
        kills, "_killed", lambda _, verb, chance: (f"{verb.name} {chance.random()}", [])
    )
    for check in ("_whole", "_left"):
        monkeypatch.setattr(kills, check, lambda *_: [])
    monkeypatch.setattr(kills, "PROGRESS", 5)
    verbs = (Verb("one", ("one",), 1), Verb("other", ("other",), 1, share=2))

    def endings(count, first):
        return sum((tally.endings for tally in try_kills(count, 3, first, verbs)), Counter())

    assert endings(8, 0) + endings(4, 8) == endings(12, 0)
    lines = capsys.readouterr().err.splitlines()
    shown = ["5 of 8 kills", "5 of 12 kills", "10 of 12 kills"]
    assert [line.partition(",")[0] for line in lines] == shown


def test_the_page_has_a_row_for_each_kind():
    names = [kind.name for kind in KINDS] + [verb.title for verb in VERBS]
    assert list(rows_of(PAGE.read_text(encoding="utf-8"))) == names


def test_new_rows_replace_those_of_the_same_kind_and_others_stay():
    page = PAGE.read_text(encoding="utf-8")
    one, other, *rest = rows_of(page)
    changed = with_rows(page, [Tally(other, Counter(read=3)), Tally(one)], [other, one, *rest])
    assert list(rows_of(changed)) == [other, one, *rest]
    assert rows_of(changed)[other] == f"| {other} | 3 | read: 3 | 0 |"
    assert rows_of(changed)[one] == rows_of(page)[one]  # it was not tried
    assert (
        with_rows(changed, [], rows_of(page)).replace(rows_of(changed)[other], rows_of(page)[other])
        == page
    )


def verbs_below(command, path=()):
    if not hasattr(command, "commands"):
        yield path
        return
    for name, each in command.commands.items():
        yield from verbs_below(each, (*path, name))


def test_every_verb_is_ended():
    """Of the lists, one stands for all: they only read."""
    ended = [verb.words for verb in VERBS]
    for path in verbs_below(typer.main.get_command(app)):
        words = path[:1] if path[0] == "list" else path
        assert any(each[: len(words)] == words for each in ended), path
