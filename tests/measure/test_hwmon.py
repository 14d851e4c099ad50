"""Power chips in folders as the kernel makes them."""

import time

import pytest

from ondevice_bench.measure.energy import EnergyUnavailable
from ondevice_bench.measure.hwmon import Hwmon, rails

INA219 = {
    "name": "ina219",
    "in0_input": "2",
    "in1_input": "5100",
    "curr1_input": "900",
    "power1_input": "4590000",
}
INA226 = {**INA219, "name": "ina226", "update_interval": "35"}
# a Jetson Orin Nano: the first rail feeds the two others; 4 to 7 are shunts and their sum
JETSON = {
    "name": "ina3221",
    **{f"in{n}_label": text for n, text in enumerate(("VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"), 1)},
    **{f"in{n}_enable": "1" for n in (1, 2, 3)},
    "in1_input": "5080", "curr1_input": "1200",
    "in2_input": "5080", "curr2_input": "400",
    "in3_input": "5072", "curr3_input": "300",
    "in4_input": "6", "curr4_input": "1900",
    "in7_label": "sum of shunt voltages", "in7_input": "9",
}  # fmt: skip
AGX = {
    **JETSON,
    "in1_label": "VDD_GPU_SOC",
    "in2_label": "VDD_CPU_CV",
    "in3_label": "VIN_SYS_5V0",
}
FAN = {"name": "pwmfan", "fan1_input": "3000"}
GPU = {"name": "amdgpu", "power1_input": "30000000", "power1_label": "PPT"}


@pytest.fixture
def chips(tmp_path):
    def make(*found):
        for number, files in enumerate(found):
            folder = tmp_path / f"hwmon{number}"
            device = tmp_path / "devices" / f"1-004{number}"
            folder.mkdir()
            device.mkdir(parents=True)
            (folder / "device").symlink_to(device)
            for name, text in files.items():
                (folder / name).write_text(f"{text}\n")
        return tmp_path

    return make


@pytest.mark.parametrize("chip", [INA219, INA226])
def test_a_chip_of_one_rail_gives_its_power(chips, chip):
    (rail,) = rails(chips(FAN, chip))
    assert rail.name == f"{chip['name']}/1"
    assert rail.watts() == pytest.approx(4.59)


def test_without_a_file_of_power_it_is_volts_times_amperes(chips):
    (rail,) = rails(chips({k: v for k, v in INA219.items() if k != "power1_input"}))
    assert rail.watts() == pytest.approx(5.1 * 0.9)


def test_the_rails_of_a_jetson_have_their_labels_and_sums_are_none(chips):
    found = rails(chips(JETSON))
    assert {rail.name: rail.watts() for rail in found} == {
        "VDD_IN": pytest.approx(5.08 * 1.2),
        "VDD_CPU_GPU_CV": pytest.approx(5.08 * 0.4),
        "VDD_SOC": pytest.approx(5.072 * 0.3),
    }


def test_a_label_of_other_bytes_than_utf_8_is_a_name_all_the_same(chips):
    root = chips({**JETSON, "in2_enable": "0", "in3_enable": "0"})
    (root / "hwmon0/in1_label").write_bytes(b"VDD_\xb5\n")
    assert [rail.name for rail in rails(root)] == ["VDD_\ufffd"]


def test_a_rail_that_is_off_is_none(chips):
    assert [rail.name for rail in rails(chips({**JETSON, "in2_enable": "0"}))] == [
        "VDD_IN",
        "VDD_SOC",
    ]


def test_two_chips_of_one_kind_are_told_by_their_device(chips):
    assert [rail.name for rail in rails(chips(INA219, INA219))] == [
        "ina219/1@1-0040",
        "ina219/1@1-0041",
    ]


def energy(meter, seconds=0.3):
    with meter.begin() as metering:
        start = metering.mark()
        time.sleep(seconds)
        end = metering.mark()
        metering.settle()
        return metering.joules(start, end) / (end - start), metering.scope


def test_the_rail_that_feeds_all_others_counts_alone(chips):
    watts, scope = energy(Hwmon(root=chips(JETSON)))
    assert watts == pytest.approx(5.08 * 1.2)
    assert scope.startswith("rail VDD_IN (hwmon), a reading every 0.")


def test_named_rails_add_up(chips):
    watts, scope = energy(Hwmon(["VDD_GPU_SOC", "VDD_CPU_CV"], chips(AGX)))
    assert watts == pytest.approx(5.08 * 1.6)
    assert scope.startswith("rails VDD_GPU_SOC + VDD_CPU_CV (hwmon)")


def test_only_a_name_makes_another_chip_a_meter(chips):
    root = chips(GPU)
    with pytest.raises(EnergyUnavailable, match="has no INA219, INA226 or INA3221"):
        Hwmon(root=root)
    assert Hwmon(["PPT"], root).scope == "rail PPT (hwmon)"


def test_rails_that_may_feed_each_other_are_not_added_by_guess(chips):
    with pytest.raises(EnergyUnavailable, match=r"name those that add up in the profile: `power:"):
        Hwmon(root=chips(AGX))


def test_what_is_not_there_has_a_reason(chips, tmp_path):
    with pytest.raises(EnergyUnavailable, match=r"has no rail '5V' \(it has: VDD_IN, VDD_CPU"):
        Hwmon(["5V"], chips(JETSON))
    with pytest.raises(EnergyUnavailable, match="has no INA219"):
        Hwmon(root=tmp_path / "none")


def test_a_rail_that_cannot_be_read_has_a_reason(chips):
    with pytest.raises(EnergyUnavailable, match="rail ina219/1 cannot be read"):
        Hwmon(root=chips({**INA219, "power1_input": "N/A"}))
