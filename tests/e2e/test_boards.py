"""Suites on several boards: the same machine held back, other machines' folders, and bundles."""

import json
import os
import shutil

import pytest

from ondevice_bench.cli.app import app
from ondevice_bench.declare.document import read
from ondevice_bench.running.hosts import local
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.worker.worker import perform
from tests.command import Ended
from tests.conftest import TINY
from tests.hardware.conftest import pi5

FITS_NOT = """\
schema: 1
title: One that fits under the cap and one that does not
models: [{vit_b_32: {image_size: 32, batch: 1, depth: 1}}, {vit_b_32: {image_size: 32, batch: 1, depth: 10}}]
methods: [vanilla]
measure: [memory, time]
rounds: 1
time: {warmup: 1, min_samples: 3, max_samples: 3, max_seconds: 1}
"""
NET = """\
from torch import nn

def net(image_size=64):
    size = 3 * image_size**2
    return nn.Sequential(nn.Flatten(), nn.Tanh(), nn.Sigmoid(), nn.Tanh(), nn.Linear(size, 2))
"""


def test_what_does_not_fit_under_a_cap_is_a_result(bench, suite_file):
    suite_file(FITS_NOT)
    ended = bench("run", "tiny", "--memory-cap", "512M", "--json")
    assert ended.code == 0, ended.err
    (said,) = [line for line in ended.err.splitlines() if line.startswith("does not fit")]
    assert "(0.5 GiB): vit_b_32(depth=10,image_size=32)/vanilla/all/b1/s0: its tensors" in said
    small, large = ended.json()["cells"]
    assert small["status"] == "ok"
    assert large["status"] == "oom"
    reasons = "; ".join(large["problems"])
    assert "could not allocate" in reasons
    assert "under a cap of 512 MiB" in reasons
    assert "highest resident memory before" in reasons


def test_the_same_machine_held_back_is_another_profile_and_compared(bench, suite_file, workplace):
    suite_file(TINY + "measure: [memory, trace]\nhardware: [x86, x86-1core-2g]\n")
    assert bench("run", "tiny", "--hardware", "x86").code == 0
    ended = bench("run", "tiny", "--hardware", "x86-1core-2g", "--json")
    assert ended.code == 0, ended.err
    states = [cell["status"] for cell in ended.json()["cells"]]
    assert ended.json()["profile"] == "x86-1core-2g"
    assert sorted(states) == ["ok", "pending"]
    page = (workplace / "bench-out/tiny/report.html").read_text()
    assert "2 GiB that a worker may allocate" in page
    ended = bench("report", "tiny", "--compare-hardware", "-o", "boards.html")
    assert ended.code == 0, ended.err
    page = (workplace / "boards.html").read_text()
    assert "Board by board" in page
    assert "<span>x86</span> ÷ <span>x86-1core-2g</span>" in page


def test_a_cap_that_is_none_is_refused(bench, suite_file):
    suite_file(FITS_NOT)
    ended = bench("run", "tiny", "--memory-cap", "lots")
    assert (ended.code, ended.err) == (
        2,
        "bench: --memory-cap: must be a size such as 512M or 2G, got 'lots'\n",
    )


def test_a_plan_says_what_cannot_fit_a_board(bench, suite_file):
    suite_file(
        "schema: 1\ntitle: t\nmodels: [{vit_b_32: {depth: 1, batch: [1, 2048]}}]\nmethods: [vanilla]\n"
    )
    ended = bench("plan", "tiny", "--hardware", "pi5-4gb")
    assert ended.code == 0, ended.err
    (line,) = [line for line in ended.out.splitlines() if line.startswith("does not fit")]
    assert line.startswith("does not fit pi5-4gb (4 GiB): vit_b_32(depth=1)/vanilla/all/b2048/s0: ")


def test_a_plan_for_a_board_outside_the_hardware_folder(bench, suite_file, workplace):
    suite_file("schema: 1\ntitle: t\nmodels: [mcunet]\nmethods: [vanilla]\n")
    (workplace / "mine.yaml").write_text(
        "schema: 1\ntitle: mine\nrecognise: {cpu: no such processor}\nmemory: {gib: 3}\n"
    )
    ended = bench("plan", "tiny", "--hardware", "./mine.yaml", "--json")
    assert ended.code == 0, ended.err
    assert [cell["profile"] for cell in ended.json()["cells"]] == ["mine"]


def test_a_network_may_have_other_options_on_a_board(bench, workplace):
    (workplace / "net.py").write_text(NET)
    here, there = (f"models: [./net.py:net: {{image_size: {size}}}]" for size in (8, 4))
    overrides = f"overrides:\n  pi5:\n    {there}\n"
    (workplace / "mine.yaml").write_text(
        f"schema: 1\ntitle: t\n{here}\nmethods: [vanilla]\n{overrides}"
    )
    for board, size in (("x86", 8), ("pi5", 4)):
        ended = bench("plan", "./mine.yaml", "--hardware", board, "--json")
        assert ended.code == 0, ended.err
        (cell,) = ended.json()["cells"]
        assert f"(image_size={size})/" in cell["cell"]


def test_the_doctor_looks_at_a_folder_as_at_a_machine(bench, workplace, monkeypatch):
    root, tool = workplace / "root", workplace / "vcgencmd"
    tool.write_text("#!/bin/sh\necho throttled=0x50005\n")  # of this machine, not of the folder
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{workplace}:{os.environ['PATH']}")
    for name, text in pi5().items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    ended = bench("doctor", "--sysroot", root, "--json")
    assert ended.code == 0, ended.err
    found = {finding["subject"]: finding for finding in ended.json()}
    assert found["profile"]["said"] == "pi5-8gb"
    assert found["throttling"]["level"] == "unknown"
    listed = bench("list", "hardware", "--sysroot", root, "--json").json()
    assert [row["name"] for row in listed if row["this machine"]] == ["pi5-8gb"]
    assert bench("doctor", "--sysroot", "nowhere").code == 2


def test_the_doctor_says_what_a_suite_needs(bench):
    ended = bench("doctor", "quick", "--quick", "--json")
    assert ended.code in (0, 5), ended.err
    found = {finding["subject"]: finding for finding in ended.json()}
    assert "the suite's largest cell needs" in found["memory"]["said"]
    assert "A/A trial" not in found


def test_runs_travel_in_a_bundle_and_never_double(bench, tiny_run, workplace):
    here = workplace / "here"
    shutil.copytree(tiny_run.folder, here)
    exported = bench("export", "tiny", "-o", "board.bundle", "--json", cwd=here).json()
    assert exported["runs"][0]["records"] == 3
    there = bench("import", "board.bundle", "--out", "there", "--json", cwd=here).json()
    assert [row["new"] for row in there["runs"]] == [3]
    again = bench("import", "board.bundle", "--out", "there", "--json", cwd=here).json()
    assert [row["new"] for row in again["runs"]] == [0]
    compared = bench("compare", "tiny", "there/results.sqlite", cwd=here)
    assert compared.code == 0, compared.out
    reports = [
        bench("report", name, "-o", "one.html", "--json", cwd=here).json()["cells"]
        for name in ("there/results.sqlite", "tiny")
    ]
    assert reports[0] == reports[1]


@pytest.fixture
def fit(monkeypatch, capsys):
    """Run `bench fit`, whose jobs this process does: of tensors without content alone."""
    monkeypatch.setattr(local, "planning_host", lambda _: FakeHost(perform))

    def run(*words):
        code = app(["fit", *words], standalone_mode=False)
        return Ended(code, *capsys.readouterr())

    return run


def test_fit_finds_the_edge_of_every_method(fit):
    words = ["--model", "vit_b_32", "--option", "depth=1", "--option", "image_size=64"]
    words += ["--layers", "last:2"]
    methods = [
        w for m in ("vanilla", "wasi", "microbatch", "gradient_filter") for w in ("--method", m)
    ]
    ended = fit(*words, *methods, "--board", "pi5-2gb", "--reserve", "1.7G", "--json")
    assert ended.code == 0, ended.err
    found = {item["method"].partition("(")[0]: item for item in ended.json()["fits"]}
    room = ended.json()["memory_bytes"] - ended.json()["reserve_bytes"]
    for name in ("vanilla", "wasi", "microbatch"):
        assert found[name]["peak_bytes"] <= room < found[name]["next_bytes"]
        assert [found[name]["batch"], found[name]["peak_bytes"]] in found[name]["points"]
    assert found["wasi"]["batch"] > found["vanilla"]["batch"]
    assert found["gradient_filter"]["reason"] == (
        "gradient_filter treats conv2d; vit_b_32 has linear"
    )
    assert ended.json()["fits"][0]["method"] == "vanilla"
    assert ended.json()["fits"][-1]["method"] == "gradient_filter"
    assert ended.err == ""


def test_fit_answers_whether_a_batch_fits_for_several_models(bench, fit):
    words = ["--model", "vit_b_32,resnet18", "--option", "depth=1", "--option", "image_size=64"]
    ended = bench("fit", *words, "--method", "vanilla", "--batch", "32", "--board", "pi5-2gb")
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert "vit_b_32(depth=1,image_size=64):" in lines
    assert "resnet18(image_size=64):" in lines
    answers = [line.split() for line in lines if line.startswith(" vanilla")]
    assert [words[1] for words in answers] == ["fits", "fits"]
    ended = fit(*words, "--method", "vanilla", "--batch", "9999", "--board", "pi5-2gb")
    assert ended.code == 6
    assert ended.out.count("does not fit") == 2


def test_fit_is_confirmed_under_the_cap(bench, workplace):
    (workplace / "net.py").write_text(NET)
    words = ["--model", "./net.py:net", "--method", "vanilla", "--board", "pi5-2gb"]
    ended = bench("fit", *words, "--reserve", "1.7G", "--confirm", "--json")
    assert ended.code == 0, ended.err
    (found,) = ended.json()["fits"]
    fits, more = found["confirmed"].items()
    assert fits[1] == "ok"
    assert int(fits[0]) <= found["batch"]
    assert int(fits[0]) < int(more[0])
    assert more[1] == "ok" or more[1].startswith("oom: ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("--board", "pi5"),
            "the profile pi5 has no memory size: choose one of pi5-2gb, pi5-4gb, pi5-8gb, pi5-16gb",
        ),
        (("--board", "pi6"), "unknown hardware 'pi6'; did you mean 'pi5'?"),
        (
            ("--board", "pi5-2gb", "--reserve", "3G"),
            "--reserve: 3 GiB is not less than the memory of pi5-2gb, 2 GiB",
        ),
        (("--option", "epsilon=0.8"), "ranks by epsilon depend on data, weights and batch"),
        (("--epsilon", "0.8"), "give --fraction or --rank, or measure them"),
        (("--batch", "0"), "must be at least 1, got 0"),
    ],
)
def test_fit_refuses_what_it_cannot_say(bench, arguments, says):
    ended = bench("fit", "--model", "mcunet", "--method", "asi", *arguments)
    assert ended.code == 2
    assert says in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("export", "nothing"), "no run, suite or store 'nothing'"),
        (("import", "nothing.bundle"), "nothing.bundle: no such file"),
        (("import", "x.yaml"), "x.yaml: damaged, or not a bundle"),
    ],
)
def test_bad_bundles_and_runs_are_one_line(bench, workplace, arguments, says):
    (workplace / "x.yaml").write_text("schema: 1\n")
    ended = bench(*arguments)
    assert ended.code == 2
    assert says in ended.err
    assert ended.err.count("\n") == 1
    assert not (workplace / "bench-out").exists()


def test_a_profile_can_be_measured_and_is_then_recognised(bench, tiny_run, workplace):
    here = workplace / "here"
    shutil.copytree(tiny_run.folder, here)
    plans = {"quick": ["quick", "--filter", "mcunet/vanilla"], "tiny": ["tiny"]}

    def planned(name):
        return bench("plan", *plans[name], "--json", cwd=here).json()

    before = {name: planned(name) for name in plans}
    ended = bench("doctor", "--quick", "--write-profile", "desk", cwd=here)
    assert ended.code in (0, 5), ended.err
    base = before["tiny"]["profile"]
    assert ended.out.endswith(
        f"profile: hardware/desk.yaml\nFrom now on this machine is `desk`, which is also `{base}`: "
        f"suites for {base} still run here. Delete hardware/desk.yaml to undo.\n"
    )
    said = read(here / "hardware/desk.yaml").values
    assert said["extends"] == base
    assert said["peak_gflops"]["float32"] > 0
    assert said["memory"]["bandwidth_gb_per_s"] > 0
    listed = json.loads(bench("list", "hardware", "--json", cwd=here).out)
    assert [row["name"] for row in listed if row["this machine"]] == ["desk"]
    for name, plan in before.items():
        after = planned(name)
        assert (plan["profile"], after["profile"]) == (base, "desk")
        cells = [{**cell, "profile": "desk"} for cell in plan["cells"]]
        assert after["cells"] == cells
    assert before["tiny"]["cells"][0]["known_seconds"] is not None
    (run,) = bench("list", "runs", "--json", cwd=here).json()
    assert run["profile"] == base
    assert bench("report", "tiny", "--format", "csv", cwd=here).code == 0
    assert bench("doctor", "--quick", "--write-profile", "desk", cwd=here).code == 2
