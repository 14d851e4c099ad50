import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ondevice_bench.errors import BadInput, NothingRan
from ondevice_bench.specs import builtin_methods, registry
from ondevice_bench.specs.data import DataSource
from ondevice_bench.specs.method import MethodSpec
from ondevice_bench.specs.option import Option
from ondevice_bench.specs.weights import WeightSource
from ondevice_bench.suite.board import Board
from ondevice_bench.suite.cell import Train
from ondevice_bench.suite.patterns import matches
from ondevice_bench.suite.plan import plan
from ondevice_bench.suite.refusals import refusal
from ondevice_bench.suite.suite import (
    Axis,
    Condition,
    MethodChoice,
    ModelChoice,
    Sampling,
    Suite,
)

X86 = Board("x86", memory_gib=8.0)


def suite(**what):
    values = {
        "name": "x",
        "path": Path("x.yaml"),
        "text": "",
        "title": "t",
        "purpose": "",
        "models": (ModelChoice("mcunet", (8,), ()),),
        "methods": (MethodChoice("vanilla", ()),),
        "layers": ("all",),
        "hardware": (),
        "data": DataSource(),
        "weights": WeightSource(),
        "dtypes": ("float32",),
        "train": Train(),
        "seeds": (0,),
        "rounds": {"memory": 1, "time": 1, "energy": 1},
        "measure": ("trace",),
        "sampling": Sampling(),
        "timeout": 60.0,
        "baseline": "vanilla",
        "include": (),
        "exclude": (),
    }
    return Suite(**{**values, **what})


def test_a_pass_that_looks_at_layers_has_a_baseline_for_each_choice():
    methods = (
        MethodChoice("vanilla", ()),
        MethodChoice("asi", (Axis("rank", (2,)),)),
        MethodChoice("lean", ()),
    )
    what = {"methods": methods, "layers": ("all", "conv")}
    plain = {cell_id.split("/", 1)[1] for cell_id in ids(plan(suite(**what), X86))}
    seen = suite(**what, measure=("trace", "treated_layers"))
    looked_at = {cell_id.split("/", 1)[1] for cell_id in ids(plan(seen, X86))}
    assert looked_at - plain == {"vanilla/conv/b8/s0"}
    assert plain < looked_at


def ids(planned):
    return [item.cell.id for item in planned]


@pytest.fixture
def low_rank(monkeypatch):
    """A method with options, and one that applies to nothing here."""
    rank = Option("epsilon", "", default=0.9, kind="float", above=0, maximum=1, label="eps")
    exact = Option("exact", "", default=False, kind="bool")
    more = (
        MethodSpec("low_rank", "", "none", frozenset({"linear"}), (rank, exact)),
        MethodSpec("sound", "", "none", frozenset({"conv1d"})),
    )
    monkeypatch.setattr(builtin_methods, "METHODS", (*builtin_methods.METHODS, *more))
    registry.methods.cache_clear()
    yield
    registry.methods.cache_clear()


def test_ids_are_readable_and_leave_out_defaults():
    vit = ModelChoice("vit_b_32", (4,), (Axis("depth", (2, 12)), Axis("classes", (1000,))))
    assert ids(plan(suite(models=(vit,), seeds=(0, 7)), X86)) == [
        "vit_b_32(depth=2)/vanilla/all/b4/s0",
        "vit_b_32(depth=2)/vanilla/all/b4/s7",
        "vit_b_32/vanilla/all/b4/s0",
        "vit_b_32/vanilla/all/b4/s7",
    ]
    assert ids(plan(suite(dtypes=("float64",)), X86)) == ["mcunet/vanilla/all/b8/float64/s0"]


def test_method_options_use_their_labels(low_rank):
    method = MethodChoice("low_rank", (Axis("epsilon", (0.4, 0.9)), Axis("exact", (True,))))
    assert ids(plan(suite(methods=(method,)), X86)) == [
        "mcunet/low_rank(eps=0.4,exact=true)/all/b8/s0",
        "mcunet/low_rank(exact=true)/all/b8/s0",
    ]


@given(
    batches=st.lists(st.integers(1, 64), min_size=1, max_size=4, unique=True),
    depths=st.lists(st.integers(1, 48), min_size=1, max_size=4, unique=True),
    seeds=st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True),
)
def test_the_matrix_is_the_product_of_its_axes_with_unique_ids_and_fingerprints(
    batches, depths, seeds
):
    vit = ModelChoice("vit_b_32", tuple(batches), (Axis("depth", tuple(depths)),))
    planned = plan(suite(models=(vit,), seeds=tuple(seeds)), X86)
    found = {
        (i.cell.batch, dict(i.cell.model_options).get("depth", 12), i.cell.seed) for i in planned
    }
    assert found == set(product(batches, depths, seeds))
    assert len(set(ids(planned))) == len({i.cell.fingerprint for i in planned}) == len(planned)


def test_a_workload_that_is_named_twice_is_planned_once():
    twice = (ModelChoice("mcunet", (8, 8), ()), ModelChoice("mcunet", (8,), ()))
    assert len(plan(suite(models=twice), X86)) == 1


def test_a_workload_with_two_ids_is_planned_once():
    spectrum = WeightSource("spectrum", decay=0.5)
    twice = (ModelChoice("mcunet", (8,), ()), ModelChoice("mcunet", (8,), (), (spectrum,)))
    planned = plan(suite(models=twice, weights=spectrum), X86)
    assert ids(planned) == ["mcunet/vanilla/all/b8/s0"]
    left = plan(suite(models=twice, weights=spectrum, exclude=("mcunet/*",)), X86)
    assert ids(left) == ["mcunet(weights=spectrum(0.5))/vanilla/all/b8/s0"]


def test_two_workloads_with_one_id_are_refused(tmp_path):
    (tmp_path / "net.py").write_text("def net(): ...")
    net = registry.own_model("net.py:net", tmp_path).name
    values = (1, True, 1.0), (1, "1")
    fine, alike = (suite(models=(ModelChoice(net, (8,), (Axis("k", v),)),)) for v in values)
    assert len({item.cell.fingerprint for item in plan(fine, X86)}) == 3
    with pytest.raises(
        BadInput, match=r"two cells with other options have the id 'net.py:net@\w+\(k=1\)/"
    ):
        plan(alike, X86)


@pytest.mark.parametrize("source", [WeightSource("spectrum"), DataSource("synthetic")])
def test_a_number_in_a_name_is_exact(source):
    names = [replace(source, decay=decay).name for decay in (0.123457, 0.12345678, 1.0)]
    assert [re.sub(r"[^\d.]", "", name) for name in names] == ["0.123457", "0.12345678", "1"]


def test_a_method_without_a_layer_to_treat_is_skipped_with_the_reason(low_rank):
    planned = plan(suite(methods=(MethodChoice("vanilla", ()), MethodChoice("sound", ()))), X86)
    assert [(i.state, i.reason) for i in planned] == [
        ("planned", ""),
        ("skipped", "sound treats conv1d; mcunet has conv2d, linear"),
    ]


def test_cells_of_other_boards_are_pending_on_them():
    planned = plan(suite(hardware=("x86", "pi5")), X86)
    assert [(i.profile, i.state, i.reason) for i in planned] == [
        ("x86", "planned", ""),
        ("pi5", "pending", "pending on pi5"),
    ]
    elsewhere = plan(suite(hardware=("pi5",)), X86)
    assert [i.state for i in elsewhere] == ["pending"]


def test_a_matrix_beyond_the_limit_is_refused_before_it_is_made():
    huge = suite(
        seeds=tuple(range(1000)), models=(ModelChoice("mcunet", tuple(range(1, 102)), ()),)
    )
    with pytest.raises(BadInput, match=r"the matrix has 101,000 cells, more than 100,000"):
        plan(huge, X86)


def test_include_and_exclude_choose_by_id():
    two = (ModelChoice("mcunet", (2, 8), ()), ModelChoice("vit_b_32", (2,), ()))
    assert ids(plan(suite(models=two, include=("*/b2/*",)), X86)) == [
        "mcunet/vanilla/all/b2/s0",
        "vit_b_32/vanilla/all/b2/s0",
    ]
    assert ids(plan(suite(models=two, exclude=("mcunet",)), X86)) == ["vit_b_32/vanilla/all/b2/s0"]


def test_a_pattern_that_means_nothing_is_an_error_with_the_nearest_id():
    with pytest.raises(BadInput, match=r"x.yaml: exclude\[0\]: 'mcunett' matches no cell"):
        plan(suite(exclude=("mcunett",)), X86)
    with pytest.raises(NothingRan, match=r"--filter: 'nothing' matches no cell"):
        plan(suite(), X86, filters=["nothing"])
    with pytest.raises(NothingRan, match="include and exclude leave no cell"):
        plan(suite(exclude=("*",)), X86)


def test_each_filter_is_checked():
    with pytest.raises(NothingRan, match=r"^--filter: 'vanila' matches no cell"):
        plan(suite(), X86, filters=["mcunet", "vanila"])


def test_a_board_that_is_named_twice_is_planned_once():
    assert len(plan(suite(hardware=("x86", "x86", "pi5")), X86)) == 2


def test_a_suite_without_a_value_of_an_axis_is_one_line():
    with pytest.raises(BadInput, match=r"exclude\[0\]: 'x' matches no cell$"):
        plan(suite(layers=(), exclude=("x",)), X86)


@pytest.mark.parametrize(
    ("name", "pattern", "fits"),
    [
        ("lora(alpha=8.5)", "alpha=8", False),
        ("lora(alpha=8.05)", "alpha=8", False),
        ("lora(alpha=8.5)", "alpha=8.5", True),
        ("lora(alpha=8.0)", "alpha=8", True),
        ("asi(epsilon=0.95)", "epsilon=0", False),
        ("asi(epsilon=0.95)", "epsilon=0.9", False),
        ("asi(epsilon=0.95)", "95", False),
        ("asi(epsilon=1e-05)", "epsilon=1", False),
        ("asi(rank=4x8)", "rank=4", False),
        ("asi(rank=4x8)", "8", False),
        ("asi(rank=4x8)", "rank=4x8", True),
        ("asi(rank=4)", "rank=4", True),
    ],
)
def test_a_number_at_an_end_of_a_word_is_a_whole_number(name, pattern, fits):
    assert matches(f"mcunet/{name}/all/b2/s0", pattern) is fits


def test_filters_are_alternatives():
    two = (ModelChoice("mcunet", (2, 8), ()), ModelChoice("vit_b_32", (2,), ()))
    assert ids(plan(suite(models=two), X86, filters=["vit", "*/b8/*"])) == [
        "mcunet/vanilla/all/b8/s0",
        "vit_b_32/vanilla/all/b2/s0",
    ]


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("vit", True),
        ("vit_b_32(depth=2)/*", True),
        ("vit_b_32/*", False),
        ("*/s?", True),
        ("*[s]0", False),
        ("", True),
        ("b8/s0", True),
        ("depth=2", True),
        ("2)/vanilla/all/b8/s0", True),
        ("vit_b_3", False),
    ],
)
def test_patterns_are_globs_over_the_whole_id_or_words_in_it(pattern, fits):
    assert matches("vit_b_32(depth=2)/vanilla/all/b8/s0", pattern) is fits


def test_a_composition_shows_the_options_of_its_parts():
    axes = (Axis("wasi.epsilon", (0.8,)), Axis("checkpoint.scope", ("blocks", "mlp")))
    vit = (ModelChoice("vit_b_32", (8,), ()),)
    planned = plan(suite(models=vit, methods=(MethodChoice("wasi+checkpoint", axes),)), X86)
    assert ids(planned) == [
        "vit_b_32/wasi(epsilon=0.8)+checkpoint/all/b8/s0",
        "vit_b_32/wasi(epsilon=0.8)+checkpoint(scope=mlp)/all/b8/s0",
    ]


def test_a_network_without_the_part_that_a_method_needs_is_skipped():
    axes = (Axis("wasi.epsilon", (0.8,)), Axis("checkpoint.scope", ("blocks", "attention")))
    methods = (MethodChoice("wasi+checkpoint", axes),)
    planned = plan(suite(methods=methods), X86)
    assert [item.reason for item in planned] == [
        "",
        "checkpoint needs attention; mcunet declares none",
    ]


def test_vanilla_is_one_cell_across_layer_choices_that_freeze_nothing():
    layers = ("all", "mlp", "last:2", "attention")
    vit = (ModelChoice("vit_b_32", (8,), ()),)
    assert ids(plan(suite(models=vit, layers=layers), X86)) == [
        "vit_b_32/vanilla/all/b8/s0",
        "vit_b_32/vanilla/last:2/b8/s0",
    ]


@pytest.mark.parametrize(
    ("model", "layers", "reason"),
    [
        ("mcunet", "mlp", "mcunet declares no mlp"),
        ("mcunet", "attention+mlp", "mcunet declares no attention and no mlp"),
        ("vit_b_32", "conv", "vit_b_32 has no convolutions to treat"),
    ],
)
def test_layers_that_a_model_has_not_are_skipped_with_the_reason(model, layers, reason):
    method = MethodChoice("asi", (Axis("fraction", (0.5,)),))
    choice = (ModelChoice(model, (8,), ()),)
    (item,) = plan(suite(models=choice, methods=(method,), layers=(layers,)), X86)
    assert (item.state, item.reason) == ("skipped", reason)


def test_the_family_of_a_profile_means_this_machine():
    four = Board("pi5-4gb", ("pi5-4gb", "pi5"), 4.0)

    def states(*names):
        return [(item.profile, item.state) for item in plan(suite(hardware=names), four)]

    assert states("pi5", "x86") == [("pi5-4gb", "planned"), ("x86", "pending")]
    assert states("pi5", "pi5-4gb") == [("pi5", "pending"), ("pi5-4gb", "planned")]


def test_a_condition_keeps_cells_from_small_boards_only():
    two = (ModelChoice("mcunet", (8, 128), ()),)
    big = suite(models=two, when=(Condition(("*/b128/*",), 4.0),), hardware=("x86", "pi5-2gb"))
    planned = plan(big, X86, {"pi5-2gb": Board("pi5-2gb", memory_gib=2.0)})
    assert [item.state for item in planned] == ["planned", "planned", "pending", "skipped"]
    assert planned[-1].reason == ("the suite runs it only on boards with 4 GiB; pi5-2gb has 2")
    unknown = plan(big, Board("generic"))
    assert [item.state for item in unknown[:2]] == ["pending", "pending"]
    with pytest.raises(BadInput, match=r"when\[0\]: 'b64' matches no cell"):
        plan(suite(when=(Condition(("b64",), 4.0),)), X86)


def test_a_board_takes_its_own_variant_and_the_others_the_suite():
    small = suite(models=(ModelChoice("mcunet", (2,), ()),))
    both = suite(hardware=("x86", "pi5"), variants={"pi5": small})
    assert [(i.profile, i.cell.batch) for i in plan(both, X86)] == [("x86", 8), ("pi5", 2)]
    here = Board("pi5-4gb", ("pi5-4gb", "pi5"))
    assert [(i.profile, i.cell.batch) for i in plan(both, here)] == [("x86", 8), ("pi5-4gb", 2)]


def test_each_allocator_has_cells_of_its_own():
    both = suite(allocators=("glibc", "tcmalloc"), dtypes=("float64",), seeds=(0, 1))
    assert ids(plan(both, X86)) == [
        "mcunet/vanilla/all/b8/float64/glibc/s0",
        "mcunet/vanilla/all/b8/float64/glibc/s1",
        "mcunet/vanilla/all/b8/float64/tcmalloc/s0",
        "mcunet/vanilla/all/b8/float64/tcmalloc/s1",
    ]


def test_the_allocator_of_a_profile_is_for_suites_that_name_none():
    board = replace(X86, allocator="jemalloc")
    assert ids(plan(suite(), board)) == ["mcunet/vanilla/all/b8/jemalloc/s0"]
    assert ids(plan(suite(allocators=("glibc",)), board)) == ["mcunet/vanilla/all/b8/glibc/s0"]
    (elsewhere,) = plan(suite(hardware=("pi5",)), X86, {"pi5": replace(board, name="pi5")})
    assert (elsewhere.state, elsewhere.cell.allocator) == ("pending", "jemalloc")


def test_a_cell_whose_allocator_is_missing_is_skipped_with_the_package_to_install():
    board = replace(X86, missing_allocators={"tcmalloc": "install libtcmalloc-minimal4"})
    first, second = plan(suite(allocators=("glibc", "tcmalloc")), board)
    assert (first.state, second.state, second.reason) == (
        "planned",
        "skipped",
        "install libtcmalloc-minimal4",
    )


def test_weights_with_an_update_of_their_own_need_sgd():
    rank, update = Axis("rank", (4,)), Axis("update", ("subspace", "factors"))
    composed = (Axis("wasi.rank", (4,)), Axis("wasi.update", ("subspace", "factors")))
    methods = (MethodChoice("wsi", (rank, update)), MethodChoice("wasi+checkpoint", composed))
    model = (ModelChoice("vit_b_32", (8,), ()),)
    planned = plan(suite(models=model, methods=methods, train=Train(optimizer="adamw")), X86)
    assert [item.state for item in planned] == ["skipped", "planned", "skipped", "planned"]
    assert planned[2].reason == (
        "the subspace update of wasi is a step of sgd: with `train: {optimizer: adamw}` it needs "
        "`update: factors`"
    )
    assert {item.state for item in plan(suite(models=model, methods=methods), X86)} == {"planned"}
    always = (MethodChoice("wsi_svd", (rank,)),)
    (item,) = plan(suite(models=model, methods=always, train=Train(optimizer="adamw")), X86)
    assert item.reason == (
        "the update of wsi_svd is a step of sgd, so it cannot train with "
        "`train: {optimizer: adamw}`"
    )


def test_updates_in_backward_need_no_norm_and_no_update_of_their_own():
    model = (ModelChoice("vit_b_32", (8,), ()),)
    composed = (Axis("wasi.rank", (4,)), Axis("wasi.update", ("subspace", "factors")))
    methods = (
        MethodChoice("update_in_backward", ()),
        MethodChoice("wasi+update_in_backward", composed),
    )
    clipped = plan(suite(models=model, methods=methods), X86)
    assert {item.state for item in clipped} == {"skipped"}
    assert clipped[0].reason == (
        "update_in_backward frees each gradient before the global norm is known: set "
        "`train: {clip: null}` for the suite"
    )
    free = plan(suite(models=model, methods=methods, train=Train(clip=None)), X86)
    assert [item.state for item in free] == ["planned", "skipped", "planned"]
    assert free[1].reason == "the subspace update of wasi needs all gradients of a step"


def test_what_does_not_depend_on_the_seed_is_decided_once_for_all_seeds(monkeypatch):
    asked = []

    def counted(suite, cell):
        asked.append(cell.id)
        return refusal(suite, cell)

    monkeypatch.setattr("ondevice_bench.suite.plan.refusal", counted)
    methods = (MethodChoice("vanilla", ()), MethodChoice("checkpoint", ()))
    planned = plan(suite(methods=methods, seeds=tuple(range(50))), X86)
    assert [item.cell.seed for item in planned] == [*range(50)] * 2
    assert len({item.cell.fingerprint for item in planned}) == 100
    assert len(asked) == 2


def test_without_labels_there_is_nothing_to_learn():
    teaching = suite(measure=("learning",))
    (item,) = plan(teaching, X86)
    assert (item.state, item.reason) == (
        "skipped",
        "the pass learning needs labels: data: synthetic has none",
    )
    (item,) = plan(replace(teaching, data=DataSource("cifar10")), X86)
    assert item.state == "planned"
