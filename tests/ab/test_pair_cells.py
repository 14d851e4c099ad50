from ondevice_bench.ab.pair_cells import pair_cells


def test_cells_pair_by_their_id_whatever_the_hash_of_their_code():
    base = ["net.py:net@0123abcd/vanilla/all/b4/s0", "mcunet/asi(rank=2)/all/b8/s0"]
    new = ["mcunet/asi(rank=2)/all/b8/s0", "net.py:net@ffff0000/vanilla/all/b4/s0"]
    cells = pair_cells(base, new)
    assert cells.pairs == {
        "net.py:net/vanilla/all/b4/s0": (base[0], new[1]),
        "mcunet/asi(rank=2)/all/b8/s0": (base[1], new[0]),
    }
    assert cells.unpaired == ()


def test_cells_that_one_side_lacks_are_named():
    cells = pair_cells(["a", "b"], ["c", "a"])
    assert cells.pairs == {"a": ("a", "a")}
    assert cells.unpaired == ("b", "c")
