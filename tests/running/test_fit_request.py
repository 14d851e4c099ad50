import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.running.queries.fit_request import fit_words, memory_limit
from ondevice_bench.suite.board import Board
from ondevice_bench.suite.from_flags import DEFAULT_FRACTION
from ondevice_bench.units import GIB, MIB


def test_a_step_may_take_what_the_reserve_leaves():
    limit = memory_limit(Board("pi", memory_gib=4), 512 * MIB)
    assert (limit.total_bytes, limit.usable_bytes) == (4 * GIB, 4 * GIB - 512 * MIB)


@pytest.mark.parametrize(
    ("mebibytes", "reserve"), [(416, 208), (1023, 511.5), (1024, 512), (8192, 512)]
)
def test_the_usual_reserve_is_at_most_half_of_the_memory(mebibytes, reserve):
    limit = memory_limit(Board("small", memory_gib=mebibytes / 1024), None)
    assert (limit.total_bytes, limit.reserve_bytes) == (mebibytes * MIB, reserve * MIB)


@pytest.mark.parametrize(
    ("memory_gib", "says"),
    [
        (None, "the profile pi has no memory size: choose a profile that has one"),
        (2, "--reserve: 3 GiB is not less than the memory of pi, 2 GiB"),
        (3, "--reserve: 3 GiB is not less than the memory of pi, 3 GiB"),
    ],
)
def test_a_board_needs_more_memory_than_the_reserve(memory_gib, says):
    with pytest.raises(BadInput, match=says):
        memory_limit(Board("pi", memory_gib=memory_gib), 3 * GIB)


def test_without_ranks_every_method_is_asked_and_a_fraction_is_given():
    words = fit_words(["mcunet"], [], [], {"rank": [], "fraction": []}, [])
    assert {"vanilla", "asi", "wasi"} <= set(words.methods)
    assert words.ranks == {"rank": [], "fraction": [DEFAULT_FRACTION]}


@pytest.mark.parametrize(
    ("methods", "ranks"),
    [
        (["vanilla"], {"rank": [], "fraction": []}),
        (["./mine.py:Mine"], {"rank": [], "fraction": []}),
        (["asi"], {"rank": ["8"], "fraction": []}),
        (["asi"], {"rank": [], "fraction": ["0.5"]}),
    ],
)
def test_no_fraction_is_added_where_none_is_needed(methods, ranks):
    assert fit_words(["mcunet"], methods, [], ranks, []).ranks == ranks


@pytest.mark.parametrize("option", ["rank=4", "trained=0.8", "fraction=0.5"])
def test_no_fraction_is_added_to_a_rank_rule_that_is_an_option(option):
    (method,) = fit_words(["minilm"], ["asi"], [option], {}, []).suite().methods
    assert [axis.name for axis in method.axes] == [option.partition("=")[0]]


@pytest.mark.parametrize("option", ["epsilon=0.8", "wasi.weight_epsilon=0.9", "budget_mib=4"])
def test_ranks_that_depend_on_data_are_refused(option):
    with pytest.raises(BadInput, match=r"depend on data, .*: give --fraction or --rank"):
        fit_words(["mcunet"], ["wasi"], [option], {}, [])


def test_epsilon_as_a_flag_is_refused_in_the_same_words():
    with pytest.raises(BadInput, match=r"ranks by epsilon depend on data, weights and batch"):
        fit_words(["mcunet"], ["wasi"], [], {"epsilon": ["0.8"]}, [])


def test_a_board_without_a_size_names_its_family_by_size():
    boards = [
        Board("pi-16gb", ("pi-16gb", "pi"), 16),
        Board("pi-2gb", ("pi-2gb", "pi"), 2),
        Board("desk", ("desk",), 8),
        Board("other"),
    ]
    with pytest.raises(BadInput, match=r"choose one of pi-2gb, pi-16gb$"):
        memory_limit(Board("pi", ("pi",)), MIB, boards)
    with pytest.raises(BadInput, match=r"choose one of pi-2gb, desk, pi-16gb$"):
        memory_limit(Board("other"), MIB, boards)
