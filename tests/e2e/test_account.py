"""`bench account`: figures of papers without running anything, and its one-line errors."""

import pytest

VIT = ("--model", "vit_b_32", "--layers", "attention+mlp", "--batch", "128")


def test_vanilla_vit_is_what_the_paper_prints(bench):
    ended = bench("account", *VIT, "--method", "vanilla")
    assert ended.code == 0, ended.err
    lines = {line.split()[0]: line.split()[1] for line in ended.out.splitlines()[1:5]}
    assert lines == {
        "activations": "2025.00",
        "weights": "324.00",
        "training": "2349.00",
        "inference": "324.00",
    }
    assert ended.out.splitlines()[-1].startswith("accounted: float32 elements")


def test_json_has_every_layer_and_its_flops(bench):
    ended = bench("account", *VIT, "--method", "wasi", "--rank", "16x16x64", "--weight-rank", "100", "--json")  # fmt: skip
    assert ended.code == 0, ended.err
    found = ended.json()
    assert len(found["treated"]) == 72
    assert found["left_alone"] == {}
    per_layer = [each["activation_elements"] for each in found["treated"].values()]
    assert found["activation_mib"] == sum(per_layer) * 4 / 2**20
    attention, wide = 768 + 768, 768 + 3072
    assert found["inference_mib"] == 12 * 100 * (4 * attention + 2 * wide) * 4 / 2**20
    assert found["training_mib"] == found["activation_mib"] + found["weight_mib"]
    work = found["flops"]
    parts = ("forward", "decomposition", "input_gradient", "weight_gradient", "update")
    assert work["training"] == sum(work[part] for part in parts)


def test_vanilla_flops_are_those_that_a_plan_counts(bench):
    """Closed formulas of all layers, and the operators of the whole network without attention."""
    said = ("--model", "mcunet", "--method", "vanilla", "--batch", "8")
    work = bench("account", *said, "--json").json()["flops"]
    planned = bench("plan", *said, "--json").json()["cells"][0]
    assert work["training"] == planned["vanilla_step_flops"] > 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("--model", "vit_b_32", "--method", "asi", "--option", "epsilon=0.8"),
            "asi: ranks by epsilon depend on data that an account does not read: give --rank",
        ),
        (
            ("--model", "vit_b_32", "--method", "wasi", "--option", "budget_mib=10"),
            "give --rank or --fraction (and --weight-rank for the weights)",
        ),
        (("--model", "vit_b_32", "--method", "asi"), "needs one of rank, epsilon, fraction"),
        (("--model", "vit_b_32", "--method", "checkpoint"), "accounts are of methods that replace"),
        (("--model", "vit_b_32", "--method", "asi", "--rank", "x"), "must be an integer"),
        (
            ("--model", "vit_b_32", "--method", "wsi", "--rank", "4", "--weight-rank", "3"),
            "none of",
        ),
        (
            ("--model", "vit_b_32", "--method", "gradient_filter", "--layers", "mlp"),
            "gradient_filter treats conv2d; vit_b_32 has linear",
        ),
        (("--model", "resnet81", "--method", "vanilla"), "did you mean 'resnet18'?"),
        (
            ("--model", "mcunet", "--method", "asi", "--option", "rank=1", "--option", "rank=2"),
            "an account is of one cell, these words say 2",
        ),
    ],
)
def test_bad_words_are_one_line(bench, arguments, says):
    ended = bench("account", *arguments)
    assert ended.code == 2
    assert ended.out == ""
    (line,) = ended.err.splitlines()
    assert says in line
