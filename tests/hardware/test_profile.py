import dataclasses

import pytest

from bench.errors import BadInput
from bench.hardware.probe import probe
from bench.hardware.profile import load_profile, profiles, recognise
from tests.hardware.conftest import laptop, pi5


@pytest.fixture
def own(workplace):
    def write(name, text):
        folder = workplace / "hardware"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.yaml").write_text(f"schema: 1\ntitle: mine\n{text}")

    return write


def test_our_profiles_recognise_their_machines(machine_tree, workplace):
    assert recognise(probe(machine_tree(pi5()))).name == "pi5"
    assert recognise(probe(machine_tree(laptop()))).name == "x86"


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
    with pytest.raises(BadInput, match="this machine is no x86: arch is 'aarch64', not 'x86_64'"):
        recognise(machine, "x86")


def test_threads_stay_within_what_the_process_may_use(machine_tree, own):
    machine = probe(machine_tree(laptop()))
    assert load_profile("x86").threads_on(machine, allowed=8) == 4
    assert load_profile("x86").threads_on(machine, allowed=2) == 2
    own("all", "threads: logical\n")
    own("three", "threads: 3\n")
    assert load_profile("all").threads_on(machine, allowed=8) == 8
    assert load_profile("three").threads_on(machine, allowed=8) == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("threads: 0\n", "threads"),
        ("threads: many\n", "threads"),
        ("recognise: {bord: x}\n", "recognise: unknown key 'bord'; did you mean 'board'?"),
    ],
)
def test_a_wrong_profile_is_refused_with_its_line(own, text, says):
    own("wrong", text)
    with pytest.raises(BadInput) as caught:
        load_profile("wrong")
    assert all(line.startswith("hardware/wrong.yaml:3: ") for line in caught.value.lines)
    assert says in caught.value.lines[0]


def test_an_unknown_profile_comes_with_the_nearest(workplace):
    with pytest.raises(BadInput, match="unknown hardware 'pi6'; did you mean 'pi5'"):
        load_profile("pi6")
    assert {"generic", "pi5", "x86"} <= set(profiles())
