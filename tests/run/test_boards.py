from dataclasses import replace

from ondevice_bench.hardware.probe import probe
from ondevice_bench.hardware.profile import load_profile
from ondevice_bench.run.boards import board_on

ELSEWHERE = """\
schema: 1
title: A board that this machine is not
recognise: {cpu: no such processor}
memory: {gib: 3}
"""


def test_a_profile_in_a_file_is_a_board_of_its_own(workplace):
    (workplace / "mine.yaml").write_text(ELSEWHERE)
    board = board_on(load_profile("./mine.yaml"), probe())
    assert (board.name, board.memory_gib) == ("mine", 3)


def test_a_profile_of_this_machine_has_this_machines_memory(workplace):
    machine = replace(probe(), memory_gib=5)
    (workplace / "mine.yaml").write_text(
        ELSEWHERE.replace("{cpu: no such processor}", f"{{arch: {machine.arch}}}")
    )
    assert board_on(load_profile("./mine.yaml"), machine).memory_gib == 5
