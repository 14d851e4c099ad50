"""Files of published claims: ours, a user's, and what is wrong in one."""

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.papers.claims_file import load_published
from ondevice_bench.papers.published import Query
from ondevice_bench.suite.cell import Cell

OWN = """\
schema: 1
title: Mine
papers:
  mine: {title: A paper of mine}
claims:
  - id: mine-memory
    paper: mine
    says: three times less memory
    published: "3"
    computed: accounted
    quantity: activation
    ratio_of: vanilla
    scope: accounted, one layer
    of: {model: mcunet, method: asi, layers: {last: 2}, batch: 8, method_options: {rank: 4}}
"""


def test_ours_are_the_published_figures_with_scope_and_conditions(workplace):
    found = load_published()
    assert [paper.name for paper in found.papers] == ["gradient_filter", "hosvd", "asi", "wasi"]
    by_id = {claim.id: claim for claim in found.claims}
    printed = {
        "gf-backward": "19",
        "gf-memory": "77.1",
        "gf-kernels-speed": "20",
        "gf-kernels-energy": "90",
        "hosvd-pareto": None,
        "asi-memory": "120.09",
        "asi-flops": "1.86",
        "asi-flops-hosvd": "252.65",
        "asi-pi5": "1.56",
        "wasi-swin-memory": "62",
        "wasi-swin-flops": "1.5",
        "wasi-flops": "2",
        "wasi-vit-vanilla-training": "2349.00",
        "wasi-vit-vanilla-inference": "324.00",
        "wasi-vit-training": "179.61",
        "wasi-vit-vanilla-accuracy": "97.32",
        "wasi-vit-accuracy": "96.24",
        "wasi-pi5-training": "1.4",
        "wasi-pi5-inference": "1.4",
        "wasi-llama-activations": "953.86",
        "wasi-llama-weights": "30.12",
        "wasi-llama-training-flops": "13.11",
        "wasi-llama-inference-flops": "30.27",
        "wsi-svd": "1.36",
        "secondary-100x": "100",
        "secondary-whitening": None,
    }
    assert {name: claim.published for name, claim in by_id.items()} == printed
    assert all(claim.scope for claim in found.claims)
    # nothing is testable in words alone: what no conditions are known of says so
    for claim in found.claims:
        conditions = claim.query.model is not None and claim.query.method is not None
        assert conditions or claim.untestable or claim.computed == "secondary"
    assert {c.id for c in found.claims if c.computed == "secondary"} == {
        "secondary-100x",
        "secondary-whitening",
    }


def test_digits_are_those_that_were_printed(workplace):
    by_id = {claim.id: claim for claim in load_published().claims}
    assert by_id["wasi-vit-vanilla-training"].half_digit == pytest.approx(0.005)
    assert by_id["asi-pi5"].half_digit == pytest.approx(0.005)
    assert by_id["wasi-swin-memory"].half_digit == 0.5


def test_a_users_file_goes_before_ours_and_a_named_one_stands_alone(workplace):
    (workplace / "reports").mkdir()
    (workplace / "reports" / "claims.yaml").write_text(OWN)
    other = workplace / "other.yaml"
    other.write_text(OWN.replace("three times", "four times").replace('"3"', '"4"'))
    found = {claim.id: claim for claim in load_published().claims}
    assert found["mine-memory"].says == "three times less memory"
    assert found["mine-memory"].query.layers == "last:2"
    assert "wasi-swin-memory" in found
    found = {claim.id: claim for claim in load_published(other).claims}
    assert {name: claim.value for name, claim in found.items()} == {"mine-memory": 4}
    assert [paper.name for paper in load_published(other).papers] == ["mine"]
    with pytest.raises(BadInput, match="--paper: unknown paper 'wassi'; did you mean 'wasi'"):
        load_published().of_paper("wassi")


@pytest.mark.parametrize(
    ("wrong", "line", "says"),
    [
        (("paper: mine", "paper: mime"), 7, "unknown paper 'mime'; did you mean 'mine'?"),
        (('published: "3"', "published: 3.10"), 9, "must be the number as printed, in quotes"),
        (("method: asi", "method: azi"), 14, "unknown method 'azi'; did you mean 'asi'?"),
        (("model: mcunet", "model: mcunett"), 14, "unknown model 'mcunett'; did you mean"),
        (("quantity: activation", "quantity: activations"), 6, "did you mean 'activation'?"),
        (("    quantity: activation\n", ""), 6, "an accounted claim needs a quantity"),
        (("    ratio_of: vanilla\n", ""), 6, "needs ratio_of"),
        (
            ("    ratio_of: vanilla", "    unit: MiB\n    ratio_of: vanilla"),
            6,
            "means bytes of one method",
        ),
        (
            ("computed: accounted\n    quantity: activation\n", "computed: measured\n"),
            6,
            "a measured claim needs a metric in measured",
        ),
        (("scope:", "dialect: wassi\n    scope:"), 13, "unknown dialect 'wassi'; did you mean"),
        (("scope:", "measured: [speed]\n    scope:"), 13, "unknown metric 'speed'"),
        (("{last: 2}", "{last: 0}"), 14, "last must be an integer of at least 1"),
        (("scope:", "skope:"), 13, "unknown key 'skope'; did you mean 'scope'?"),
        (("computed: accounted", "computed: guessed"), 10, "must be 'accounted'"),
        (("schema: 1", "schema: 2"), 1, "must be 1"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_line(workplace, wrong, line, says):
    path = workplace / "mine.yaml"
    assert wrong[0] in OWN
    path.write_text(OWN.replace(*wrong))
    with pytest.raises(BadInput) as raised:
        load_published(path)
    # a claim's own rules are said where the claim begins
    assert any(f"{path}:{line}:" in text and says in text for text in raised.value.lines), (
        raised.value.lines
    )


def test_a_claim_stands_once(workplace):
    path = workplace / "mine.yaml"
    path.write_text(OWN + OWN[OWN.index("  - id") :])
    with pytest.raises(BadInput, match="'mine-memory' is there twice"):
        load_published(path)


def test_conditions_are_met_or_what_differs_is_named():
    cell = Cell(
        id="x",
        model="vit_b_32",
        method="wasi",
        batch=8,
        layers="mlp",
        method_options=(("epsilon", 0.8),),
        weights="pretrained",
        data="cifar10:abc",
    )
    query = Query("vit_b_32", "wasi", "mlp", 8, "pretrained", "cifar10", (), (("epsilon", 0.8),))
    assert query.differs(cell) == ()
    assert Query().differs(cell) == ()
    other = Query("vit_b_32", "wasi", "all", 128, "random", "photos", (), (("epsilon", 0.9),))
    assert other.differs(cell) == (
        "batch 8 instead of 128",
        "layers mlp instead of all",
        "weights pretrained instead of random",
        "data cifar10 instead of photos",
        "epsilon 0.8 instead of 0.9",
    )


def test_options_that_are_said_are_all_that_there_are():
    cell = Cell(
        id="x",
        model="vit_b_32",
        method="wasi",
        batch=8,
        model_options=(("classes", 10), ("depth", 1)),
        method_options=(("epsilon", 0.9), ("sequential", True)),
    )
    assert Query(method="wasi").differs(cell) == ()
    assert Query("vit_b_32", "wasi").differs(cell) == ("depth 1 instead of unset",)
    said = Query(
        "vit_b_32",
        "wasi",
        model_options=(("classes", 100), ("depth", 1)),
        method_options=(("epsilon", 0.9),),
    )
    assert said.differs(cell) == (
        "classes 10 instead of 100",
        "sequential True instead of unset",
    )


def test_vanilla_is_one_cell_across_choices_that_freeze_nothing():
    plain = Cell(id="x", model="mcunet", method="vanilla", batch=8)
    assert Query("mcunet", "vanilla", "mlp").differs(plain) == ()
    assert Query("mcunet", "vanilla", "last:2").differs(plain) == ("layers all instead of last:2",)
