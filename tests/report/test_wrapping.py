import pytest

from ondevice_bench.report.wrapping import unbroken


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("59 % of 23.5 GiB", "59_% of 23.5_GiB"),
        ("0.81× … 0.88×", "0.81×_…_0.88×"),
        ("31.1 examples/s, 52.0 ms, 1.31 times", "31.1_examples/s, 52.0_ms, 1.31_times"),
        ("125 steps, 3 methods, 12 minutes", "125 steps, 3 methods, 12 minutes"),
    ],
)
def test_no_line_ends_between_a_number_and_its_unit(text, expected):
    assert unbroken(text).replace("\u00a0", "_") == expected
