import pytest

from ondevice_bench import units


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2349 * 2**20, "2349.00 MiB"),
        (0, "0.00 MiB"),
        (2**20, "1.00 MiB"),
        (2**20 - 2**18, "0.750 MiB"),
        (10486, "0.0100 MiB"),
        (10485, "10.2 KiB"),
        (4096, "4.00 KiB"),
        (-4096, "-4.00 KiB"),
        (1023, "1023 bytes"),
        (324, "324 bytes"),
        (1, "1 byte"),
        (0.5, "0.500 bytes"),
        (-(2**21), "-2.00 MiB"),
    ],
)
def test_bytes_take_the_unit_that_reads_best(value, text):
    assert units.mib(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0.00 s"),
        (1.2345, "1.23 s"),
        (123.4, "123 s"),
        (0.0372, "37.2 ms"),
        (0.299, "299 ms"),
        (5e-6, "5.00 µs"),
        (float("inf"), "inf s"),
    ],
)
def test_seconds_take_the_unit_that_reads_best(value, text):
    assert units.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(42, "0:42"), (725, "12:05"), (3725, "1:02:05"), (-3, "0:00")]
)
def test_durations_read_like_a_watch(value, text):
    assert units.clock(value) == text


def test_times_of_any_zone_have_one_order_and_one_text():
    later, earlier = "2026-03-01T20:00:00-05:00", "2026-03-02T00:30:00+00:00"
    assert units.by_time(earlier) < units.by_time(later)
    assert units.moment(later) == "2026-03-02 01:00 UTC"
    assert (units.minute(later), units.day(later)) == ("2026-03-02 01:00", "2026-03-02")
    assert units.seconds_between(earlier, later) == 1800
    assert units.instant("2026-03-02T00:30:00") == units.instant(earlier)


@pytest.mark.parametrize("text", ["", "now", "2026-99-99T00:00:00Z", "0001-01-01T00:00:00+14:00"])
def test_what_is_no_time_stays_text_and_comes_before_all_times(text):
    assert units.instant(text) is None
    assert units.by_time(text) < units.by_time("1970-01-01")
    assert [units.moment(text), units.minute(text), units.day(text)] == [text] * 3
    assert units.seconds_between(text, "2026-03-02") == 0


def test_multiply_adds_are_no_flops():
    assert (units.macs(1.5e9), units.flops(1.5e9)) == ("1.50 GMAC", "1.50 GFLOP")


def test_a_quantity_takes_the_form_of_its_unit():
    assert units.quantity(2**20, "bytes") == "1.00 MiB"
    assert units.quantity(0.5, "seconds") == "500 ms"
    assert units.quantity(12, "joules") == "12.0 joules"
    assert units.quantity(84.25, "celsius") == "84.2 °C"
    assert units.quantity(12, "faults") == "12 faults"
    assert units.quantity(12345, "faults") == "12.3 k faults"
    assert units.ratio(0.784) == "0.784×"


def test_an_interval_says_its_unit_once_if_it_can():
    assert units.interval(0.01, 0.016, "seconds") == "10.0 … 16.0 ms"
    assert units.interval(0.5, 1.5, "seconds") == "500 ms … 1.50 s"
    assert units.interval(2**20, 2**21, "bytes") == "1.00 … 2.00 MiB"
    assert units.interval(0.5, 0.5, "") == "0.500 … 0.500"


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0123, "1.2 %"),
        (0.5, "50 %"),
        (0.996, "99.6 %"),
        (0.9999, "99.9 %"),
        (1.0, "100 %"),
        (1.00001, "100.1 %"),
        (1.02, "102 %"),
    ],
)
def test_only_the_whole_is_100_per_cent(share, text):
    assert units.percent(share) == text


def test_numbers_beside_each_other_have_the_same_digits():
    assert [units.quantity(value, "") for value in (1, 0.9999999, 0.9)] == [
        "1.00",
        ">0.999",
        "0.900",
    ]
    assert units.interval(0.98, 1, "") == "0.980 … 1.00"
    assert (units.ratio(0.9), units.ratio(0.862)) == ("0.900×", "0.862×")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.1, "100 ms"),
        (0.96, "1 s"),
        (41.4, "41 s"),
        (61, "1 min"),
        (241, "4 min"),
        (4800, "1 h 20 min"),
    ],
)
def test_a_duration_in_words_is_short(seconds, text):
    assert units.about(seconds) == text


def test_one_thing_is_no_plural():
    assert [units.number_of(n, "cell") for n in (0, 1, 2)] == ["0 cells", "1 cell", "2 cells"]


def test_names_with_numbers_sort_by_them():
    names = ["pi5-16gb", "x86", "pi5", "pi5-2gb", "pi4"]
    assert sorted(names, key=units.natural_key) == ["pi4", "pi5", "pi5-2gb", "pi5-16gb", "x86"]


@pytest.mark.parametrize("name", ["pi5²", "²", "pi" + "9" * 5000, "pi٣", ""])
def test_any_name_has_a_place_in_the_order(name):
    assert sorted([name, "pi5"], key=units.natural_key) == sorted(
        ["pi5", name], key=units.natural_key
    )


def test_different_names_have_different_places_in_the_order():
    assert sorted(["a1", "a01"], key=units.natural_key) == ["a01", "a1"]
    assert sorted(["a01", "a1"], key=units.natural_key) == ["a01", "a1"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-11-30T03:29:10+00:00", "2026-11-30 03:29 UTC"),
        ("2026-11-30T03:29:10+02:00", "2026-11-30 01:29 UTC"),
        ("2026-11-30T03:29:10", "2026-11-30 03:29 UTC"),
        ("not yet", "not yet"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00"),
        ("9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59-14:00"),
    ],
)
def test_a_time_is_shown_in_utc_and_any_other_text_as_it_is(text, shown):
    assert units.moment(text) == shown


@pytest.mark.parametrize(
    ("text", "value"),
    [("512M", 512 << 20), ("2G", 2 << 30), ("1.5 GiB", 3 << 29), ("64KiB", 65536)],
)
def test_sizes_are_read_by_powers_of_1024(text, value):
    assert units.parse_bytes(text) == value
    assert units.size(2 << 30) == "2 GiB"


@pytest.mark.parametrize(
    ("value", "text"),
    [(1 << 19, "0.5 MiB"), (1000 << 20, "1000 MiB"), (3.75 * 2**30, "3.75 GiB"),
     (1000 << 30, "1000 GiB"), (1536 << 30, "1536 GiB"), (999.7 * 2**30, "1000 GiB")],
)  # fmt: skip
def test_a_size_of_any_machine_has_no_power_of_ten(value, text):
    assert units.size(value) == text


@pytest.mark.parametrize(("text", "value"), [("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200)])
def test_durations_are_read_in_their_unit(text, value):
    assert units.parse_duration(text) == value


@pytest.mark.parametrize("text", ["", "2T", "-1G", "G", "1e3M", "9" * 11 + "G", "9" * 400 + "h"])
def test_what_is_no_size_or_duration_is_refused(text):
    with pytest.raises(ValueError, match="must be a size"):
        units.parse_bytes(text)
    with pytest.raises(ValueError, match="must be a duration"):
        units.parse_duration(text)
