"""Which sensor is the processor's, on folders that stand for machines."""

import pytest

from ondevice_bench.hardware.state import read_state
from ondevice_bench.sensors.machine import MachineSensors

THERMAL, HWMON = "sys/class/thermal/thermal_zone", "sys/class/hwmon/hwmon"


def zones(*kinds_and_degrees):
    files = {}
    for number, (kind, degrees) in enumerate(kinds_and_degrees):
        files[f"{THERMAL}{number}/type"] = f"{kind}\n"
        files[f"{THERMAL}{number}/temp"] = f"{degrees * 1000}\n"
    return files


def chip(number, name, **degrees_by_label):
    files = {f"{HWMON}{number}/name": f"{name}\n"}
    for place, (label, degrees) in enumerate(degrees_by_label.items(), start=1):
        files[f"{HWMON}{number}/temp{place}_label"] = f"{label}\n"
        files[f"{HWMON}{number}/temp{place}_input"] = f"{degrees * 1000}\n"
    return files


PI = zones(("cpu-thermal", 55), ("rp1-thermal", 71))
LAPTOP = zones(("acpitz", 28), ("INT3400 Thermal", 20), ("x86_pkg_temp", 63), ("iwlwifi_1", 80))
ROCKCHIP = zones(("soc-thermal", 60), ("bigcore0-thermal", 66), ("littlecore-thermal", 58))
JETSON = zones(("CPU-therm", 48), ("GPU-therm", 52), ("PMIC-Die", 100))
AMD = {
    **zones(("acpitz", 17)),
    **chip(0, "nvme", Composite=84),
    **chip(1, "k10temp", Tctl=70, Tdie=50, Tccd1=48),
}
RYZEN = {**zones(("acpitz", 17)), **chip(0, "k10temp", Tctl=45)}
UNKNOWN = zones(("acpitz", 40), ("battery", 31))


@pytest.mark.parametrize(
    ("files", "celsius"),
    [(PI, 55), (LAPTOP, 63), (ROCKCHIP, 66), (JETSON, 48), (AMD, 50), (RYZEN, 45), (UNKNOWN, 40)],
    ids=["pi", "laptop", "rockchip", "jetson", "amd", "ryzen", "unknown"],
)
def test_the_processor_counts_and_not_what_is_hotter_or_colder_beside_it(tmp_path, files, celsius):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert MachineSensors([0], "", tmp_path).read()["celsius"] == celsius
    assert read_state(tmp_path).temperature_celsius == celsius


def test_a_zone_that_sleeps_is_no_temperature(tmp_path):
    zone = tmp_path / f"{THERMAL}0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("cpu-thermal\n")
    (zone / "temp").mkdir()  # an error when it is read
    assert read_state(tmp_path).temperature_celsius is None
    assert "celsius" in MachineSensors([0], "", tmp_path).unavailable
