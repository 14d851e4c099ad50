"""What counts as a proof, and what counts as a Raspberry Pi."""

from dataclasses import replace

import pytest

from ondevice_bench.analyse.summarise import summarise_content
from ondevice_bench.record import bundle
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.plan import plan
from ondevice_bench.validation.figures import NAMES, desk_figures, suite_file
from ondevice_bench.validation.pi import is_of_a_pi, validated
from tests.validation.conftest import NEVER, PI, SETTINGS


def judged(content):
    return validated(summarise_content(content))


def outcomes(content):
    return {each.subject: each.outcome for each in judged(content).proofs}


def with_machine(content, profile="pi5-8gb", **changes):
    machine = {**content.run.machine, **changes}
    return replace(content, run=replace(content.run, machine=machine, profile=profile))


def with_settings(content, **changes):
    return replace(content, run=replace(content.run, settings={**SETTINGS, **changes}))


def with_records(content, pass_name, change):
    records = tuple(
        change(record) if record.key.pass_name == pass_name else record
        for record in content.records
    )
    return replace(content, records=records)


def test_a_run_of_a_real_pi_validates_one(pi_run):
    found = judged(pi_run)
    assert {each.outcome for each in found.proofs} == {"passed"}
    assert len(found.proofs) == 7
    assert found.conclusion == (
        "this validates a Raspberry Pi: Raspberry Pi 5 Model B Rev 1.0, pi5-8gb"
    )


def metric(name, value):
    return lambda record: replace(record, metrics={**record.metrics, name: value})


def without(name):
    def change(record):
        kept = {key: value for key, value in record.metrics.items() if key != name}
        return replace(record, metrics=kept, unavailable={name: "no meter"})

    return change


def in_the_first(change):
    """The change in one record of many."""
    left = iter([True])
    return lambda record: change(record) if next(left, False) else record


def curve(change):
    def changed(record):
        return replace(record, details={"curve": {**record.details["curve"], **change}})

    return changed


@pytest.mark.parametrize(
    ("change", "subject", "why"),
    [
        (lambda c: with_machine(c, memory_gib=4), "recognition", "as pi5-4gb, not as pi5-8gb"),
        (lambda c: with_machine(c, physical_cores=2), "recognition", "cores is 2, not 4"),
        (lambda c: with_machine(c, page_bytes=4096), "page size", "4 KiB, not 16 KiB"),
        (
            lambda c: with_records(c, "memory", metric("peak_rss_bytes", 4097 * 1000)),
            "page size",
            "is not a whole number of pages of 16 KiB",
        ),
        (lambda c: with_settings(c, doctor=[]), "throttling bits", "they were not read"),
        (
            lambda c: with_settings(c, doctor=[{**NEVER, "level": "unknown", "said": "no tool"}]),
            "throttling bits",
            "no tool",
        ),
        (lambda c: with_records(c, "energy", without("step_joules")), "power chip", "no meter"),
        (
            lambda c: with_records(c, "energy", metric("step_joules", 0.0)),
            "power chip",
            "a step without energy",
        ),
        (
            lambda c: with_records(c, "memory", metric("rss_step_bytes", 16384)),
            "peaks",
            "do not add up",
        ),
        (lambda c: with_records(c, "memory", without("rss_step_bytes")), "peaks", "do not add up"),
        (
            lambda c: with_records(c, "memory", curve({"rss_bytes": [1, 1e12, 1, 1]})),
            "peaks",
            "MiB more of",
        ),
        (
            lambda c: with_records(c, "memory", in_the_first(without("peak_rss_bytes"))),
            "peaks",
            "has no peak",
        ),
        (
            lambda c: with_records(c, "memory", without("peak_rss_bytes")),
            "page size",
            "no peak was read",
        ),
        (
            lambda c: with_settings(c, measure=["memory", "trace", "energy"]),
            "suite",
            "not measured: time",
        ),
        (
            lambda c: with_records(c, "memory", curve({"marks": []})),
            "peaks",
            "no other process saw",
        ),
        (
            lambda c: with_records(
                c, "time", lambda r: replace(r, status="oom", reason="x", metrics={})
            ),
            "suite",
            ": oom",
        ),
        (lambda c: replace(c, run=replace(c.run, finished=None)), "suite", "unfinished"),
        (
            lambda c: with_records(c, "trace", metric("step_flops", 1.0)),
            "figures",
            "16 differences from the desk: step_flops of ",
        ),
        (
            lambda c: with_records(c, "trace", metric("step_flops", 1.0)),
            "figures",
            f"; the desk has {desk_figures().torch})",
        ),
        (lambda c: replace(c, cells=c.cells[1:], records=()), "figures", "was not measured"),
    ],
)
def test_what_is_wrong_fails_its_proof_and_validates_no_pi(pi_run, change, subject, why):
    found = judged(change(pi_run))
    (proof,) = (each for each in found.failed if each.subject == subject)
    assert why in proof.observation
    assert subject in found.conclusion
    assert found.conclusion.startswith("this validates no Raspberry Pi: not proven: ")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda c: with_settings(c, emulated=True), "this board is emulated"),
        (
            lambda c: with_machine(c, "x86", arch="x86_64"),
            "this machine is Raspberry Pi 5 Model B Rev 1.0 (x86_64)",
        ),
        (lambda c: with_machine(c, "generic", board=""), "this machine is 0x41/0xd0b (aarch64)"),
        (
            lambda c: with_machine(c, "generic", board="Raspberry Pi 3 Model B"),
            "the profile generic is of another board",
        ),
    ],
)
def test_another_machine_validates_no_pi(pi_run, change, why):
    assert judged(change(pi_run)).conclusion == f"this validates no Raspberry Pi: {why}"


def test_a_profile_that_cannot_be_read_fails_the_recognition(pi_run, workplace):
    (workplace / "hardware").mkdir()
    (workplace / "hardware" / "mine.yaml").write_text("schema: 2\n")
    found = judged(pi_run)
    (proof,) = found.proofs
    assert (proof.subject, proof.outcome) == ("recognition", "failed")
    assert "mine.yaml" in proof.observation
    assert found.conclusion == "this validates no Raspberry Pi: not proven: recognition"


def test_the_page_size_of_an_emulated_board_needs_no_peak(pi_run):
    emulated = with_settings(
        with_records(pi_run, "memory", without("peak_rss_bytes")), emulated=True
    )
    found = outcomes(emulated)
    assert (found["page size"], found["peaks"]) == ("passed", "absent")


def test_many_reasons_make_no_report_that_a_bundle_cannot_carry(pi_run, workplace):
    """Each cell has its own long reason for having no energy."""
    names = iter(range(100))

    def fails(record):
        reason = f"{next(names)}: " + "x" * 1000
        return replace(record, metrics={}, unavailable={"step_joules": reason})

    changed = with_records(pi_run, "energy", fails)
    bundle.write([changed], workplace / "a.bundle", judged(changed).to_dict())
    assert bundle.read_all(workplace / "a.bundle").validation == judged(changed).to_dict()


def test_a_desk_proves_what_it_has(pi_run):
    """No firmware that reports throttling, and no power chip of a Pi."""
    desk = with_machine(pi_run, "x86", **{**PI, "arch": "x86_64", "board": "", "page_bytes": 4096})
    found = outcomes(desk)
    assert found.pop("throttling bits") == found.pop("power chip") == "absent"
    assert set(found.values()) == {"passed"}


def test_the_figures_that_ship_are_of_the_suite_that_ships():
    planned = plan(load_suite(str(suite_file())), FakeHost().board, {})
    cells = {each.cell.id: each.cell.fingerprint for each in planned if each.state == "planned"}
    shipped = desk_figures()
    assert {name: each.fingerprint for name, each in shipped.cells.items()} == cells
    for each in shipped.cells.values():
        assert set(each.figures) <= set(NAMES)
        assert {"activation_bytes", "step_flops", "gradient_bytes"} <= set(each.figures)


def test_profiles_of_a_pi_are_known_by_how_they_are_recognised():
    assert is_of_a_pi("pi5-8gb")
    assert is_of_a_pi("pi4")
    assert not is_of_a_pi("x86")
    assert not is_of_a_pi("no such profile")
