"""Versions of the user's code in a cell: the join key, and which cells are joined."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.code import (
    CodeChange,
    changes_between,
    code_of,
    join_key,
    name_without_versions,
)
from ondevice_bench.suite.join import join

# what a cell is without versions of code; {0}, {1} and {2} stand for the hashes of three files
MODELS = ("mcunet", "net.py:net@{0}", "net.py:other@{0}", "transformers:c.json@{0}", "tv:resnet18")
METHODS = (
    ("vanilla", ()),
    ("mine.py:A@{1}", (("keep", 0.1),)),
    ("mine.py:A@{1}", (("keep", 0.2),)),
    ("asi+mine.py:A@{1}", (("asi.rank", 2), ("mine.py:A@{1}.keep", 0.1))),
    (
        "mix(last:2=mine.py:A@{1},all=lean+mine.py:B@{2})",
        (("last:2=mine.py:A@{1}.keep", 0.1), ("all=mine.py:B@{2}.keep", 0.1)),
    ),
)
DATA = ("synthetic", "folder:x@aaaaaaaa", "folder:x@bbbbbbbb")
WEIGHTS = ("random", "w.pt@aaaaaaaa", "w.pt@bbbbbbbb")

digests = st.tuples(*[st.sampled_from(["0000000a", "ffffffff", "12345678"])] * 3)
kinds = st.tuples(
    st.sampled_from(MODELS),
    st.sampled_from(METHODS),
    st.sampled_from(DATA),
    st.sampled_from(WEIGHTS),
    st.sampled_from([1, 2]),
    st.sampled_from(["", "tcmalloc"]),
)


def cell_of(kind, hashes):
    """The cell of this kind, with these versions of the code."""
    model, (method, options), data, weights, batch, allocator = kind
    named = [(name.format(*hashes), value) for name, value in options]
    return Cell(
        id=f"{model}/{method}/all/b{batch}/s0".format(*hashes),
        model=model.format(*hashes),
        method=method.format(*hashes),
        method_options=tuple(sorted(named)),
        batch=batch,
        data=data,
        weights=weights,
        allocator=allocator,
    )


@given(kinds, kinds, digests, digests)
def test_keys_are_equal_if_and_only_if_cells_differ_in_versions_of_code_at_most(a, b, one, other):
    assert (join_key(cell_of(a, one)) == join_key(cell_of(b, other))) == (a == b)


@given(kinds, digests, digests)
def test_what_changed_are_the_files_whose_hashes_differ(kind, one, other):
    base, new = cell_of(kind, one), cell_of(kind, other)
    assert (base.key == new.key) == (changes_between(base, new) == ())
    pairs = {(each.file, each.before, each.after) for each in changes_between(base, new)}
    named = {(a.file, a.digest, b.digest) for a, b in zip(code_of(base), code_of(new), strict=True)}
    assert pairs == {each for each in named if each[1] != each[2]}
    assert name_without_versions(base) == name_without_versions(new)


def test_a_cell_without_code_of_the_users_has_its_old_key():
    cell = Cell(id="a", model="mcunet", method="asi", batch=8, allocator="tcmalloc")
    assert join_key(cell) == cell.key


NET = Cell(id="net.py:net@0000000a/x/all/b1/s0", model="net.py:net@0000000a", method="x", batch=1)


def version(digest, **what):
    name = f"net.py:net@{digest}"
    return replace(NET, id=f"{name}/x/all/b1/s0", model=name, **what)


A, B, C = version("aaaaaaaa"), version("bbbbbbbb"), version("cccccccc")


def test_the_order_in_which_earlier_versions_kept_options_parts_no_cells():
    options = (("width", 8), ("depth", 2))
    one, other = (version("aaaaaaaa", model_options=each) for each in (options, options[::-1]))
    assert join_key(one) == join_key(other)


@pytest.mark.parametrize(
    ("base", "new", "pairs", "ambiguous"),
    [
        ([A], [A], [(A, A)], 0),
        ([A], [B], [(A, B)], 0),
        ([A, B], [B, A], [(A, A), (B, B)], 0),
        ([A], [A, B], [(A, A)], 0),  # the other version is new
        ([A, B], [A, C], [(A, A), (B, C)], 0),  # each has one that is left
        ([A, B], [C], [], 3),  # nobody knows which of the two C is
        ([A], [B, C], [], 3),
    ],
)
def test_several_versions_in_a_run_are_never_joined_by_chance(base, new, pairs, ambiguous):
    joined = join(base, new)
    assert list(joined.pairs) == pairs
    assert len(joined.ambiguous) == ambiguous


def test_with_the_same_code_two_versions_are_two_workloads():
    joined = join([A], [B], same_code=True)
    assert (joined.pairs, joined.only_in_base, joined.only_in_new) == ((), (A,), (B,))
    assert joined.ambiguous == ()
    assert join([A], [B]).code_changes == (CodeChange("net.py", "aaaaaaaa", "bbbbbbbb"),)
    assert str(join([A], [B]).code_changes[0]) == "net.py changed (aaaaaaaa → bbbbbbbb)"


@given(
    st.lists(st.tuples(kinds, digests), max_size=6), st.lists(st.tuples(kinds, digests), max_size=6)
)
def test_each_cell_is_in_one_pair_or_left_over_and_sides_are_alike(base, new):
    bases = [cell_of(*each) for each in base]
    news = [cell_of(*each) for each in new]
    joined = join(bases, news)
    mirrored = join(news, bases)
    assert sorted(c.id for c in bases) == sorted(
        [*(c.id for c, _ in joined.pairs), *(c.id for c in joined.only_in_base)]
    )
    assert sorted(c.id for c in news) == sorted(
        [*(c.id for _, c in joined.pairs), *(c.id for c in joined.only_in_new)]
    )
    assert all(join_key(a) == join_key(b) for a, b in joined.pairs)
    assert {(a.id, b.id) for a, b in joined.pairs} == {(a.id, b.id) for b, a in mirrored.pairs}
    # nothing that is left over had a single possible partner
    for cell in joined.only_in_base:
        others = [c for c in joined.only_in_new if join_key(c) == join_key(cell)]
        assert (cell in joined.ambiguous) == bool(others)
        mates = [c for c in joined.only_in_base if join_key(c) == join_key(cell)]
        assert not (len(others) == 1 and len(mates) == 1)
