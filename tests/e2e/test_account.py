"""`bench account`: figures of papers without running anything, and its one-line errors."""

import pytest

from ondevice_bench.suite.from_flags import ASSUMED, DEFAULT_FRACTION

VIT = ("--model", "vit_b_32", "--layers", "attention+mlp", "--batch", "128")
RANKED = (*VIT, "--method", "wasi", "--rank", "16x16x64", "--weight-rank", "100")


@pytest.fixture(scope="module")
def ranked(command, tmp_path_factory):
    """The account of WASI with the paper's count beside it, as JSON."""
    words = ("account", *RANKED, "--dialect", "wasi", "--json")
    ended = command.run(words, tmp_path_factory.mktemp("account"))
    assert ended.code == 0, ended.err
    return ended.json()


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
    assert ended.out.splitlines()[-1].startswith("computed by formula: float32 elements")


def test_json_has_every_layer_and_its_flops(ranked):
    found = ranked
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


def test_a_dialect_stands_beside_the_exact_count_with_the_reasons(bench, ranked):
    ended = bench("account", *RANKED, "--dialect", "wasi")
    assert ended.code == 0, ended.err
    text = " ".join(ended.out.split())
    assert "multiply-adds, all other quantities are FLOPs" in text
    assert "ranks paired with the wrong modes" in text
    found = ranked
    assert found["dialect"]["name"] == "wasi"
    lines = {line["quantity"]: line for line in found["dialect"]["lines"]}
    rows, rank, wide = 128 * 50, 100, 3072
    once = 4 * rows * (rank * (2 * 768 - 1) + 768 * (2 * rank - 1))
    up = rows * (rank * (2 * 768 - 1) + wide * (2 * rank - 1))
    down = rows * (rank * (2 * wide - 1) + 768 * (2 * rank - 1))
    assert lines["forward"]["published"] == 12 * (once + up + down)
    assert lines["forward"]["exact"] == found["flops"]["forward"]
    assert lines["training"]["exact"] == found["flops"]["training"]
    assert lines["weight_gradient"]["unit"] == "MAC"


def test_several_models_are_accounted_for_in_the_order_that_was_asked(bench):
    models = ("--model", "vit_b_32,mcunet", "--model", "resnet18", "--method", "vanilla")
    said = (*models, "--option", "depth=1", "--batch", "2")
    ended = bench("account", *said)
    assert ended.code == 0, ended.err
    assert ended.err == ""
    heads = [line.partition("/")[0] for line in ended.out.splitlines() if "/b2/" in line]
    assert heads == ["vit_b_32(depth=1)", "mcunet", "resnet18"]
    assert ended.out.count("computed by formula") == 1
    found = bench("account", *said, "--json").json()
    assert [each["account"].partition("/")[0] for each in found] == heads


def test_inputs_that_layers_share_are_stored_once(bench):
    found = bench("account", *VIT, "--method", "vanilla", "--json").json()
    # of nine widths a block, two are q's input again
    assert (found["activation_mib"], found["stored_activation_mib"]) == (2025, 2025 * 7 / 9)


def test_the_last_convolutions_of_a_network(bench):
    """The papers' rule: input elements of the last k convolutions, batch 64, float32."""
    said = ("--model", "mcunet", "--method", "vanilla", "--batch", "64", "--dialect", "asi")
    found = bench("account", *said, "--layers", "last: 2", "--json").json()
    # the last block's depthwise and pointwise convolutions: 576 channels of 3 x 3
    assert found["activation_mib"] == 2 * 64 * 576 * 9 * 4 / 2**20
    assert found["dialect"]["not_counted"] == {}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("--model", "vit_b_32", "--method", "asi", "--option", "epsilon=0.8"),
            "asi: ranks by epsilon depend on data that an account does not read: give --rank",
        ),
        (
            ("--model", "vit_b_32", "--method", "asi", "--epsilon", "0.8"),
            "give --rank or --fraction. `bench run` chooses such ranks",
        ),
        (
            ("--model", "vit_b_32", "--method", "wasi", "--option", "budget_mib=10"),
            "give --rank or --fraction (and --weight-rank for the weights)",
        ),
        (
            ("--model", "vit_b_32", "--method", "checkpoint"),
            "accounts are only for methods that replace",
        ),
        (("--model", "vit_b_32", "--method", "asi", "--rank", "x"), "must be an integer"),
        (
            ("--model", "vit_b_32", "--method", "wsi", "--rank", "4", "--weight-rank", "3"),
            "none of",
        ),
        (
            ("--model", "vit_b_32", "--method", "gradient_filter", "--layers", "mlp"),
            "gradient_filter treats conv2d; vit_b_32 has linear",
        ),
        ((*VIT, "--method", "vanilla", "--dialect", "wassi"), "did you mean 'wasi'?"),
        (
            (*VIT, "--method", "lora", "--dialect", "hosvd"),
            "has no formulas for lora, only for vanilla, svd, hosvd; for lora use wasi",
        ),
        (("--model", "resnet81", "--method", "vanilla"), "did you mean 'resnet18'?"),
        (
            ("--model", "mcunet", "--method", "asi", "--option", "rank=1", "--option", "rank=2"),
            "an account is of one cell, but got 2",
        ),
    ],
)
def test_bad_words_are_one_line(bench, arguments, says):
    ended = bench("account", *arguments)
    assert ended.code == 2
    assert ended.out == ""
    (line,) = ended.err.splitlines()
    assert says in line


def test_without_a_rank_rule_an_account_has_the_fraction_of_a_fit_and_says_so(bench):
    said = ("account", "--model", "mcunet", "--method", "asi")
    ended = bench(*said)
    assert ended.code == 0
    assert ended.err == f"bench: {ASSUMED}\n"
    stated = bench(*said, "--fraction", DEFAULT_FRACTION)
    assert (stated.err, stated.out) == ("", ended.out)
    assert ended.out.startswith("mcunet/asi(fraction=0.125)/all/b8/s0: 43 layers\n")


def test_the_account_of_one_layer_is_not_called_layers(bench):
    ended = bench(
        "account", "--model", "mcunet", "--method", "asi", "--rank", "2", "--layers=last:1"
    )
    assert ended.out.splitlines()[0].endswith("s0: 1 layer")
