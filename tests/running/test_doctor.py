"""The command `bench doctor` on a machine that is made by hand."""

import pytest

from ondevice_bench.cli.app import app
from ondevice_bench.errors import BadInput
from ondevice_bench.hardware.profile import load_profile, recognise
from ondevice_bench.protocol.job import PassResult, Reply
from ondevice_bench.running.hosts import local
from ondevice_bench.running.hosts.fake import MACHINE, FakeHost
from ondevice_bench.running.queries import aa_trial
from ondevice_bench.running.queries.aa_trial import Trial, trial
from ondevice_bench.running.queries.write_profile import what_it_changes, write_profile
from ondevice_bench.stats import change

TIMEOUT = Reply("timeout", "no result within 20 s")
PEAKS = {"float32": [10.0] * 6, "copy": [5.0] * 6}


@pytest.fixture
def doctor(monkeypatch, workplace):
    """Run the doctor on a fake host whose trial is answered so."""

    def run(reply, *words):
        def answer(job):
            if job.pass_name == "machine_peaks":
                return Reply("ok", result=PassResult(samples=PEAKS))
            return reply

        host = FakeHost(answer, profile=load_profile("x86"))
        monkeypatch.setattr(local, "local_host", lambda *_: host)
        return app(["doctor", *words], standalone_mode=False)

    return run


def test_a_trial_that_does_not_end_is_a_warning_and_the_profile_is_written(
    doctor, capsys, workplace
):
    assert doctor(TIMEOUT, "--write-profile", "desk") == 5
    out = capsys.readouterr().out
    said = "warning: A/A trial: the trial did not end in 20 s: the machine is too busy"
    assert said in out.splitlines()
    assert out.index("memory") < out.index(said) < out.index("profile: hardware/desk.yaml")
    assert (workplace / "hardware/desk.yaml").exists()


def test_a_trial_that_cannot_be_measured_is_a_warning_with_the_reason(doctor, capsys):
    assert doctor(Reply("failed", "no such operator")) == 5
    out = capsys.readouterr().out
    assert "warning: A/A trial: the trial's cell could not be measured: no such operator" in out


def test_json_holds_the_trial_and_nothing_else_is_printed(doctor, capsys):
    assert doctor(TIMEOUT, "--json") == 5
    out = capsys.readouterr().out
    assert out.startswith("[")
    assert out.count("the trial did not end in 20 s") == 1


def test_the_checks_are_printed_before_the_trial_begins(doctor, capsys, monkeypatch):
    seen = []

    def look(host):
        seen.append(capsys.readouterr().out)
        return Trial(0, None, "stopped")

    monkeypatch.setattr(aa_trial, "trial", look)
    assert doctor(TIMEOUT) == 5
    assert "available" in seen[0]


@pytest.mark.parametrize("rounds", range(6))
def test_too_few_rounds_for_an_interval_are_said_in_words(rounds):
    times = [1.0, 1.1, 0.9, 1.2, 1.0][:rounds]
    ratio = change(times, times[::-1], threshold=0.05) if rounds else None
    found = Trial(rounds, ratio).finding()
    assert found.level == "unknown"
    plural = "round" if rounds == 1 else "rounds"
    assert found.observation == (
        f"two identical cells, {rounds} {plural} in 20 s: too few for an interval"
    )


def test_rounds_before_a_timeout_do_not_hide_it(monkeypatch):
    monkeypatch.setattr(aa_trial, "SECONDS", 1000.0)
    replies = iter([1.0, 1.0, 1.0])

    def answer(job):
        seconds = next(replies, None)
        if seconds is None:
            return TIMEOUT
        return Reply("ok", result=PassResult(metrics={"step_seconds": seconds}))

    found = trial(FakeHost(answer))
    assert found.rounds == 1
    assert "too busy" in found.finding().observation


def profile_host(name="x86"):
    return FakeHost(
        lambda _: Reply("ok", result=PassResult(samples=PEAKS)), profile=load_profile(name)
    )


def test_a_written_profile_extends_the_one_that_recognised_the_machine(workplace):
    host = profile_host()
    path = write_profile(host, "desk")
    written = recognise(MACHINE)
    assert written.lineage == ("desk", "x86")
    assert written.declared.power == load_profile("x86").declared.power
    assert what_it_changes(host, path) == (
        "From now on this machine is `desk`, which is also `x86`: suites for x86 still run here. "
        "Delete hardware/desk.yaml to undo."
    )


def test_a_second_written_profile_extends_the_first_and_wins(workplace):
    write_profile(profile_host(), "desk")
    write_profile(profile_host("desk"), "desk2")
    assert recognise(MACHINE).lineage == ("desk2", "desk", "x86")


INJECTED = "float32: 1\npower: {command: [x]}\nclock_mhz"


@pytest.mark.parametrize(
    "samples",
    [{}, {"float32": [1.0] * 6}, {"copy": []}, {"copy": [0.0]}, {"copy": [1.0], INJECTED: [1.0]}],
)
def test_peaks_that_make_no_sense_write_no_profile(workplace, samples):
    reply = Reply("ok", result=PassResult(samples=samples))
    host = FakeHost(lambda _: reply, profile=load_profile("x86"))
    with pytest.raises(BadInput, match="no peaks that make sense"):
        write_profile(host, "desk")
    assert not (workplace / "hardware").exists()


@pytest.mark.parametrize("name", ["a" * 201, "my desk"])
def test_a_name_that_no_profile_can_have_is_refused_before_anything_is_measured(workplace, name):
    host = FakeHost(lambda _: pytest.fail("measured"), profile=load_profile("x86"))
    with pytest.raises(BadInput, match="a profile's name becomes part of bundles"):
        write_profile(host, name)
    assert not (workplace / "hardware").exists()


@pytest.mark.parametrize("name", ["my desk", "x86"])
def test_a_name_is_refused_before_the_trial(doctor, capsys, name):
    with pytest.raises(BadInput, match=name):
        doctor(TIMEOUT, "--write-profile", name)
    assert capsys.readouterr().out == ""


def test_a_profile_cannot_extend_itself(workplace):
    with pytest.raises(BadInput, match="x86 is the profile that the new one extends"):
        write_profile(profile_host(), "x86")


def test_a_profile_in_a_file_elsewhere_is_extended_by_its_path(workplace):
    (workplace / "mine.yaml").write_text("schema: 1\ntitle: t\nextends: x86\nthreads: 1\n")
    write_profile(profile_host("./mine.yaml"), "desk")
    assert recognise(MACHINE).lineage == ("desk", "mine", "x86")


def test_a_profile_for_names_only_stays_one(workplace):
    host = profile_host("x86-1core-2g")
    path = write_profile(host, "small")
    assert recognise(MACHINE).name == "x86"
    assert what_it_changes(host, path) == "`small` is used only with `--hardware small`."


def test_a_plan_still_knows_what_the_suite_expects_on_such_a_board(workplace, capsys, monkeypatch):
    text = "schema: 1\ntitle: t\nmodels: [mcunet]\nmethods: [vanilla]\nexpected: {x86: 3m}\n"
    (workplace / "mine.yaml").write_text(text)
    write_profile(profile_host(), "desk")
    counts = {"activation_bytes": 1, "step_flops": 1, "peak_bytes": 1}
    desk = FakeHost(
        lambda _: Reply("ok", result=PassResult(metrics=counts)), profile=load_profile("desk")
    )
    monkeypatch.setattr(local, "planning_host", lambda _: desk)
    app(["plan", "./mine.yaml"], standalone_mode=False)
    assert "(the suite expects 3:00 on such a board)" in capsys.readouterr().out
