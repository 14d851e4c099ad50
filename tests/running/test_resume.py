"""Which unfinished run goes on, and which one is left alone."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from ondevice_bench.errors import NothingRan
from ondevice_bench.hardware.finding import DoctorFinding
from ondevice_bench.hardware.probe import probe
from ondevice_bench.hardware.profile import load_profile, recognise
from ondevice_bench.protocol.job import Reply
from ondevice_bench.record.model import NOT_OK
from ondevice_bench.running import measurer, resume
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.running.progress import Silent
from ondevice_bench.running.request import Request
from ondevice_bench.running.resume import measured_before
from ondevice_bench.running.session import Interrupted
from ondevice_bench.suite.goal import Goal
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.plan import plan
from tests.running.conftest import well


def set_clock(monkeypatch, **apart):
    """Let runs see another time."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return super().now(tz) + timedelta(**apart)

    for module in (resume, measurer):
        monkeypatch.setattr(module, "datetime", Clock)


def test_an_unfinished_run_goes_on_under_a_profile_that_extends_its_own(world, stored, workplace):
    notes = []
    progress = Silent()
    progress.note = notes.append
    with world() as session:
        session.perform(session.pending()[0])
    hardware = workplace / "hardware"
    hardware.mkdir()
    machine = probe()
    text = f"schema: 1\ntitle: t\nextends: {recognise(machine).name}\n"
    hardware.joinpath("desk.yaml").write_text(text)
    desk = FakeHost(well, profile=load_profile("desk"), machine=machine)
    suite = load_suite("x.yaml")
    with world(progress, host=desk, plan=plan(suite, desk.board)) as session:
        assert notes == [f"continuing {session.run.id}"]
        assert len(session.pending()) == len(session.tasks()) - 1
        session.perform(session.pending()[0])
    assert [len(statuses) for statuses in stored().values()] == [2]


def test_an_unfinished_run_goes_on_where_it_stopped(world, stored, host):
    with world() as session:
        for task in session.pending()[:4]:
            session.perform(task)
    before = len(host.jobs)
    with world() as session:
        assert len(session.pending()) == 5
        session.perform_all(Silent())
    assert len(stored()) == 1
    assert len(host.jobs) == before + 5


def test_a_finished_run_is_followed_by_a_new_one(world, stored):
    for _ in range(2):
        with world() as session:
            session.perform_all(Silent())
    assert len(stored()) == 2


def test_an_unfinished_run_goes_on_though_the_clock_went_back_before_it(world, stored, monkeypatch):
    with world() as session:
        session.perform_all(Silent())
    set_clock(monkeypatch, days=-30)
    with world() as session:
        session.perform(session.pending()[0])
        unfinished = session.run.id
    with world() as session:
        assert session.run.id == unfinished
        session.perform_all(Silent())
    assert len(stored()) == 2


def test_a_run_goes_on_though_the_clock_went_back_during_it(world, stored, host, monkeypatch):
    host.answer = lambda _: Reply("failed", reason="no")
    with world() as session:
        session.perform(session.pending()[0])
    set_clock(monkeypatch, days=-30)
    host.answer = well
    with world(retry=NOT_OK) as session:
        session.perform_all(Silent())
    ((_, statuses),) = stored().items()
    assert set(statuses.values()) == {"ok"}


@pytest.mark.parametrize(
    "change",
    [
        {"commit": "def"},
        {"fresh": True},
        {"host": FakeHost(well, profile=recognise(probe()))},
        {"filters": ("mcunet",)},
        {"origin": "pytest"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_unfinished_run_is_left_alone_if_anything_that_matters_changed(world, stored, change):
    with world() as session:
        session.perform(session.pending()[0])
    with world(**change) as session:
        assert len(session.pending()) == len(session.tasks())
    assert len(stored()) == 2


def test_a_run_of_a_part_in_between_ends_no_run(world, stored):
    """Ctrl-C, a look at one model, and the first command again."""
    with world() as session:
        session.perform(session.pending()[0])
        first = session.run.id
    with world(filters=("mcunet",)) as session:
        session.perform_all(Silent())
    with world() as session:
        assert session.run.id == first
        session.perform_all(Silent())
    with world() as session:  # all of it was measured since
        assert session.run.id not in (first, None)
    assert len(stored()) == 3


def test_other_software_starts_a_new_run_and_says_so(world, stored, monkeypatch, host):
    with world() as session:
        session.perform(session.pending()[0])
    notes = []
    progress = Silent()
    progress.note = notes.append
    monkeypatch.setattr(host, "software", lambda: {**FakeHost().software(), "torch": "3"})
    with world(progress):
        pass
    assert len(stored()) == 2
    assert "stays unfinished: this run has another software" in notes[0]


def test_failures_are_repeated_only_when_asked(world, stored, host):
    host.answer = lambda job: (
        Reply("timeout", reason="slow") if job.pass_name == "trace" else well(job)
    )
    with world() as session:
        session.perform_all(Silent())
        first = session.run.id
    host.answer = well
    host.jobs.clear()
    with world(retry=NOT_OK) as session:
        assert session.run.id == first
        session.perform_all(Silent())
    assert [job.pass_name for job in host.jobs] == ["trace"] * 3
    assert set(stored()[first].values()) == {"ok"}
    nothing = pytest.raises(NothingRan, match="nothing failed, timed out or ran out of memory")
    with nothing, world(retry=NOT_OK):
        pass


@pytest.mark.parametrize(
    ("change", "words"),
    [({"filters": ("mcunet",)}, "plan or settings"), ({"commit": "def"}, "commit")],
)
def test_failures_of_a_plan_that_was_edited_since_cannot_be_repeated(world, host, change, words):
    """The user mends the method that failed: its cells have other fingerprints."""
    host.answer = lambda _: Reply("failed", reason="no")
    with world() as session:
        session.perform(session.pending()[0])
    says = pytest.raises(NothingRan, match=f"another {words} than {session.run.id}, so nothing")
    with says, world(retry=NOT_OK, **change):
        pass


def test_a_retry_that_fails_again_ends_an_unfinished_run(world, host):
    host.answer = lambda _: Reply("failed", reason="no")
    with world() as session:
        session.perform(session.pending()[0])
    with world(retry=NOT_OK) as session:
        session.perform_all(Silent())
        assert session.store.run(session.run.id).finished
        assert set(session.store.statuses(session.run.id).values()) == {"failed"}


CALIBRATED = """\
schema: 1
title: t
models: [{mcunet: {batch: 1}}]
methods: [{asi: {fraction: 0.25}}]
measure: [trace, time]
"""


def test_a_retry_that_is_interrupted_after_it_chose_ranks_goes_on(world, workplace, host):
    """What was skipped for want of ranks is still to be measured."""
    (workplace / "x.yaml").write_text(CALIBRATED)
    host.answer = lambda _: Reply("failed", reason="no")
    with world() as session:
        session.perform_all(Silent())
        assert [*session.store.statuses(session.run.id).values()] == [
            "failed",
            "skipped",
            "skipped",
        ]
        first = session.run.id
    host.answer = well
    with world(retry=NOT_OK) as session:
        session.perform(session.pending()[0])
    for retry in (NOT_OK, frozenset()):
        with world(retry=retry, extends=not retry) as session:
            assert session.run.id == first
            assert [task.pass_name for task in session.pending()] == ["trace", "time"]
    with world(retry=NOT_OK) as session:
        session.perform_all(Silent())
        assert set(session.store.statuses(first).values()) == {"ok"}


@pytest.mark.parametrize("command", ["bench run x", "bench run --fresh x", "bench run x --fresh"])
def test_an_interrupt_says_what_is_kept_and_how_to_go_on(world, stored, host, command):
    def answer(job):
        if len(host.jobs) == 3:
            raise KeyboardInterrupt
        return well(job)

    host.answer = answer
    how = "`bench run x`"  # `--fresh` would start another run
    with (
        pytest.raises(Interrupted, match=rf"2 of 9 measurements are stored .*{how} continues"),
        world(command=command) as session,
    ):
        session.perform_all(Silent())
    ((_, statuses),) = stored().items()
    assert len(statuses) == 2


def test_a_run_that_goes_on_has_the_goal_of_the_latest_command(world):
    suite = load_suite("x.yaml")
    asked = replace(suite, goal=Goal("activation_bytes"))
    warning = DoctorFinding("load", "warning", "9", "times are too long")
    with world(budget=60.0) as session:
        session.perform(session.pending()[0])
        begun = session.run
    with world(suite=asked, findings=(warning,)) as session:
        assert session.run == session.store.run(begun.id)
        settings = session.run.settings
        assert settings["goal"]["minimise"] == "activation_bytes"
        assert settings["budget_seconds"] is None
        assert settings["doctor"] == [warning.to_dict()]
        assert session.run.as_begun == session.store.run(begun.id).as_begun == begun.as_begun
    with world() as session:
        assert session.run.settings["goal"]["minimise"] == "step_seconds"
        assert session.run.settings["doctor"] == [warning.to_dict()]  # it is about earlier records
        assert session.run.as_begun.settings["budget_seconds"] == 60.0


def test_what_the_doctor_did_not_know_is_replaced_by_what_it_knows_later(world):
    """Such as bits of throttling, after the user may ask the firmware."""
    unknown = DoctorFinding("throttling", "unknown", "it may not ask the firmware")
    known = DoctorFinding("throttling", "ok", "never since boot")
    for found, stored in ((unknown, unknown), (known, known), (unknown, known)):
        with world(findings=(found,)) as session:
            assert session.run.settings["doctor"] == [stored.to_dict()]


@pytest.mark.parametrize(("limit", "runs"), [(1 << 30, 1), (2 << 30, 2), (None, 2)])
def test_a_run_is_extended_only_under_the_same_limit_of_memory(world, stored, host, limit, runs):
    host.memory_limit = 1 << 30
    with world(filters=("mcunet",), extends=True) as session:
        session.perform_all(Silent())
    host.memory_limit = limit
    with world(extends=True):
        pass
    assert len(stored()) == runs


def test_another_meter_is_another_run_and_no_meter_changes_nothing(workplace):
    (workplace / "hardware").mkdir()

    def request_of(power, measure):
        text = f"schema: 1\ntitle: t\n{power}"
        (workplace / "hardware" / "desk.yaml").write_text(text)
        desk = FakeHost(profile=load_profile("desk"))
        suite = replace(load_suite("quick"), measure=(measure,))
        return Request(suite, plan(suite, desk.board), desk, "abc", "bench run quick")

    plain, rapl, rails = (
        request_of(power, "energy") for power in ("", "power: rapl\n", "power: {hwmon: [VDD]}\n")
    )
    assert "power" not in plain.settings
    assert (rapl.settings["power"], rails.settings["power"]) == ("rapl", {"hwmon": ["VDD"]})
    assert len({each.definition for each in (plain, rapl, rails)}) == 3
    assert "power" not in request_of("power: rapl\n", "time").settings


@pytest.mark.parametrize(
    ("change", "is_known"),
    [
        ({}, True),
        ({"commit": "def"}, False),
        ({"software": {**FakeHost().software(), "torch": "3"}}, False),
        ({"answer": lambda _: Reply("failed", reason="no")}, False),
    ],
    ids=["same", "commit", "software", "failed"],
)
def test_only_a_run_with_results_of_the_same_code_was_measured_before(
    world, host, change, is_known
):
    host.answer = change.get("answer", well)
    with world() as session:
        session.perform_all(Silent())
        request = replace(session._request, commit=change.get("commit", "abc"))
        software = {**session.run.software, **change.get("software", {})}
        found = measured_before(session.store, request, software)
        assert (found is not None) == is_known
