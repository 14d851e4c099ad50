"""This machine as a desk: its figures are those that ship."""

import json

import pytest

from ondevice_bench.analyse.resolve_run import stored_summary
from ondevice_bench.validation.figures import desk_figures, figures_of, suite_file

CHOSEN = "schema: 1\ntitle: Figures\nextends: {suite}\nmeasure: [trace]\n"


def test_some_cells_have_the_figures_that_ship(bench, workplace):
    """All of them take minutes: `benchmarks/desk_figures.py` measures them."""
    (workplace / "figures.yaml").write_text(CHOSEN.format(suite=suite_file()))
    words = ("--filter", "mcunet/vanilla*", "--filter", "vit_b_32*/asi*")
    assert bench("run", "./figures.yaml", *words).code == 0
    found = figures_of(stored_summary("figures"))
    assert len(found) == 2
    assert {name: desk_figures().cells[name] for name in found} == found


@pytest.mark.nightly
@pytest.mark.timeout(3000)
def test_a_desk_passes_what_it_has_and_validates_no_pi(bench, workplace):
    ended = bench("board", "validate", "-q", "-o", "desk.bundle", "--json", timeout=3000)
    found = json.loads(ended.out)
    assert ended.code == 0, found
    assert not found["validates_a_pi"]
    assert {each["outcome"] for each in found["proofs"]} <= {"passed", "absent"}
    assert (workplace / "desk.bundle").exists()
