"""What `bench fit` computed, on the page of a run."""

import json
import re

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.report.page import render
from ondevice_bench.report.sections import fits as section
from ondevice_bench.suite.fit import BoardFits, Fit, MemoryLimit
from ondevice_bench.suite.fit_file import read_fits
from ondevice_bench.units import GIB, MIB
from tests.report import synthetic
from tests.report.test_page import body, drawn

POINTS = ((1, 400 * MIB), (8, 3200 * MIB), (9, 3600 * MIB))
FOUND = BoardFits(
    "pi5-4gb",
    MemoryLimit(4 * GIB, 512 * MIB),
    None,
    (
        Fit("mcunet", "vanilla", 8, True, 3200 * MIB, 3600 * MIB, 2e9, 1e-5, points=POINTS),
        Fit("mcunet", "svd(fraction=0.125)", reason="it is not for this", points=((1, MIB),)),
        Fit("other", "vanilla", 3, True, MIB, confirmed={"3": "ok", "4": "oom: no"}),
    ),
)


@pytest.fixture
def file_of(tmp_path):
    def write(values):
        path = tmp_path / "fits.json"
        path.write_text(json.dumps(values, indent=2))
        return path

    return write


@pytest.fixture
def summary(summary_of):
    cells = synthetic.cells()
    return summary_of(synthetic.records(cells), synthetic.planned(cells), synthetic.run_of())


def test_a_file_of_fit_is_read_as_it_was_computed(file_of):
    assert read_fits(file_of(FOUND.to_dict())) == FOUND


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"memory_bytes": 0}, "fits.json:3: memory_bytes: must be greater than 0, got 0"),
        ({"fits": [{"model": "net", "batch": 3}]}, "fits[0].method: is required"),
        ({"boards": []}, "unknown key 'boards'"),
        ({"fits": 3}, "fits: must be a list, got 3"),
        ({"reserve_bytes": 4 << 30}, "usable_bytes must be memory_bytes without reserve_bytes"),
        (
            {"fits": [{"model": "net", "method": "asi", "points": [[2, 5], [2, 6]]}]},
            "fits[0].points: the batches of the points must be ascending",
        ),
    ],
)
def test_a_file_of_something_else_is_refused(file_of, change, says):
    with pytest.raises(BadInput) as caught:
        read_fits(file_of({**FOUND.to_dict(), **change}))
    assert says in str(caught.value)


def test_the_page_shows_them_with_their_board_and_says_that_they_are_computed(summary):
    page = body(render([summary], fits=FOUND))
    text = page[page.index("The largest batch that fits") :]
    assert "They are not measured." in text
    assert "For <strong>pi5-4gb</strong>: a step may use 3.5 GiB." in text
    assert "The numbers of this run are from another board, x86." in text
    assert "<td>8</td><td>3200.00 MiB</td><td>89.3 %</td>" in text
    assert "svd(fraction=0.125): it is not for this" in text
    assert "--fits FILE" in re.search("This page</th><td>(.*?)</td>", page)[1]
    (figure,) = drawn(page)["fit-curves"]
    curve = figure["data"][0]
    assert (curve["name"], curve["x"], curve["y"]) == ("vanilla", [1, 8, 9], [400, 3200, 3600])
    (limit,) = figure["layout"]["shapes"]
    assert limit["y0"] == 3584


def test_a_page_without_them_has_no_such_section(summary):
    assert "The largest batch that fits" not in body(render([summary]))
    assert section.curves(FOUND, "none") is None
