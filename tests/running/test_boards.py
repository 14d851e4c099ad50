from dataclasses import replace

import pytest

from ondevice_bench.hardware.profile import load_profile
from ondevice_bench.running.boards import board_named
from ondevice_bench.running.hosts.fake import MACHINE, FakeHost

ELSEWHERE = """\
schema: 1
title: A board that this machine is not
recognise: {cpu: no such processor}
memory: {gib: 3}
"""


def test_a_profile_in_a_file_is_a_board_of_its_own(workplace):
    (workplace / "mine.yaml").write_text(ELSEWHERE)
    board = board_named("./mine.yaml", FakeHost())
    assert (board.name, board.memory_gib) == ("mine", 3)


def test_a_profile_of_the_hosts_machine_has_that_machines_memory(workplace):
    machine = replace(MACHINE, memory_gib=5)
    (workplace / "mine.yaml").write_text(
        ELSEWHERE.replace("{cpu: no such processor}", f"{{arch: {machine.arch}}}")
    )
    assert board_named("./mine.yaml", FakeHost(machine=machine)).memory_gib == 5


@pytest.mark.parametrize("lines", ["", "extends: x86\nby_name_only: true\n"])
@pytest.mark.parametrize(("gib", "has"), [(2, 2), (300, 5)])
def test_a_profile_that_recognises_no_machine_has_the_memory_that_it_says(
    workplace, lines, gib, has
):
    text = ELSEWHERE.replace("recognise: {cpu: no such processor}\n", lines)
    (workplace / "mine.yaml").write_text(text.replace("gib: 3", f"gib: {gib}"))
    host = FakeHost(machine=replace(MACHINE, arch="x86_64", memory_gib=5))
    assert board_named("./mine.yaml", host).memory_gib == has


@pytest.mark.parametrize("name", [None, "x86"])
def test_a_container_may_allow_less_than_the_machine_has(name):
    host = FakeHost(profile=load_profile("x86"), memory_cap=3 << 30)
    host.memory_limit = 1 << 29
    assert board_named(name, host).memory_gib == 0.5


def test_without_a_name_the_board_is_the_host(workplace):
    host = FakeHost(profile=load_profile("x86"), memory_cap=3 << 30)
    assert board_named(None, host) == host.board
