"""Readers of energy on captured files and output."""

import sys
import time

import pytest

from ondevice_bench.measure import energy

# as a Raspberry Pi 5 prints it: leading spaces, currents first, two rails without a current
PMIC = """\
  3V7_WL_SW_A current(0)=0.08490744A
    3V3_SYS_A current(1)=0.06441000A
   VDD_CORE_A current(7)=0.84516000A
  3V7_WL_SW_V volt(8)=3.67000000V
    3V3_SYS_V volt(9)=3.31000000V
   VDD_CORE_V volt(15)=0.72101960V
      EXT5V_V volt(24)=5.15984000V
       BATT_V volt(25)=0.00488200V
"""


def test_rails_pair_by_name():
    watts = energy.rail_watts(PMIC)
    assert watts == {
        "3V7_WL_SW": pytest.approx(0.08490744 * 3.67),
        "3V3_SYS": pytest.approx(0.06441 * 3.31),
        "VDD_CORE": pytest.approx(0.84516 * 0.7210196),
    }
    assert energy.rail_watts('error=1 error_msg="Command not registered"') == {}


@pytest.fixture
def packages(tmp_path):
    """Two packages with a zone within, and a platform zone that counts the packages again."""
    root = tmp_path / "powercap"
    for folder, name in (
        ("intel-rapl", ""),
        ("intel-rapl:0", "package-0"),
        ("intel-rapl:0:0", "core"),
        ("intel-rapl:1", "package-1"),
        ("intel-rapl:2", "psys"),
    ):
        zone = root / folder
        zone.mkdir(parents=True)
        if name:
            (zone / "name").write_text(f"{name}\n")
            (zone / "energy_uj").write_text("1000000\n")
            (zone / "max_energy_range_uj").write_text("262143328850\n")
    return root


def test_packages_are_added_and_wrap(packages):
    meter = energy.Rapl(packages)

    def work():
        (packages / "intel-rapl:0/energy_uj").write_text("3500000\n")
        (packages / "intel-rapl:0:0/energy_uj").write_text("9000000\n")
        (packages / "intel-rapl:2/energy_uj").write_text("9000000\n")
        (packages / "intel-rapl:1/energy_uj").write_text("500000\n")  # wrapped

    spent = meter.during(work)
    assert spent.joules == pytest.approx(2.5 + 262143.32885 - 0.5)


def test_a_machine_without_packages_says_so(tmp_path):
    with pytest.raises(energy.EnergyUnavailable, match="has no package of a RAPL"):
        energy.Rapl(tmp_path / "none")


def test_counters_that_cannot_be_read_say_so(packages):
    (packages / "intel-rapl:1/energy_uj").unlink()
    with pytest.raises(energy.EnergyUnavailable, match="energy_uj cannot be read: No such file"):
        energy.Rapl(packages)


def test_power_is_sampled_from_a_process_outside(tmp_path):
    said = tmp_path / "said"
    said.write_text(PMIC)
    command = (sys.executable, "-c", f"print(open({str(said)!r}).read())")
    spent = energy.Pmic(command).during(lambda: time.sleep(0.5))
    assert spent.watts == pytest.approx(sum(energy.rail_watts(PMIC).values()))
    assert spent.seconds == pytest.approx(0.5, abs=0.3)


def test_a_machine_without_the_chip_says_so():
    with pytest.raises(energy.EnergyUnavailable, match="vcgencmd-none cannot be run: No such file"):
        energy.Pmic(("vcgencmd-none",))
    with pytest.raises(energy.EnergyUnavailable, match="names no rail"):
        energy.Pmic((sys.executable, "-c", "print('x')"))
