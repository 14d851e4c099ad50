import io
import json
import random
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.files import open_zip
from ondevice_bench.record import baseline, bundle, run_json
from tests.record.bundles import content, members, packed, repacked

MUTATIONS = 2000


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "a.bundle"
    bundle.write([content()], path)
    return path


def test_a_list_of_members_that_would_take_much_memory(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.bundle", "w") as new:
        for number in range(30):
            new.writestr(f"{number}{'-' * 60_000}", b"")
    with pytest.raises(BadInput, match="not a bundle: its list of members is too long"):
        bundle.read(tmp_path / "a.bundle")


def test_a_disk_that_fails_is_no_damaged_file():
    with pytest.raises(OSError), open_zip(Path("/proc/self/mem")):
        pass


def test_what_is_read_is_what_was_written_and_equal_runs_are_equal_bytes(written, tmp_path):
    assert bundle.read(written) == (content(),)
    again = tmp_path / "b.bundle"
    bundle.write([content()], again)
    assert again.read_bytes() == written.read_bytes()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda run: run["run"].update(suite="../../etc"), "run.suite"),
        (lambda run: run["run"].update(suite=".."), "run.suite"),
        (lambda run: run["run"].update(id="a/b"), "run.id"),
        (lambda run: run["run"].update(extra=1), "run.extra"),
        (lambda run: run["run"]["machine"].pop("page_bytes") and None, "run.machine.page_bytes"),
        (lambda run: run["run"]["settings"].update(rounds="x"), "run.settings.rounds"),
        (lambda run: run["records"][0].update(extra=1), "records.0.extra"),
        (lambda run: run["cells"][0]["definition"].update(extra=1), "cells.0.definition.extra"),
        (lambda run: run["cells"][0].update(profile="a/b"), "cells.0.profile"),
        (lambda run: run["cells"][0]["definition"]["train"].update(lr="x"), "definition.train.lr"),
        (lambda run: run["records"][0].update(output="x" * (1 << 20) + "y"), "a text of more than"),
        (lambda run: run["records"][0].update(round=0), "records.0.round"),
        (lambda run: run["records"][0].update(status="great"), "records.0.status"),
        (lambda run: run["records"][0].update(seconds=-1), "records.0.seconds"),
        (lambda run: run["records"][0]["metrics"].update(a="1"), "records.0.metrics.a"),
        (lambda run: run["records"][0]["metrics"].update(a=1e999), "is not a number of a bundle"),
        (lambda run: run["records"][0]["details"].update(a=1 << 70), "beyond 63 bits"),
        (lambda run: run["records"][0]["details"].update(notes="x"), "records.0.details.notes"),
        (lambda run: run["records"][1].update(metrics={"a": 1.0}), "is oom has no metrics"),
        (lambda run: run["records"][0].update(cell="other"), "which the run did not plan"),
        (lambda run: run["records"].append(1), "records.2: Input should be an object"),
        (lambda run: run["records"].append(run["records"][0]), "two records of the same"),
        (lambda run: run["cells"].append(run["cells"][0]), "a cell is planned twice"),
        (lambda run: run["cells"][0]["definition"].update(batch=0), "cells.0.definition.batch"),
        (lambda run: run["run"].update(title="\ud800"), "not JSON of a bundle"),
        (lambda run: run["cells"][0]["definition"].update(id="net"), "cells.0.definition.id"),
        (lambda run: run["cells"][0]["definition"].update(id="a/b/c/s0"), "definition.id"),
        (lambda run: [run], "should be an object"),
    ],
)
def test_what_contradicts_itself_or_means_a_path_is_refused(written, change, says):
    with pytest.raises(BadInput) as caught:
        bundle.read(packed(written, change))
    (line,) = caught.value.lines
    assert line.startswith(f"{written}: runs/1.json: ")
    assert says in line


def test_fields_of_earlier_and_later_versions_are_no_fault(written):
    def change(run):
        del run["cells"][0]["definition"]["train"]["freeze_bn"]
        del run["records"][0]["unavailable"]
        run["run"]["settings"]["later"] = run["records"][0]["details"]["later"] = {"a": 1}

    (found,) = bundle.read(packed(written, change))
    assert found.cells == content().cells
    assert found.records[0].unavailable == {}
    assert found.records[0].details["later"] == found.run.settings["later"] == {"a": 1}


def test_a_text_that_says_a_field_twice_is_checked_as_it_is_read(written):
    run = json.dumps(json.loads(members(written)["runs/1.json"]))
    twice = run.replace('"suite": "quick"', '"suite": "quick", "suite": "../../etc"')
    assert twice != run
    with pytest.raises(BadInput, match=r"run\.suite"):
        bundle.read(repacked(written, {"runs/1.json": twice.encode()}))


def test_nesting_without_bounds_is_refused(written):
    deep = b"[" * 100_000 + b"]" * 100_000
    with pytest.raises(BadInput, match="not JSON of a bundle"):
        bundle.read(repacked(written, {"runs/1.json": deep}))

    def nest(run):
        run["records"][0]["details"].update(a=json.loads("[" * 80 + "]" * 80))

    bundle.write([content()], written)
    with pytest.raises(BadInput, match="nested more than 64 deep"):
        bundle.read(packed(written, nest))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: path.unlink(), "no such file"),
        (lambda path: path.write_bytes(b""), "damaged, or not a bundle"),
        (lambda path: path.write_text("schema: 1"), "damaged, or not a bundle"),
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), "damaged, or not a bundle"),
        (
            lambda path: repacked(path, members(path), version=bundle.VERSION + 1),
            "written by a newer bench",
        ),
        (lambda path: repacked(path, members(path), format="other"), "manifest.json: format"),
        (lambda path: repacked(path, {"../evil.json": b"{}"}), "manifest.json: members"),
        (lambda path: repacked(path, {"/etc/passwd": b"{}"}), "manifest.json: members"),
        (lambda path: repacked(path, {"runs/1.py": b"{}"}), "manifest.json: members"),
        (
            lambda path: repacked(path, members(path), members={"runs/1.json": "0" * 64}),
            "its SHA-256 is not the one in the manifest",
        ),
        (
            lambda path: repacked(
                path, {**members(path), "runs/2.json": members(path)["runs/1.json"]}
            ),
            "holds the same run twice",
        ),
    ],
)
def test_what_is_no_bundle_is_one_line(written, damage, says):
    damage(written)
    with pytest.raises(BadInput) as caught:
        bundle.read(written)
    (line,) = caught.value.lines
    assert line.startswith(str(written))
    assert says in line


def test_other_zips_doubled_members_and_bombs_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "x.bundle"
    with zipfile.ZipFile(path, "w") as other:
        other.writestr("hello.txt", "x")
    with pytest.raises(BadInput, match="a zip of something else"):
        bundle.read(path)
    with zipfile.ZipFile(path, "w") as twice:
        twice.writestr("manifest.json", "{}")
        with pytest.warns(UserWarning, match="Duplicate"):
            twice.writestr("manifest.json", "{}")
    with pytest.raises(BadInput, match="or one twice"):
        bundle.read(path)
    monkeypatch.setattr(bundle, "MAX_UNPACKED", 1 << 20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("manifest.json", b" " * (2 << 20))
    with pytest.raises(BadInput, match="at most 1: export fewer runs"):
        bundle.read(path)
    monkeypatch.setattr(bundle, "MAX_FILE", 100)
    with pytest.raises(BadInput, match="not a bundle"):
        bundle.read(path)


def test_a_link_in_the_zip_is_no_way_out(written):
    data = members(written)["runs/1.json"]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as new:
        info = zipfile.ZipInfo("runs/1.json")
        info.external_attr = 0o120777 << 16
        new.writestr(info, "/etc/passwd")
    assert data != b"/etc/passwd"
    written.write_bytes(stream.getvalue())
    with pytest.raises(BadInput):
        bundle.read(written)


def test_two_thousand_mutations_are_refused_or_mean_the_same(written, tmp_path):
    good, whole = written.read_bytes(), bundle.read(written)
    dice = random.Random(0)
    path = tmp_path / "m.bundle"
    refused = 0
    for _ in range(MUTATIONS):
        data = bytearray(good)
        for _ in range(dice.randint(1, 4)):
            spot = dice.randrange(len(data))
            match dice.randrange(4):
                case 0:
                    data[spot] = dice.randrange(256)
                case 1:
                    del data[spot : spot + dice.randint(1, 40)]
                case 2:
                    data[spot:spot] = dice.randbytes(dice.randint(1, 40))
                case _:
                    data = data[:spot] or bytearray(b"P")
            if not data:
                break
        path.write_bytes(data)
        try:
            assert bundle.read(path) == whole
        except BadInput:
            refused += 1
    assert refused > MUTATIONS * 0.8
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.bundle", "m.bundle"]


def test_two_thousand_mutations_of_the_json_are_refused_or_whole(written):
    """With sums that are right: what the schema must catch by itself."""
    with zipfile.ZipFile(written) as old:
        good = old.read("runs/1.json")
    dice = random.Random(1)
    odd = ["null", "[]", "{}", '"\\ud800"', "-1", "1e999", "NaN", '"../x"', "true", "9" * 5000]
    refused = 0
    for _ in range(MUTATIONS):
        text = good.decode()
        for _ in range(dice.randint(1, 3)):
            spot = dice.randrange(len(text))
            end = spot + dice.randint(0, 20)
            text = text[:spot] + dice.choice([*odd, chr(dice.randrange(32, 127)), ""]) + text[end:]
        try:
            (found,) = bundle.read(repacked(written, {"runs/1.json": text.encode()}))
        except BadInput:
            refused += 1
        else:
            assert replace(found.run).id
    assert refused > MUTATIONS * 0.8


@pytest.mark.parametrize("part", [b"[],", b"{},", b"0,"])
def test_a_member_whose_values_would_take_much_memory_is_refused_before_it_is_read(
    written, monkeypatch, part
):
    monkeypatch.setattr(run_json, "MAX_BUILT", 10 << 20)
    bomb = b'{"run": [' + part * (1 << 18) + b"0]}"
    with pytest.raises(BadInput, match="its values would take more than 10 MiB of memory"):
        bundle.read(repacked(written, {"runs/1.json": bomb}))
    written.write_bytes(bomb)
    with pytest.raises(BadInput, match="its values would take more than 10 MiB of memory"):
        baseline.read(written)


@pytest.mark.parametrize(
    ("module", "limit", "write", "says"),
    [
        (
            run_json,
            "MAX_BUILT",
            bundle.write,
            "run r1 alone has .* its values take more than 0 MiB",
        ),
        (
            bundle,
            "MAX_UNPACKED",
            bundle.write,
            "run r1 alone has .* at most 0 MiB.* Copy its store",
        ),
        (baseline, "MAX_FILE", lambda runs, path: baseline.write(*runs, path), "larger than 0 MiB"),
    ],
)
def test_a_file_that_nobody_could_read_is_not_written(
    written, tmp_path, monkeypatch, module, limit, write, says
):
    contents = bundle.read(written)
    monkeypatch.setattr(module, limit, 1000)
    with pytest.raises(BadInput, match=rf"new: cannot be written: {says}"):
        write(contents, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_bundle_that_just_fits_is_read_again(written, tmp_path, monkeypatch):
    contents = bundle.read(written)
    with zipfile.ZipFile(written) as whole:
        size = sum(info.file_size for info in whole.infolist())
    monkeypatch.setattr(bundle, "MAX_UNPACKED", size)
    bundle.write(contents, tmp_path / "new")
    assert bundle.read(tmp_path / "new") == contents
    monkeypatch.setattr(bundle, "MAX_UNPACKED", size - 1)
    with pytest.raises(BadInput, match="cannot be written"):
        bundle.write(contents, tmp_path / "new")


def test_two_runs_that_fit_alone_are_too_many_together(written, tmp_path, monkeypatch):
    (one,) = bundle.read(written)
    both = [one, content(id="r2")]
    size = max(len(json.dumps(each.to_dict())) for each in both)
    monkeypatch.setattr(bundle, "MAX_UNPACKED", size)
    with pytest.raises(BadInput, match="export fewer runs at a time"):
        bundle.write(both, tmp_path / "new")


def test_a_run_without_room_names_its_largest_part(written, tmp_path, monkeypatch):
    (one,) = bundle.read(written)
    long = replace(one.records[0], samples={"step_seconds": [1.25] * 4000})
    monkeypatch.setattr(bundle, "MAX_UNPACKED", 10_000)
    with pytest.raises(BadInput, match=f"the samples of the pass {long.key.pass_name}, 0 MiB"):
        bundle.write([replace(one, records=(long,))], tmp_path / "new")


def test_only_one_text_of_a_bundle_is_in_memory(written, tmp_path):
    text = "x" * run_json.MAX_TEXT
    bundle.write([content(id=f"r{n}", suite_text=text) for n in range(10)], written)
    tracemalloc.start()
    runs = bundle.read(written)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(runs) == 10
    assert peak < 16 * run_json.MAX_TEXT


@pytest.mark.parametrize("write", [baseline.write, lambda run, path: bundle.write([run], path)])
def test_a_name_that_nobody_could_read_is_not_written(tmp_path, write):
    with pytest.raises(BadInput) as caught:
        write(content(profile="my desk"), tmp_path / "new")
    (line,) = caught.value.lines
    assert line.startswith(f"{tmp_path}/new: cannot be written: ")
    assert "run.profile" in line
    assert not (tmp_path / "new").exists()


def test_runs_with_the_manifest_are_no_more_than_a_bundle_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "MAX_MEMBERS", 3)
    runs = [content(id=f"r{number}") for number in range(3)]
    bundle.write(runs[:2], tmp_path / "two.bundle")
    assert len(bundle.read(tmp_path / "two.bundle")) == 2
    with pytest.raises(BadInput, match="a bundle holds at most 2 runs, not 3: export fewer"):
        bundle.write(runs, tmp_path / "three.bundle")
    assert not (tmp_path / "three.bundle").exists()


def test_twenty_mebibytes_of_empty_lists_are_too_much():
    with pytest.raises(BadInput, match="more than 512 MiB of memory"):
        run_json.require_small("x", b"[]," * ((20 << 20) // 3))


def test_a_large_manifest_is_refused(written):
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr("manifest.json", b" " * (bundle.MAX_MANIFEST + 1))
    with pytest.raises(BadInput, match=r"manifest\.json is too large"):
        bundle.read(written)
