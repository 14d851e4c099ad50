"""Cells in few words."""

import dataclasses

import pytest

from ondevice_bench.specs import rank_rules
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.labels import (
    labelled,
    method_label,
    row_labels,
    shared_options,
    short_names,
    with_reason,
)
from ondevice_bench.terminal import Table, open_streams, table_text


def cell(method="asi", *options, **what):
    values = {"model": "mcunet", "batch": 8, "seed": 0, "layers": "all", **what}
    said = ",".join(f"{name}={value}" for name, value in options)
    name = f"{method}({said})" if said else method
    path = f"{values['model']}/{name}/{values['layers']}/b{values['batch']}/s{values['seed']}"
    return Cell(id=path, method=method, method_options=options, **values)


@pytest.mark.parametrize(
    ("found", "label"),
    [
        (cell("vanilla"), "vanilla"),
        (cell("asi", ("epsilon", 0.8)), "asi ε=0.8"),
        (cell("asi", ("rank", 4)), "asi rank=4"),
        (cell("asi", ("rank", "8x16x32")), "asi rank=8x16x32"),
        (cell("svd", ("fraction", 0.125)), "svd fraction=0.125"),
        (cell("svd", ("fraction", 1.0)), "svd fraction=1"),
        (cell("wsi", ("trained", 0.9)), "wsi trained=0.9"),
        (cell("asi", ("budget_mib", 2.5)), "asi budget_mib=2.5"),
        (cell("asi", ("perplexity", 3.0)), "asi perplexity=3"),
        (
            cell("wasi", ("epsilon", 0.8), ("sequential", True), ("weight_epsilon", 0.9)),
            "wasi ε=0.8 sequential=true weight_ε=0.9",
        ),
        (cell("wasi", ("rank", 4), ("weight_rank", 8)), "wasi rank=4 weight_rank=8"),
        (cell("asi+checkpoint", ("asi.epsilon", 0.8)), "asi+checkpoint ε=0.8"),
        (
            cell("asi+checkpoint", ("asi.rank", 4), ("checkpoint.rank", 2)),
            "asi+checkpoint asi.rank=4 checkpoint.rank=2",
        ),
        (cell("topk.py:TopK@d5f61687", ("keep", 0.1)), "TopK keep=0.1"),
        (cell("t@pk.py:TopK@d5f61687", ("keep", 0.1)), "TopK keep=0.1"),
        (
            cell("topk.py:TopK@d5f61687+checkpoint", ("topk.py:TopK@d5f61687.keep", 0.1)),
            "TopK+checkpoint keep=0.1",
        ),
    ],
)
def test_a_method_has_a_short_label(found, label):
    assert method_label(found) == label


def test_every_rank_rule_has_a_label():
    for option in rank_rules.rank_options({rank_rules.ACTIVATION, rank_rules.WEIGHT}):
        label = method_label(cell("wasi", (option.name, 1)))
        assert label == f"wasi {option.name.replace('epsilon', 'ε')}=1"


def test_a_group_has_what_is_common_in_its_heading_and_vanilla_first():
    (group,) = labelled([cell("asi", ("epsilon", 0.8)), cell("vanilla")])
    assert group.heading == "mcunet, batch 8, seed 0"
    assert group.labels == ("vanilla", "asi ε=0.8")
    assert [each.method for each in group.cells] == ["vanilla", "asi"]


def test_what_differs_is_in_the_rows_and_what_is_no_default_in_the_heading():
    rows = [cell("vanilla", seed=seed) for seed in (0, 1)]
    rows += [cell("asi", ("rank", 4), layers=layers, seed=1) for layers in ("all", "last:2")]
    rows = [dataclasses.replace(each, data="photos", dtype="bfloat16") for each in rows]
    (group,) = labelled(rows)
    assert group.heading == "mcunet, batch 8, bfloat16, data photos"
    assert group.labels == (
        "vanilla · seed 0", "vanilla · seed 1", "asi rank=4 · seed 1",
        "asi rank=4 · last:2 · seed 1",
    )  # fmt: skip
    (group,) = labelled([cell("vanilla"), cell("asi", ("rank", 4), layers="last:2")])
    assert group.heading == "mcunet, batch 8, layers last:2, seed 0"


def test_each_batch_and_model_has_a_heading_of_its_own():
    groups = labelled([cell(), cell(batch=16), cell(model="minilm")])
    assert [group.heading for group in groups] == [
        "mcunet, batch 8, seed 0", "mcunet, batch 16, seed 0", "minilm, batch 8, seed 0",
    ]  # fmt: skip


SHARED = ("fraction", 0.125), ("sequential", True)


def test_options_that_are_equal_wherever_they_are_stand_in_the_heading():
    composed = ("asi.fraction", 0.125), ("asi.sequential", True)
    cells = [
        cell("vanilla"), cell("microbatch", ("slices", 4)), cell("asi", *SHARED),
        cell("asi+lean", *composed), cell("wasi", *SHARED),
    ]  # fmt: skip
    (group,) = labelled(cells)
    assert group.labels == ("vanilla", "microbatch slices=4", "asi", "asi+lean", "wasi")
    assert group.heading == (
        "mcunet, batch 8, seed 0, fraction=0.125 sequential=true where a method has them"
    )
    assert short_names(cells)[cells[2]] == "asi fraction=0.125 sequential=true"


@pytest.mark.parametrize(
    ("other", "still_shared"),
    [
        (cell("asi", ("fraction", 0.25), ("sequential", True)), ["sequential"]),
        (cell("asi", ("fraction", 0.125)), ["fraction"]),
        (cell("asi+lean", ("asi.fraction", 0.5), ("asi.sequential", True)), ["sequential"]),
        (cell("asi", ("rank", 4)), []),
        (cell("mix(last:4=asi,all=lean)", ("last:4=asi.fraction", 0.5)), ["sequential"]),
    ],
    ids=["value", "default", "composed", "rule", "mix"],
)
def test_an_option_that_differs_somewhere_is_in_every_label(other, still_shared):
    cells = [cell("asi", *SHARED), cell("wasi", *SHARED), other]
    assert list(shared_options(cells)) == still_shared
    (group,) = labelled(cells)
    assert len(set(group.labels)) == 3


def test_no_two_cells_of_a_group_have_the_same_label():
    rows = [cell("a.py:TopK@1"), cell("b.py:TopK@2"), cell("vanilla")]
    assert row_labels(rows) == (rows[0].id, rows[1].id, "vanilla")


def test_a_terminal_that_has_only_ascii_shows_eps():
    open_streams()
    names = Table("method")
    names.add_row(method_label(cell("asi", ("epsilon", 0.8))))
    assert "asi eps=0.8" in table_text(names).encode("ascii", "bench-ascii").decode()


def test_the_layers_of_most_methods_stand_in_the_heading_and_others_in_the_rows():
    cells = [
        cell("vanilla"), cell("checkpoint"), cell("asi", layers="mlp"), cell("wsi", layers="mlp"),
        cell("wasi", layers="mlp"), cell("wasi", layers="attention+mlp"), cell("svd"),
    ]  # fmt: skip
    (group,) = labelled(cells)
    assert group.heading == "mcunet, batch 8, layers mlp unless named, seed 0"
    assert group.labels == (
        "vanilla", "checkpoint", "asi", "wsi", "wasi", "wasi · attention+mlp", "svd · all",
    )  # fmt: skip
    (group,) = labelled(cells[:5])
    assert group.heading == "mcunet, batch 8, layers mlp, seed 0"
    (group,) = labelled([cells[2], cells[6]])  # no choice is that of most
    assert group.labels == ("asi · mlp", "svd")


def test_layers_that_all_methods_share_because_the_others_are_frozen_are_in_no_row():
    cells = [cell("vanilla", layers="last:2"), cell("checkpoint", layers="last:2")]
    (group,) = labelled(cells)
    assert group.labels == ("vanilla", "checkpoint")
    assert group.heading == "mcunet, batch 8, layers last:2, seed 0"


@pytest.mark.parametrize(
    ("label", "reason", "shown"),
    [
        ("checkpoint", "checkpoint: no blocks", "checkpoint: no blocks"),
        ("checkpoint(scope=mlp)", "checkpoint: no mlp", "checkpoint(scope=mlp): no mlp"),
        ("checkpoint scope=mlp, lora", "checkpoint: no mlp", "checkpoint scope=mlp, lora: no mlp"),
        ("lora+checkpoint", "checkpoint: no mlp", "lora+checkpoint: checkpoint: no mlp"),
        ("lora_fa rank=4", "lora: it has groups", "lora_fa rank=4: lora: it has groups"),
        ("checkpoint+lora", "checkpoint: no mlp", "checkpoint+lora: checkpoint: no mlp"),
        ("lora", "lora", "lora: lora"),
        ("lora", "lora treats linear layers", "lora treats linear layers"),
        ("lora rank=4", "lora treats linear layers", "lora rank=4: lora treats linear layers"),
        ("lora", "it treats linear layers", "lora: it treats linear layers"),
    ],
)
def test_a_reason_does_not_repeat_the_method_of_its_label(label, reason, shown):
    assert with_reason(label, reason) == shown
