"""Options on the command line go to whoever knows them."""

from dataclasses import replace

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.specs.signature import options_of_method
from ondevice_bench.suite.from_flags import DEFAULT_FRACTION, Words, with_a_rank_rule
from ondevice_bench.suite.matrix import choices
from ondevice_bench.suite.suite import Axis

METHODS = """\
class TopK:
    def __init__(self, *, keep=0.1, classes=3): ...

class Any:
    def __init__(self, **options): ...

class Inherits(TopK): ...
"""


@pytest.fixture
def shared(workplace):
    """The options of a model and of a class in a file, from options of both."""
    (workplace / "topk.py").write_text(METHODS)

    def share(kind, *options, ranks=None):
        words = Words(["vit_b_32"], methods=[f"./topk.py:{kind}"], options=options, ranks=ranks)
        suite = words.suite()
        (model,), (method,) = suite.models, suite.methods
        return tuple(dict(next(iter(choices(each)))) for each in (model, method))

    return share


@pytest.mark.parametrize("kind", ["TopK", "Any", "Inherits"])
def test_a_models_option_does_not_go_to_a_method_in_a_file(shared, kind):
    model, method = shared(kind, "depth=2", "keep=0.1", ranks={"rank": ["4"]})
    assert model == {"depth": 2}
    assert method == {"keep": 0.1, "rank": 4}


def test_an_option_that_both_have_is_the_methods_as_for_methods_of_ours(shared):
    assert shared("TopK", "classes=5") == ({}, {"classes": 5})


def test_ranks_of_both_spellings_are_together():
    words = Words(["mcunet"], methods=["asi"], options=["rank=4"], ranks={"rank": ["8"]})
    assert words.suite().methods[0].axes == (Axis("rank", (4, 8)),)


def test_an_option_that_nobody_has_is_one_line(shared):
    with pytest.raises(BadInput, match=r"^--option kep: none of ./topk.py:TopK, vit_b_32 has "):
        shared("TopK", "kep=0.1")


def test_the_options_of_a_class_come_from_its_syntax(tmp_path):
    file = tmp_path / "topk.py"
    assert options_of_method(file, "TopK") is None
    file.write_text(METHODS)
    assert options_of_method(file, "TopK") > {"keep", "classes", "rank"}
    for name in ("Any", "Inherits", "No"):
        assert options_of_method(file, name) is None
    file.write_text("class (")
    assert options_of_method(file, "TopK") is None


@pytest.mark.parametrize(
    ("bases", "body", "has_ranks"),
    [
        ("LayerMethod", "", False),
        ("methods.LayerMethod", "", False),
        ("LayerMethod", "ranked = {'weight'}", True),
        ("LayerMethod, Ranked", "", True),
    ],
)
def test_a_class_without_ranks_has_no_rank_rules(tmp_path, bases, body, has_ranks):
    file = tmp_path / "mine.py"
    file.write_text(f"class Mine({bases}):\n    {body}\n    def __init__(self, *, share=1): ...\n")
    found = options_of_method(file, "Mine")
    assert found is not None
    assert ("fraction" in found, "share" in found) == (has_ranks, True)


def test_a_cell_has_the_allocators_of_the_command_line():
    suite = Words(["mcunet"], allocators=["tcmalloc", "glibc"]).suite()
    assert suite.allocators == ("tcmalloc", "glibc")
    assert Words(["mcunet"]).suite().allocators == ()
    with pytest.raises(BadInput, match=r"^command line: allocator.*did you mean 'tcmalloc'"):
        Words(["mcunet"], allocators=["tcmaloc"]).suite()


@pytest.mark.parametrize(
    ("words", "fraction"),
    [
        (Words(["mcunet"], ["vanilla", "asi"]), True),
        (Words(["mcunet"], ["conv=wasi,all=lean"]), True),
        (Words(["mcunet"], ["wasi"], ranks={"weight_rank": ["4"]}), True),
        (Words(["mcunet"], ["vanilla", "lean"]), False),
        (Words(["mcunet"], ["asi"], ["asi.rank=4"]), False),
        (Words(["mcunet"], ["asi"], ["budget_mib=4"]), False),
        (Words(["mcunet"], ["asi"], ranks={"epsilon": ["0.8"], "rank": []}), False),
        (Words(["mcunet"], ["./mine.py:Mine"]), False),
        (Words(["mcunet"], ["asj"]), False),
    ],
)
def test_a_fraction_of_one_eighth_is_assumed_only_without_a_rank_rule(words, fraction):
    found = with_a_rank_rule(words)
    given = dict(words.ranks or {})
    assert found.ranks == ({**given, "fraction": [DEFAULT_FRACTION]} if fraction else words.ranks)
    assert replace(found, ranks=words.ranks) == words
    assert float(DEFAULT_FRACTION) == 1 / 8


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (Words(["mcunet"], ["vanilla", "asi"]), "--method asi: needs one of rank, epsilon"),
        (Words(["mcunet", "./no.py:net"]), "--model ./no.py:net: ./no.py: cannot be read: No such"),
        (Words(["mcunet"], batches=[8, 0]), "--batch: must be at least 1, got 0"),
    ],
)
def test_a_message_names_the_flag_and_its_word(workplace, words, says):
    with pytest.raises(BadInput) as caught:
        words.suite()
    (line,) = caught.value.lines
    assert line.startswith(says)
