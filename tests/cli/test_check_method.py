"""The table of `bench check-method`: a row for all layers of which a check says the same."""

from ondevice_bench.cli.check_method import _rows


def checked(check, case, passed, message):
    return {"check": check, "case": case, "passed": passed, "message": message}


def test_layers_that_are_fine_share_a_row_with_the_largest_distance():
    (row,) = _rows(
        [checked("output", each, True, f"{each} from it") for each in ("1.0e-16", "2.0e-16")]
    )
    assert row == {
        "check": "output",
        "": "ok",
        "layers": "all",
        "result": "at most 2.0e-16 from it",
    }


def test_failures_come_last_and_each_reason_has_its_layers():
    rows = _rows(
        [
            checked("bytes", "a", False, "declared 1 B"),
            checked("bytes", "b", False, "declared 1 B"),
            checked("bytes", "c", False, "declared 2 B"),
            checked("hooks", "a", True, "run"),
            checked("hooks", "b", True, "run"),
            checked("hooks", "c", None, "it has none"),
        ]
    )
    assert [tuple(row.values()) for row in rows] == [
        ("hooks", "ok", "a; b", "run"),
        ("hooks", "not checked", "c", "it has none"),
        ("bytes", "FAILED", "a; b", "declared 1 B"),
        ("bytes", "FAILED", "c", "declared 2 B"),
    ]


def test_numbers_of_several_layers_are_left_out():
    (row,) = _rows([checked("bytes", each, True, f"{each} B") for each in ("1", "2")])
    assert row["result"] == ""
