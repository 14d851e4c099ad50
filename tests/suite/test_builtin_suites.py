import re
from dataclasses import replace

import pytest

from ondevice_bench.declare.folders import builtin
from ondevice_bench.hardware.probe import Machine
from ondevice_bench.hardware.profile import load_profile, profiles
from ondevice_bench.running.boards import boards
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.suite.cell import Train
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.plan import plan

SUITES = sorted(path.stem for path in builtin("suites").glob("*.yaml"))
PROFILES = sorted(path.stem for path in builtin("hardware").glob("*.yaml"))
MACHINE = Machine("x86_64", "", "CPU", 2, 2, 8, 4096, "6", "glibc 2")


@pytest.mark.parametrize("name", SUITES)
def test_every_suite_plans_on_every_profile(name, workplace):
    suite = load_suite(name)
    assert suite.title
    assert suite.purpose
    known = boards()
    assert set(known) == set(PROFILES)
    for profile, board in known.items():
        planned = plan(suite, board, known)
        assert {item.profile for item in planned} == {profile}
        assert len({item.cell.key for item in planned}) == len(planned)


def test_a_small_board_takes_smaller_batches_or_none(workplace):
    known = boards()
    batches = {
        name: {item.cell.batch for item in plan(load_suite("transformers"), known[name])}
        for name in ("pi5-2gb", "pi5-4gb", "pi5-8gb")
    }
    assert batches == {"pi5-2gb": {2}, "pi5-4gb": {4}, "pi5-8gb": {8}}
    llm = {item.state for item in plan(load_suite("llm"), known["pi5-4gb"])}
    assert llm == {"skipped"}
    assert "planned" in {item.state for item in plan(load_suite("llm"), known["pi5-8gb"])}


@pytest.mark.parametrize("name", [name for name in SUITES if re.match("paper_.*_small", name)])
def test_a_papers_small_suite_trains_as_the_paper_does_on_fewer_examples(name, workplace):
    small, full = load_suite(name), load_suite(name.removesuffix("_small"))
    assert small.train == full.train == Train()  # the defaults are WASI's
    assert (small.data, small.weights) == (full.data, full.weights)
    assert {choice.name for choice in small.models} <= {choice.name for choice in full.models}
    assert {choice.name for choice in small.methods} <= {choice.name for choice in full.methods}
    assert small.rounds["time"] >= 5  # what a verdict needs


def test_the_small_part_of_real_savings_can_be_joined_with_the_whole(workplace):
    board = boards()["pi5-16gb"]
    small, whole = (
        {item.cell.fingerprint for item in plan(load_suite(name), board) if item.state == "planned"}
        for name in ("real_savings_small", "real_savings")
    )
    assert len(small) == 32
    assert small < whole


@pytest.mark.parametrize("name", [name for name in SUITES if name.startswith("paper_")])
def test_a_papers_suite_has_the_papers_images_and_ranks(name, workplace):
    cells = [item.cell for item in plan(load_suite(name), boards()["pi5-16gb"])]
    for cell in cells:
        if cell.model == "mcunet":
            assert dict(cell.model_options) == {"image_size": 224}
        if name.startswith("paper_wasi") and cell.method in ("asi", "wasi"):
            options = dict(cell.method_options)
            # epsilon is for weights; activations have the least of the grid
            assert options.get("epsilon") == 0.4 or options["least"]
            assert ("weight_epsilon" in options) == (cell.method == "wasi")
        if cell.model == "tinyllama":
            assert (cell.batch, cell.layers) == (8, "last:5 of *mlp*")


def test_a_host_has_its_machines_memory_or_its_cap(workplace):
    x86, held = load_profile("x86"), load_profile("x86-1core-2g")
    assert FakeHost(profile=x86, machine=MACHINE).board.memory_gib == 8
    assert FakeHost(profile=x86, machine=MACHINE, memory_cap=3 << 30).board.memory_gib == 3
    board = FakeHost(profile=held, machine=MACHINE).board
    assert (board.names, board.memory_gib) == (("x86-1core-2g", "x86"), 2)
    tiny = replace(MACHINE, memory_gib=1)
    assert FakeHost(profile=held, machine=tiny).board.memory_gib == 1


def test_profiles_say_what_their_boards_are(workplace):
    known = profiles()
    assert known["pi5-4gb"].declared.peak_gflops.float32 == pytest.approx(4 * 2.4 * 16)
    assert known["pi4"].declared.peak_gflops.float32 == pytest.approx(4 * 1.8 * 8)
    assert {name for name, profile in known.items() if profile.declared.by_name_only} == {
        "x86-1core-2g"
    }
