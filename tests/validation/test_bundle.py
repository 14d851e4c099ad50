"""A validation travels in a bundle. What counts is what the records show."""

import json
from dataclasses import replace

import pytest

from ondevice_bench.analyse.summarise import summarise_content
from ondevice_bench.errors import BadInput
from ondevice_bench.papers.claims import JudgedClaim
from ondevice_bench.papers.claims_file import load_published
from ondevice_bench.papers.evidence import MeasuredClaim
from ondevice_bench.record import bundle
from ondevice_bench.report.page import render
from ondevice_bench.stats import Estimate
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.validation.claims import with_what_is_not_measured
from ondevice_bench.validation.pi import are_validated, caveat, validated, validated_pis
from tests.record.bundles import content, repacked
from tests.record.conftest import CELL, SECOND, make_record, make_run, planned

NOT_YET = "no Raspberry Pi has measured this yet"
UNPROVEN = "no Raspberry Pi that is known to be validated has measured this yet"
UNIT, OTHER = "0123456789ab", "ffffffffffff"


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
    assert validated_pis() == ()
    ended = bench("import", pi_bundle)
    assert ended.code == 0
    assert "this validates a Raspberry Pi: Raspberry Pi 5 Model B Rev 1.0" in ended.out
    (found,) = validated_pis()
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
    assert validated_pis() == ()


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
    # the validation says that a Pi is measured correctly, not that it has measured these claims
    after = with_what_is_not_measured(judged)
    assert {each.claim.id for each in after if NOT_YET in each.claim.says} == marked


def measured_on(*units, differs=()):
    number = Estimate(1.0, None, None, "")
    return MeasuredClaim(
        "r1", "pi5-8gb", "cell", "step_seconds", number, 1, differs, "", frozenset(units)
    )


@pytest.mark.parametrize(
    ("measured", "says"),
    [
        ((), NOT_YET),
        ((measured_on(UNIT, differs=("batch 8 instead of 128",)),), NOT_YET),
        ((measured_on(),), UNPROVEN),
        ((measured_on(OTHER),), UNPROVEN),
        ((measured_on(UNIT, OTHER),), UNPROVEN),  # a fleet
        ((measured_on(OTHER), measured_on(UNIT)), ""),
    ],
)
def test_only_numbers_of_the_validated_board_make_a_claim_a_measured_one(
    bench, pi_bundle, measured, says
):
    assert bench("import", pi_bundle).code == 0
    claim = next(each for each in load_published().claims if each.id == "asi-pi5")
    (found,) = with_what_is_not_measured([JudgedClaim(claim, (), measured, "reproduced", "")])
    assert found.claim.says == claim.says + (f" ({says})" if says else "")


def test_a_validation_of_one_pi_says_nothing_of_another(pi_run):
    one = validated(summarise_content(pi_run))
    named = "Raspberry Pi 5 Model B Rev 1.0, pi5-8gb, unit 0123456789ab (2026-12-01, run r1)"
    assert one.board == named
    assert caveat({UNIT}, [one]) == ""
    nothing = caveat({UNIT}, [])
    assert "have no validation of a Raspberry Pi: `bench board validate` proves" in nothing
    other = caveat({OTHER}, [one])
    assert other.startswith(f"the results here have no validation of unit {OTHER}: `bench ")
    assert other.endswith(f"; they have a validation of one board only: {named}")
    assert f"of unit {OTHER}: " in caveat({UNIT, OTHER}, [one])
    unknown = caveat((), [one])
    assert unknown.startswith("it is unknown whether this Raspberry Pi was validated: its run")
    assert unknown.endswith(named)


def test_a_validation_of_an_unknown_unit_is_of_no_known_board(pi_run):
    machine = {name: each for name, each in pi_run.run.machine.items() if name != "unit"}
    one = validated(summarise_content(replace(pi_run, run=replace(pi_run.run, machine=machine))))
    assert "unit not recorded" in one.board
    assert not are_validated((), [one])
    assert not are_validated({""}, [one])


def test_of_each_board_the_latest_validation_counts(bench, pi_run, workplace):
    runs = []
    for number, unit in enumerate((UNIT, OTHER, UNIT)):
        created = f"2026-12-0{number + 1}T10:00:00+00:00"
        machine = {**pi_run.run.machine, "unit": unit}
        run = replace(pi_run.run, id=f"v{number}", machine=machine, created=created)
        records = tuple(replace(each, run=run.id) for each in pi_run.records)
        runs.append(replace(pi_run, run=run, records=records))
    bundle.write(runs, workplace / "pis.bundle")
    assert bench("import", "pis.bundle").code == 0
    assert [each.run.id for each in validated_pis()] == ["v2", "v1"]
    assert are_validated({UNIT, OTHER}, validated_pis())
    later = replace(runs[2].run, id="v3", created="2026-12-09T10:00:00+00:00")
    bundle.write([replace(runs[2], run=later, records=())], workplace / "failed.bundle")
    assert bench("import", "failed.bundle").code == 0
    assert [each.run.id for each in validated_pis()] == ["v1"]


def page(profile="x86", unit=""):
    cells = (*planned(CELL), PlannedCell(SECOND, "pi5", "pending", "pending on pi5"))
    run = make_run(profile=profile)
    run = replace(run, machine={**run.machine, **({"unit": unit} if unit else {})})
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
    waiting = page()
    assert "No Raspberry Pi has measured this yet. The results here have a validation " in waiting
    assert "Raspberry Pi 5 Model B Rev 1.0, pi5-8gb, unit 0123456789ab (2026-12-01" in waiting
    assert "no validation of" not in page("pi5-8gb", UNIT)
    assert f"no validation of unit {OTHER}" in page("pi5-8gb", OTHER)
    assert "it is unknown whether this Raspberry Pi was validated" in page("pi5-8gb")
