"""What `bench fit` prints."""

from dataclasses import replace

import pytest

from ondevice_bench.report.terminal.fit import fit_answer, fit_notes, fit_reasons, fit_table
from ondevice_bench.suite.fit import LARGEST, BoardFits, Fit, MemoryLimit
from ondevice_bench.terminal import table_text
from ondevice_bench.units import GIB, MIB

FITS = (
    Fit("net", "vanilla", 10, fits=True, peak_bytes=896 * MIB, example_flops=2e9),
    Fit("net", "wasi(fraction=0.125)", 30, fits=True, peak_bytes=1792 * MIB, example_flops=1e9),
    Fit("net", "gradient_filter", reason="it treats conv2d"),
    Fit("other", "vanilla", 5, fits=True, peak_bytes=MIB, example_flops=2e9),
)
FOUND = BoardFits("pi5-4gb", MemoryLimit(4 * GIB, 512 * MIB), None, FITS)


def test_each_model_has_a_table_that_fits_80_columns():
    lines = table_text(fit_table(FOUND, "net")).splitlines()
    assert lines[1].split() == ["method", "largest", "batch", "peak", "of", "the", "board", "FLOPs"]
    assert "25.0 %" in lines[3]
    assert "50.0 %" in lines[4]
    assert len([line for line in lines if line]) == 4
    assert max(map(len, lines)) <= 80
    assert len(fit_table(FOUND, "other").rows) == 1


def test_a_search_that_ended_at_its_end_found_no_largest_batch():
    most = replace(FOUND, fits=(replace(FITS[0], batch=LARGEST), FITS[1]))
    assert [row[1] for row in fit_table(most, "net").rows] == ["65536 or more", "30"]


def test_a_method_without_a_batch_has_a_line_with_the_reason():
    assert fit_reasons(FOUND, "net") == ["gradient_filter: it treats conv2d"]


def test_an_asked_batch_is_answered_in_words():
    fits = (replace(FITS[0], fits=False), FITS[1])
    table = fit_table(replace(FOUND, asked=10, fits=fits), "net")
    assert table.titles[1] == "batch 10"
    assert [row[1] for row in table.rows] == ["does not fit", "fits"]


def test_the_time_is_a_column_only_if_a_run_knows_one():
    assert "time of an example" not in fit_table(FOUND, "net").titles
    assert "There is no time" in fit_notes(FOUND)[-1]
    known = replace(FOUND, fits=(replace(FITS[0], example_seconds=0.5), FITS[1]))
    assert [row[-1] for row in fit_table(known, "net").rows] == ["500 ms", "unknown"]


def test_the_notes_say_what_the_shares_are_of():
    assert fit_notes(FOUND)[:2] == [
        "pi5-4gb has 4 GiB. The system and torch itself get 512 MiB (--reserve).",
        "100 % are the other 3.5 GiB.",
    ]


@pytest.mark.parametrize(
    ("asked", "fits", "says"),
    [
        (
            None,
            {"vanilla": 10, "wasi": 30},
            "the largest batch is 10 with vanilla, and 30 with wasi.",
        ),
        (
            None,
            {"vanilla": 30, "wasi": 10},
            "the largest batch is 30 with vanilla, and with no other method more.",
        ),
        (None, {"wasi": 10}, "the largest batch is 10 with wasi."),
        (
            8,
            {"vanilla": True, "wasi": True},
            "batch 8 fits with vanilla, so no other method is needed.",
        ),
        (
            8,
            {"vanilla": False, "wasi": True},
            "batch 8 does not fit with vanilla, but fits with wasi (1.00 MiB).",
        ),
        (8, {"vanilla": False, "wasi": False}, "batch 8 fits with none of these methods."),
        (8, {"wasi": True}, "batch 8 fits with wasi (1.00 MiB)."),
    ],
)
def test_the_answer_is_one_sentence(asked, fits, says):
    found = tuple(
        Fit("net", method, asked or value, fits=bool(value), peak_bytes=MIB)
        for method, value in fits.items()
    )
    answered = replace(FOUND, asked=asked, fits=found)
    assert fit_answer(answered, "net") == f"answer for net on pi5-4gb, by its tensors: {says}"
    tried = replace(answered, fits=(replace(found[0], confirmed={"8": "ok"}), *found[1:]))
    assert fit_answer(tried, "net") == ""  # the real run has the answer
