"""A mix in a suite: its cells, names and labels, and what is wrong with a bad one."""

import json
from dataclasses import replace

import pytest

from ondevice_bench.analyse.gradient import has_exact_gradient
from ondevice_bench.errors import BadInput
from ondevice_bench.record.run_json import checked_cell
from ondevice_bench.running.queries.fit_request import fit_words
from ondevice_bench.suite.board import HERE
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.from_flags import Words
from ondevice_bench.suite.labels import method_label, row_labels
from ondevice_bench.suite.matrix import cells_of
from ondevice_bench.suite.passes import passes_of
from ondevice_bench.suite.plan import plan

HEAD = "schema: 1\ntitle: t\nmodels: [mcunet]\nmethods:\n"
TAIL = "  - mix:\n      last:4: {asi: {fraction: [0.125, 0.25]}}\n"
LAYERS = "all, mlp, attention, attention+mlp, conv, last: K, last: K of TEXT, last_blocks: K or pattern: TEXT"


def test_a_mix_is_a_cell_for_each_combination_of_its_options(load):
    cells = cells_of(load(HEAD + TAIL + "      all: {compose: [lean, bias_only]}\n"))
    assert [cell.id for cell in cells] == [
        f"mcunet/mix(last:4=asi(fraction={share}),all=bias_only+lean)/all/b8/s0"
        for share in ("0.125", "0.25")
    ]
    assert row_labels(cells) == (
        "asi fraction=0.125 on last:4, bias_only+lean on all",
        "asi fraction=0.25 on last:4, bias_only+lean on all",
    )
    first, second = cells
    assert first.method == second.method == "mix(last:4=asi,all=bias_only+lean)"
    assert first.method_options == (("last:4=asi.fraction", 0.125),)
    assert first.fingerprint != second.fingerprint
    assert Cell.from_dict(first.to_dict()) == first
    assert passes_of(first, ("time",)) == ("calibrate", "time")


def test_one_method_may_have_two_entries_with_other_options(load):
    (cell,) = cells_of(load(
        HEAD + "  - mix:\n      conv: {compose: [svd: {rank: 2}, galore]}\n"
        "      pattern: *.fc1: vanilla\n".replace("pattern: *", "'pattern: *").replace("fc1:", "fc1':")
        + "      all: {svd: {rank: 3}}\n"
    ))  # fmt: skip
    assert cell.method == "mix(conv=svd+galore,pattern:*.fc1=vanilla,all=svd)"
    assert cell.method_options == (("conv=svd.rank", 2), ("all=svd.rank", 3))
    assert method_label(cell) == "svd+galore rank=2 on conv, vanilla on *.fc1, svd rank=3 on all"


def test_a_label_stands_in_ids_and_tables_and_changes_no_fingerprint(load):
    mix = "  - mix: {conv: lora, all: lean}\n"
    (plain,) = cells_of(load(HEAD + mix))
    (cell,) = cells_of(load(HEAD + mix.replace("{conv", "{label: tail, conv")))
    assert cell.id == "mcunet/tail/all/b8/s0"
    assert method_label(cell) == "tail"
    assert (cell.fingerprint, cell.key) == (plain.fingerprint, plain.key)
    assert cell == plain
    assert Cell.from_dict(cell.to_dict()).label == "tail"
    assert "label" not in plain.to_dict()


def test_the_order_of_the_entries_belongs_to_the_workload(load):
    mixes = "  - mix: {conv: lora, mlp: lora_fa}\n  - mix: {mlp: lora_fa, conv: lora}\n"
    one, other = cells_of(load(HEAD + mixes))
    assert one.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("mix", "says"),
    [
        ("{}", "5: methods[0]: must map layers to methods, such as `conv: lora`, got none"),
        ("[asi]", "5: methods[0]: must map layers to methods, such as `conv: lora`, got ['asi']"),
        ("{all: lean}", "5: methods[0].all: a mix with `all` alone gives no layers to a method of their own"),
        ("\n      conv: lora\n      lasst:4: lora", f"7: methods[0].lasst:4: must be {LAYERS}, got 'lasst'; did you mean 'last'?"),
        ("\n      conv: lora\n      cnov: lora", f"7: methods[0].cnov: must be {LAYERS}, got 'cnov'; did you mean 'conv'?"),
        ("\n      conv:\n        asi: {fraction: 2}", "7: methods[0].conv.asi.fraction: must be in (0, 1], got 2"),
        ("{conv: asi}", "5: methods[0].conv.asi: needs one of rank, epsilon, fraction, trained, budget_mib, perplexity"),
        ("{conv: {asi: {trained: 0.8}}}", "5: methods[0].conv: the rule `trained` has ranks for one method alone: give another rule in a mix"),
        ("\n      last:4: lora\n      'last: 4': lean", "7: methods[0].last: 4: 'last:4' appears twice: join the methods of the two by `compose`"),
        ("\n      all: lora\n      conv: lora", "7: methods[0].conv: 'all' has all layers that are left: put it last"),
        ("\n      conv: lora\n      mlp: lean", "7: methods[0].mlp: lean works on the whole network: give it to `all`"),
        ("\n      conv: lora\n      all: {compose: [svd: {rank: 2}, bias_only]}", "7: methods[0].all: bias_only freezes the layers that svd is for: give svd layers of its own"),
        ("{conv: {compose: [svd: {rank: 2}, lora]}}", "5: methods[0].conv.compose: svd and lora both replace layers: compose one of them"),
        ("\n      conv: lora\n      all: {compose: [saved, saved_bf16]}", "7: methods[0].all.compose: saved and saved_bf16 both pack saved tensors: compose one of them"),
        ("{'pattern:a,b': lora}", "5: methods[0].pattern:a,b: a pattern of a mix cannot have ',', got 'pattern:a,b'"),
        ("{conv: lora, label: my mix}", "5: methods[0].label: must be up to 40 letters, digits, '.', '_' and '-', got 'my mix'"),
        ("{conv: lora, label: rank²}", "5: methods[0].label: must be up to 40 letters, digits, '.', '_' and '-', got 'rank²'"),
        ("{conv: lora, label: asi}", "5: methods[0].label: 'asi' is the name of a method"),
        ("{conv: {lora: {rank: [1, 2]}}, label: a}", "5: methods[0].label: a mix with a label has one value for each option, but lora.rank has 2: leave the label out"),
        ("{conv: lora, label: a}\n  - mix: {conv: lora, label: a}", "6: methods[1].label: 'a' is the label of another mix"),
    ],
)  # fmt: skip
def test_a_bad_mix_is_one_line_with_place_and_cure(complaints, mix, says):
    assert complaints(f"{HEAD}  - mix: {mix}\n") == [says]


def test_an_unknown_method_in_a_mix_has_the_nearest_name(complaints):
    (line,) = complaints(HEAD + "  - mix:\n      conv: lora\n      all: lena\n")
    assert line.startswith("7: methods[0].all: unknown method 'lena'; did you mean 'lean'?")


@pytest.mark.parametrize(
    ("model", "mix", "reason"),
    [
        ("minilm", "{conv: lora}", "minilm has no convolutions to treat"),
        ("minilm", "{mlp: gradient_filter}", "gradient_filter treats conv2d; minilm has linear"),
        (
            "mcunet",
            "{conv: {wsi: {rank: 2}}, all: update_in_backward}",
            "the subspace update of wsi needs all gradients of a step",
        ),
        ("mcunet", "{conv: {wsi: {rank: 2, update: factors}}, all: update_in_backward}", ""),
    ],
)
def test_a_cell_whose_parts_do_not_fit_is_skipped(load, model, mix, reason):
    suite = load(
        f"schema: 1\ntitle: t\nmodels: [{model}]\nmethods:\n  - mix: {mix}\ntrain: {{clip: null}}\n"
    )
    (item,) = plan(suite, HERE)
    assert item.reason == reason


def test_a_mix_on_the_command_line(workplace):
    words = Words(
        ["mcunet"],
        methods=["last:4=asi,all=lean+bias_only"],
        ranks={"fraction": ["0.125"]},
        layers=["all"],
    )
    (cell,) = cells_of(words.suite())
    assert cell.id == "mcunet/mix(last:4=asi(fraction=0.125),all=bias_only+lean)/all/b8/s0"
    (choice,) = words.suite().methods
    assert choice.places == (
        "command line: methods[0].last:4",
        "command line: methods[0].all",
    )
    fit = fit_words(["mcunet"], ["last:4=asi,all=lean"], [], {}, ["all"])
    assert [each.method_options for each in cells_of(fit.suite())] == [
        (("last:4=asi.fraction", 0.125),)
    ]
    for text, says in {
        "lasst:4=lora": "must be all, mlp, .* got 'lasst'; did you mean 'last'",
        "conv=lroa": "unknown method 'lroa'; did you mean 'lora'",
        "conv=lora,conv=lean": "--method conv=lora,conv=lean: 'conv' appears twice",
        "conv=": "unknown method ''",
    }.items():
        with pytest.raises(BadInput, match=says):
            replace(words, methods=[text], ranks={}).suite()


def test_a_store_keeps_a_label_and_refuses_one_that_no_suite_can_have(load):
    (cell,) = cells_of(load(HEAD + "  - mix: {label: tail, conv: lora}\n"))
    assert checked_cell(json.dumps(cell.to_dict())).label == "tail"
    with pytest.raises(ValueError, match="label"):
        checked_cell(json.dumps({**cell.to_dict(), "label": "<b>tail</b>"}))


@pytest.mark.parametrize(
    ("method", "is_exact"),
    [
        ("mix(conv=vanilla,all=lean)", True),
        ("mix(conv=svd,all=lean)", False),
        ("mix(conv=of_tomorrow,all=lean)", False),
    ],
)
def test_a_mix_is_exact_if_all_its_methods_are(method, is_exact):
    assert has_exact_gradient(method) is is_exact
