import dataclasses
import re
from pathlib import Path

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.hardware.power import Power
from ondevice_bench.hardware.probe import probe
from ondevice_bench.hardware.profile import ProfileSchema, load_profile, profiles, recognise
from tests.hardware.conftest import laptop, pi4, pi5, server


@pytest.fixture
def own(workplace):
    def write(name, text):
        folder = workplace / "hardware"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.yaml").write_text(f"schema: 1\ntitle: mine\n{text}")

    return write


def test_our_profiles_recognise_their_machines(machine_tree, workplace):
    assert recognise(probe(machine_tree(pi5()))).name == "pi5-8gb"
    assert recognise(probe(machine_tree(pi5(3072 * 1024)))).name == "pi5"  # no size of ours
    assert recognise(probe(machine_tree(pi4()))).name == "pi4-4gb"
    assert recognise(probe(machine_tree(laptop()))).name == "x86"


@pytest.mark.parametrize(
    ("board", "profile"),
    [
        ("Raspberry Pi 500 Rev 1.0", "pi5-8gb"),
        ("Raspberry Pi Compute Module 5 Lite Rev 1.0", "pi5-8gb"),
        ("Raspberry Pi 4 Model B Rev 1.5", "pi4-8gb"),
        ("Raspberry Pi Compute Module 4 Rev 1.1", "pi4-8gb"),
        ("Raspberry Pi 3 Model B Plus Rev 1.4", "generic"),
    ],
)
def test_a_pi_of_another_form_has_the_firmware_of_its_kind(machine_tree, workplace, board, profile):
    """The clock that the kernel shows is not the one to which the firmware has lowered it."""
    found = recognise(dataclasses.replace(probe(machine_tree(pi5())), board=board))
    assert found.name == profile
    assert (found.declared.throttling == "vcgencmd") is (profile != "generic")


def test_a_server_counts_the_cores_of_both_sockets(machine_tree, workplace):
    machine = probe(machine_tree(server()))
    assert (machine.physical_cores, machine.memory_gib, machine.board) == (32, 126, "")
    assert recognise(machine).name == "x86"


def test_an_unknown_machine_is_generic(machine_tree, workplace):
    machine = dataclasses.replace(probe(machine_tree(laptop())), arch="riscv64")
    assert recognise(machine).name == "generic"


def test_ones_own_profile_goes_before_ours_even_if_less_specific(machine_tree, own):
    own("kitchen", "recognise: {arch: aarch64}\nthreads: 2\n")
    profile = recognise(probe(machine_tree(pi5())))
    assert (profile.name, str(profile.path)) == ("kitchen", "hardware/kitchen.yaml")


def test_a_tie_is_an_error_that_names_both(machine_tree, own):
    own("a", 'recognise: {board: "Raspberry*"}\n')
    own("b", 'recognise: {cpu: "0x41*"}\n')
    with pytest.raises(BadInput, match=r"hardware/a.yaml and hardware/b.yaml both recognise"):
        recognise(probe(machine_tree(pi5())))


def test_a_named_profile_wins_a_tie_but_not_against_the_facts(machine_tree, own):
    own("a", 'recognise: {board: "Raspberry*"}\n')
    own("b", 'recognise: {cpu: "0x41*"}\n')
    machine = probe(machine_tree(pi5()))
    assert recognise(machine, "b").name == "b"
    with pytest.raises(BadInput, match="this machine is not x86: arch is 'aarch64', not 'x86_64'"):
        recognise(machine, "x86")


def test_a_profile_is_found_by_the_path_of_its_file(own):
    own("mine", "threads: 3\n")
    assert load_profile(Path("hardware/mine.yaml")).name == "mine"


def test_threads_stay_within_what_the_process_may_use(machine_tree, own):
    machine = probe(machine_tree(laptop()))
    assert load_profile("x86").threads_on(machine, allowed=range(8)) == 4
    assert load_profile("x86").threads_on(machine, allowed=range(2)) == 2
    own("all", "threads: logical\n")
    own("three", "threads: 3\n")
    assert load_profile("all").threads_on(machine, allowed=range(8)) == 8
    assert load_profile("three").threads_on(machine, allowed=range(8)) == 3
    assert load_profile("three").threads_on(machine, allowed=range(2)) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("threads: 0\n", "threads"),
        ("threads: many\n", "threads"),
        ("recognise: {bord: x}\n", "recognise: unknown key 'bord'; did you mean 'board'?"),
        ("clock_mhz: -1\n", "clock_mhz: must be greater than 0, got -1"),
        ("cores: 0\n", "cores: must be at least 1, got 0"),
        ("peak_gflops: {float16: 3}\n", "peak_gflops: unknown key 'float16'"),
        ("memory_cap: 2T\n", "memory_cap: must be a size such as 512M or 2G, got '2T'"),
        ("memory_cap: 10M\n", "memory_cap: must be at least 256M"),
        ("memory: {gib: 2}\nmemory_cap: 3G\n", "memory_cap exceeds the board's 2 GiB"),
        ("affinity: [1, 1]\n", "affinity names a processor twice: [1, 1]"),
        ("affinity: [1]\nthreads: 2\n", "threads (2) exceeds affinity (1 processors)"),
        ("power: watts\n", "power: must be rapl, pmic, hwmon, {hwmon: [RAIL, …]} or {command:"),
        ("power: hwmom\n", "got 'hwmom'; did you mean 'hwmon'?"),
        ("power: {command: ./meter.py -x}\n", "command must be a list of words, got './meter"),
        ("power: {command: []}\n", "power: command must be a list of words, got []"),
        ("power: {command: [ina, 5]}\n", "command must be a list of words, got 5 in it"),
        ("power: {hwmon: [VDD_IN], command: [x]}\n", "power: must be rapl, pmic, hwmon"),
        ("extends: pi55\n", "extends: unknown hardware 'pi55'; did you mean 'pi5'?"),
        ("extends: wrong\n", "extends: hardware/wrong.yaml extends this file again"),
    ],
)
def test_a_wrong_profile_is_refused_with_its_line(own, text, says):
    own("wrong", text)
    with pytest.raises(BadInput) as caught:
        load_profile("wrong")
    assert all(re.match(r"hardware/wrong.yaml:[134]: ", line) for line in caught.value.lines)
    assert says in caught.value.lines[0]


@pytest.mark.parametrize("name", ["my desk", "-desk", "pi5²", "x" * 201])
def test_a_name_that_no_bundle_can_have_is_refused(own, name):
    own(name, "")
    with pytest.raises(BadInput, match="a profile's name becomes part of bundles and baselines"):
        load_profile(name)


def test_a_wrong_name_is_refused_only_where_the_profile_is_used(machine_tree, own):
    """A copy that a file manager has made does not stop commands for other boards."""
    own("pi5 copy", "extends: pi5-8gb\n")
    assert "pi5 copy" in profiles()
    assert recognise(probe(machine_tree(laptop()))).name == "x86"
    with pytest.raises(BadInput, match=r"pi5 copy.yaml: a profile's name becomes part of bundles"):
        recognise(probe(machine_tree(pi5())))


@pytest.mark.parametrize("name", ["pi5+ssd", "küche", "a.b-c_1"])
def test_other_names_are_those_of_profiles(own, name):
    own(name, "")
    assert load_profile(name).name == name


def test_a_profile_is_what_it_extends_and_what_it_says(own):
    own("mine", "extends: pi5\nrecognise: {memory_gib: 2}\nmemory: {gib: 2}\nmemory_cap: 1.5G\n")
    profile = load_profile("mine")
    assert profile.lineage == ("mine", "pi5")
    assert profile.recognise.rules == {
        "arch": "aarch64",
        "board": "Raspberry Pi* 5*",
        "memory_gib": "2",
    }
    assert (profile.declared.memory.gib, profile.declared.memory.bandwidth_gb_per_s) == (2, 17.1)
    assert (profile.memory_cap_bytes, profile.memory_gib) == (3 * 2**29, 1.5)


def test_a_mistake_in_what_is_extended_is_told_where_it_stands(own):
    own("base", "clock_mhz: fast\n")
    own("mine", "extends: base\n")
    with pytest.raises(BadInput, match=r"hardware/base.yaml:3: clock_mhz: must be a number"):
        load_profile("mine")


def test_a_profile_by_name_only_is_never_recognised(machine_tree, workplace):
    machine = probe(machine_tree(laptop()))
    assert recognise(machine).name == "x86"
    held = recognise(machine, "x86-1core-2g")
    assert (held.lineage, held.memory_cap_bytes) == (("x86-1core-2g", "x86"), 2 << 30)
    assert held.cpus_on([4, 5]) == (4,)
    assert held.threads_on(machine, [4, 5]) == 1


def test_processors_that_are_not_to_be_had_are_refused(machine_tree, own):
    own("far", "affinity: [0, 9]\n")
    own("many", "affinity: 4\n")
    for name, shown in (("far", r"\[0, 9\]"), ("many", "4")):
        with pytest.raises(BadInput, match=f"affinity: {shown}, but allowed here: 0, 1"):
            load_profile(name).cpus_on([0, 1])


def test_an_unknown_profile_comes_with_the_nearest(workplace):
    with pytest.raises(BadInput, match="unknown hardware 'pi6'; did you mean 'pi5'"):
        load_profile("pi6")
    assert {"generic", "pi5", "x86"} <= set(profiles())


def test_peaks_are_what_the_profile_says_of_its_board(own):
    own("mine", "recognise: {arch: x86_64}\npeak_gflops: {float32: 9}\n")
    assert load_profile("mine").peaks == {"float32": 9}
    assert load_profile("pi5").peaks == {"float32": 153.6, "bandwidth": 17.1}
    assert load_profile("x86").peaks == {}


@pytest.mark.parametrize(
    ("text", "power"),
    [
        ("power: rapl\n", Power("rapl")),
        ("power: hwmon\n", Power("hwmon")),
        ("power: {hwmon: [VDD_GPU, VDD_CPU]}\n", Power("hwmon", rails=("VDD_GPU", "VDD_CPU"))),
        ("power: {command: [./m.py, -x]}\n", Power("command", command=("./m.py", "-x"))),
        ("", None),
    ],
)
def test_a_profile_names_its_meter(own, text, power):
    own("mine", text)
    declared = load_profile("mine").declared
    assert declared.power == power
    text = declared.model_dump_json(by_alias=True)  # as it travels to a board
    assert ProfileSchema.model_validate_json(text).power == power
