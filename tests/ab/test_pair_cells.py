from ondevice_bench.ab.pair_cells import pair_cells
from ondevice_bench.suite.cell import Cell


def cell(model="mcunet", **what):
    return Cell(**{"id": f"{model}/vanilla/all/b4/s0", "model": model, "method": "vanilla",
                   "batch": 4, **what})  # fmt: skip


def test_cells_pair_whatever_the_version_of_their_code():
    base = [cell("net.py:net@0123abcd"), cell()]
    new = [cell(), cell("net.py:net@ffff0000")]
    cells = pair_cells(base, new)
    assert cells.pairs == {
        "net.py:net/vanilla/all/b4/s0": (base[0].id, new[1].id),
        "mcunet/vanilla/all/b4/s0": (base[1].id, new[0].id),
    }
    assert cells.unpaired == ()


def test_cells_that_one_side_lacks_are_named():
    cells = pair_cells([cell("a"), cell("b")], [cell("c"), cell("a")])
    assert list(cells.pairs) == ["a/vanilla/all/b4/s0"]
    assert cells.unpaired == ("b/vanilla/all/b4/s0", "c/vanilla/all/b4/s0")


def test_other_data_or_weights_are_another_workload():
    base, new = cell(weights="w.pt@aaaaaaaa"), cell(weights="w.pt@bbbbbbbb")
    assert pair_cells([base], [new]).pairs == {}
