"""Readers of energy on captured files and output."""

import sys
import time

import pytest

from ondevice_bench.measure import energy, rapl
from ondevice_bench.measure.hwmon import Hwmon
from ondevice_bench.measure.pmic import Pmic, rail_watts
from ondevice_bench.measure.printed_power import PrintedPower
from ondevice_bench.measure.rapl import Rapl

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
    watts = rail_watts(PMIC)
    assert watts == {
        "3V7_WL_SW": pytest.approx(0.08490744 * 3.67),
        "3V3_SYS": pytest.approx(0.06441 * 3.31),
        "VDD_CORE": pytest.approx(0.84516 * 0.7210196),
    }
    assert rail_watts('error=1 error_msg="Command not registered"') == {}


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
    with Rapl(packages).begin() as metering:
        start = metering.mark()
        (packages / "intel-rapl:0/energy_uj").write_text("3500000\n")
        (packages / "intel-rapl:0:0/energy_uj").write_text("9000000\n")
        (packages / "intel-rapl:2/energy_uj").write_text("9000000\n")
        middle = metering.mark()
        (packages / "intel-rapl:1/energy_uj").write_text("500000\n")  # wrapped
        end = metering.mark()
    assert metering.joules(start, middle) == pytest.approx(2.5)
    assert metering.joules(start, end) == pytest.approx(2.5 + 262143.32885 - 0.5)


def test_a_counter_that_wraps_nobody_knows_where_gives_no_energy(packages):
    (packages / "intel-rapl:1/max_energy_range_uj").unlink()
    with Rapl(packages).begin() as metering:
        start = metering.mark()
        (packages / "intel-rapl:1/energy_uj").write_text("500000\n")
        end = metering.mark()
    with pytest.raises(energy.EnergyUnavailable, match="does not say where"):
        metering.joules(start, end)


def test_counters_that_stand_still_or_vanish_are_no_zero(packages):
    with Rapl(packages).begin() as metering:
        start, end = metering.mark(), metering.mark()
        with pytest.raises(energy.EnergyUnavailable, match="do not rise"):
            metering.joules(start, end)
        (packages / "intel-rapl:1/energy_uj").unlink()
        end = metering.mark()
        with pytest.raises(energy.EnergyUnavailable, match="can no longer be read"):
            metering.joules(start, end)


def test_counters_that_stall_between_two_marks_are_no_zero(packages, monkeypatch):
    with Rapl(packages).begin() as metering:
        start = metering.mark()
        (packages / "intel-rapl:1/energy_uj").write_text("3000000\n")
        middle = metering.mark()
        monkeypatch.setattr(time, "perf_counter", lambda: middle + 5.0)
        end = metering.mark()
        assert metering.joules(start, end) == pytest.approx(2.0)
        with pytest.raises(energy.EnergyUnavailable, match="do not rise"):
            metering.joules(middle, end)


def test_a_counter_that_a_suspended_machine_began_anew_has_not_wrapped(packages, monkeypatch):
    with Rapl(packages).begin() as metering:
        start = metering.mark()
        slept = rapl.suspended_seconds() + 40.0
        monkeypatch.setattr(rapl, "suspended_seconds", lambda: slept)
        (packages / "intel-rapl:0/energy_uj").write_text("1000\n")
        end = metering.mark()
        with pytest.raises(energy.EnergyUnavailable, match="was suspended for 40 s"):
            metering.joules(start, end)


def test_a_machine_without_packages_says_so(tmp_path):
    with pytest.raises(energy.EnergyUnavailable, match="has no package of a RAPL"):
        Rapl(tmp_path / "none")


def test_counters_that_cannot_be_read_say_so(packages):
    (packages / "intel-rapl:1/energy_uj").unlink()
    with pytest.raises(energy.EnergyUnavailable, match="energy_uj cannot be read: No such file"):
        Rapl(packages)


def test_power_is_sampled_from_a_process_outside(tmp_path):
    said = tmp_path / "said"
    said.write_text(PMIC)
    command = (sys.executable, "-c", f"print(open({str(said)!r}).read())")
    with Pmic(command).begin() as metering:
        start = metering.mark()
        time.sleep(0.5)
        end = metering.mark()
        metering.settle()
        spent = metering.joules(start, end)
    assert spent / (end - start) == pytest.approx(sum(rail_watts(PMIC).values()))
    assert metering.scope.startswith("the board's rails by its power chip")
    assert ", a reading every 0." in metering.scope


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        (PMIC.replace("VDD_CORE_A", "VDD_CORE"), "the same rails each time: VDD_CORE$"),
        ('error=1 error_msg="busy"', "the same rails each time: 3V3_SYS, 3V7_WL_SW, VDD_CORE$"),
        (PMIC.replace("0.84516000A", "?"), "could not convert string to float: '[?]'"),
    ],
)
def test_a_reading_without_all_rails_is_no_smaller_power(tmp_path, later, reason):
    said, texts = tmp_path / "said", [PMIC, PMIC, later]
    script = tmp_path / "vcgencmd"
    script.write_text(
        f"import pathlib\nsaid = pathlib.Path({str(said)!r})\n"
        "count = int(said.read_text()) if said.exists() else 0\n"
        f"said.write_text(str(count + 1))\nprint({texts!r}[min(count, 2)])\n"
    )
    with Pmic((sys.executable, str(script))).begin() as metering:
        start = metering.mark()
        deadline = time.monotonic() + 20
        while int(said.read_text() or 0) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        end = metering.mark()
        metering.settle()
        with pytest.raises(energy.EnergyUnavailable, match=reason):
            metering.joules(start, end)


def test_a_chip_that_gives_no_number_says_so():
    command = (sys.executable, "-c", "print('VDD_CORE_A current(7)=nothing')")
    with pytest.raises(energy.EnergyUnavailable, match="could not convert string to float"):
        Pmic(command)


def test_a_machine_without_the_chip_says_so():
    with pytest.raises(energy.EnergyUnavailable, match="vcgencmd-none cannot be run: No such file"):
        Pmic(("vcgencmd-none",))
    with pytest.raises(energy.EnergyUnavailable, match="names no rail"):
        Pmic((sys.executable, "-c", "print('x')"))
    with pytest.raises(energy.EnergyUnavailable, match=r"^false: false ended with 1: it said"):
        Pmic(("false",))


@pytest.mark.parametrize(
    ("power", "kind"),
    [
        ({"kind": "command", "command": ["meter"], "rails": [], "folder": "/"}, PrintedPower),
        ({"kind": "hwmon", "command": [], "rails": ["5V"], "folder": "/"}, Hwmon),
        ({"kind": "rapl", "command": [], "rails": [], "folder": "/"}, Rapl),
        ({"kind": "pmic", "command": [], "rails": [], "folder": "/"}, Pmic),
    ],
)
def test_the_profile_names_the_meter(power, kind, monkeypatch):
    made = []
    for each in (PrintedPower, Hwmon, Rapl, Pmic):
        monkeypatch.setattr(each, "__init__", lambda self, *what: made.append((type(self), *what)))
    energy.meter(power)
    words = {"command": (["meter"], "/"), "hwmon": (["5V"],)}
    assert made == [(kind, *words.get(power["kind"], ()))]


def test_a_machine_without_a_meter_tells_what_was_looked_for(monkeypatch):
    for each in (Hwmon, Rapl, Pmic):

        def missing(self, kind=each):
            raise energy.EnergyUnavailable(f"no {kind.__name__}")

        monkeypatch.setattr(each, "__init__", missing)
    with pytest.raises(energy.EnergyUnavailable) as error:
        energy.meter()
    assert str(error.value) == "no Rapl; no Pmic; no Hwmon"
