"""A validation travels in a bundle. What counts is what the records show."""

import json
from dataclasses import replace

import pytest

from ondevice_bench.analyse.summary import summarise_content
from ondevice_bench.errors import BadInput
from ondevice_bench.papers.claims import JudgedClaim
from ondevice_bench.papers.claims_file import load_published
from ondevice_bench.record import bundle
from ondevice_bench.report.page import render
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.validation.claims import with_what_is_not_measured
from ondevice_bench.validation.pi import first_pi, validated
from tests.record.bundles import content, repacked
from tests.record.conftest import CELL, SECOND, make_record, make_run, planned

NOT_YET = "no Raspberry Pi has measured this yet"


@pytest.fixture
def pi_bundle(pi_run, workplace):
    path = workplace / "pi.bundle"
    bundle.write([pi_run], path, validated(summarise_content(pi_run)).to_dict())
    return path


def test_a_bundle_has_the_runs_and_the_report(pi_run, pi_bundle):
    found = bundle.read_all(pi_bundle)
    assert found.contents == (pi_run,)
    assert found.validation == validated(summarise_content(pi_run)).to_dict()


def test_a_bundle_without_a_report_is_one_of_version_1(workplace):
    import zipfile

    bundle.write([content()], workplace / "a.bundle")
    with zipfile.ZipFile(workplace / "a.bundle") as packed:
        assert json.loads(packed.read("manifest.json"))["version"] == 1
    assert bundle.read_all(workplace / "a.bundle").validation is None


def test_a_folder_as_the_file_is_refused_before_the_measurement(bench, workplace):
    ended = bench("board", "validate", "--out", ".")
    assert (ended.code, ended.err) == (2, "bench: --out: .: is a folder, not a file\n")
    assert not (workplace / "bench-out").exists()


def test_an_imported_validation_of_a_pi_is_found(bench, pi_bundle):
    assert first_pi() is None
    ended = bench("import", pi_bundle)
    assert ended.code == 0
    assert "this validates a Raspberry Pi: Raspberry Pi 5 Model B Rev 1.0" in ended.out
    found = first_pi()
    assert found is not None
    assert found.run.profile == "pi5-8gb"


def test_a_report_is_not_believed(bench, pi_run, workplace):
    """A board that is emulated says that it is a Pi."""
    told = validated(summarise_content(pi_run)).to_dict()
    run = replace(pi_run.run, settings={**pi_run.run.settings, "emulated": True})
    bundle.write([replace(pi_run, run=run)], workplace / "forged.bundle", told)
    ended = bench("import", "forged.bundle")
    assert ended.code == 0
    assert "this validates no Raspberry Pi: this board is emulated" in ended.out
    assert "the board's own report differs" in ended.err
    assert first_pi() is None


def test_a_suite_of_the_users_with_that_name_is_no_validation(bench, workplace):
    bundle.write([content(suite="validate")], workplace / "mine.bundle")
    ended = bench("import", "mine.bundle")
    assert ended.code == 0
    assert "this validates" not in ended.out


GOOD = {
    "run": "r1",
    "profile": "x86",
    "machine": "m",
    "validates_a_pi": False,
    "conclusion": "c",
    "proofs": [{"subject": "page size", "outcome": "passed", "observation": "4 KiB"}],
}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"run": "r2"}, "is about 'r2', which is not in the bundle"),
        ({"run": "../r1"}, "run: String should match pattern"),
        ({"machine": "x" * 5000}, "machine: String should have at most 4000 characters"),
        ({"more": 1}, "more: Extra inputs are not permitted"),
        ({"validates_a_pi": "yes"}, "validates_a_pi: Input should be a valid boolean"),
        ({"proofs": GOOD["proofs"] * 51}, "proofs: List should have at most 50 items"),
        ({"proofs": [{"subject": "a\nb", "outcome": "passed", "observation": ""}]}, "subject"),
        ({"proofs": [{"subject": "a", "outcome": "sure", "observation": ""}]}, "outcome"),
    ],
)
def test_a_hostile_report_is_one_line(workplace, changes, says):
    run = json.dumps(content().to_dict()).encode()
    report = json.dumps({**GOOD, **changes}).encode()
    path = repacked(
        workplace / "a.bundle", {"runs/1.json": run, "validation.json": report}, version=2
    )
    with pytest.raises(BadInput) as error:
        bundle.read(path)
    (line,) = error.value.lines
    assert line.startswith(f"{path}: validation.json: ")
    assert says in line


def test_a_claim_about_a_pi_says_so_until_one_was_validated(bench, pi_bundle):
    published = load_published().claims
    judged = [JudgedClaim(claim, (), (), "not testable here", "") for claim in published]
    marked = {
        each.claim.id for each in with_what_is_not_measured(judged) if NOT_YET in each.claim.says
    }
    assert marked == {claim.id for claim in published if any("pi" in name for name in claim.boards)}
    assert {"asi-pi5", "wasi-pi5-inference"} <= marked
    assert bench("import", pi_bundle).code == 0
    assert with_what_is_not_measured(judged) == tuple(judged)


def page(profile="x86"):
    cells = (*planned(CELL), PlannedCell(SECOND, "pi5", "pending", "pending on pi5"))
    run = make_run(profile=profile)
    cells = tuple(replace(each, profile=profile) if each.cell == CELL else each for each in cells)
    records = (make_record(), make_record(pass_name="trace", metrics={"activation_bytes": 1.0}))
    summary = summarise_content(replace(content(), run=run, cells=cells, records=records))
    return render([summary], "hardware")


def test_a_page_says_so_until_one_was_validated(bench, pi_bundle):
    waiting, of_a_pi = page(), page("pi5-8gb")
    assert "No Raspberry Pi has measured this yet." in waiting
    assert "the results here have no validation of a Raspberry Pi" in of_a_pi
    assert "the results here have no validation of a Raspberry Pi" not in waiting
    assert bench("import", pi_bundle).code == 0
    waiting, of_a_pi = page(), page("pi5-8gb")
    assert "No Raspberry Pi has measured this yet" not in waiting
    assert "A Raspberry Pi was validated on 2026-12-01: Raspberry Pi 5 Model B Rev 1.0" in waiting
    assert "no Raspberry Pi has been validated" not in of_a_pi
