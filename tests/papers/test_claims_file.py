"""Files of published claims: ours, a user's, and what is wrong in one."""

import re
from dataclasses import replace

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.papers.claims import judge
from ondevice_bench.papers.claims_file import load_published
from ondevice_bench.papers.published import Query
from ondevice_bench.papers.waiting import Waiting, waiting
from ondevice_bench.suite.cell import Cell, Train
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.matrix import cells_of

# every figure that the papers print, as far as it is known here
PRINTED = {
    "gradient_filter": """
        19 77.1 1.21 64.07 18.9 128.25 8.18
        113.68 245.00 63.1 160.00 459.38 62.2 39.27 80.00 63.1 53.96 63.4
        489.20 196.00 70.4 1.14 490.00 72.3 28.32 64.00 68.6 61.53 112.00 68.5
        18.80 220.50 62.1 33.71 312.38 64.9 6.34 72.00 61.8 11.01 64.4
        1.13 24.33 5.42 8.33 231.67 9.17
        15.0 0.14 110.6 0.79 12.22 0.11 22.46 0.76 59.5 0.58 100.9 0.96
        18.0 0.31 102.0 2.96 14.8 0.26 33.1 1.40 503.9 1.97 507.6 2.22 229
        4.13 1.15 3.80 1.22 114 33 20 90
        """,
    "hosvd": "18.87 19.11 1.3 4",
    "asi": "120.09 1.86 252.65 1.56",
    "wasi": """
        62 1.5 2 2349.00 324.00 179.61 97.32 96.24 35 1.4 1.4 953.86 30.12 13.11 30.27 1.36 100
        """,
}
OF = "{model: mcunet, method: asi, layers: {last: 2}, batch: 8, method_options: {rank: 4}}"
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
    assert len(found.claims) > 60
    printed = {
        paper: sorted(
            claim.published for claim in found.claims if claim.paper == paper and claim.published
        )
        for paper in PRINTED
    }
    assert printed == {paper: sorted(figures.split()) for paper, figures in PRINTED.items()}
    assert all(claim.scope for claim in found.claims)
    # nothing is testable in words alone: what no conditions are known of says so
    for claim in found.claims:
        conditions = claim.query.model is not None and claim.query.method is not None
        assert conditions or claim.untestable or claim.computed == "secondary"
    assert [c.id for c in found.claims if c.computed == "secondary"] == ["secondary-whitening"]


def test_the_kernels_of_a_board_wait_for_a_run_on_it(workplace):
    """The seven layers of the suite meet the conditions of these claims."""
    by_id = {claim.id: claim for claim in load_published().claims}
    cells = cells_of(load_suite("paper_gf_kernels"))
    for name, radius in (("gf-kernels-speed", 2), ("gf-kernels-speed-r4", 4)):
        found = waiting(judge(by_id[name], (), ()))
        assert found == Waiting("a run on jetson-nano", "bench run paper_gf_kernels", True)
        meeting = [cell for cell in cells if not by_id[name].query.differs(cell)]
        assert len(meeting) == 7
        options = {"radius": radius} if radius == 4 else {}
        assert all(dict(cell.method_options) == options for cell in meeting)


def test_a_claim_without_a_data_set_names_the_one_of_its_command(workplace):
    claim = next(one for one in load_published().claims if one.id == "wasi-swin-memory")
    found = waiting(judge(claim, (), ()))
    assert found.missing == "pretrained weights of swin_t and data such as pets"
    assert found.command.endswith("--weights swin_t=PATH --data pets:PATH")


def test_what_waits_for_weights_or_data_names_them_and_the_command(workplace):
    for claim in load_published().claims:
        if claim.needs:
            assert claim.command.startswith(f"bench claims --paper {claim.paper} --weights ")
            assert f" --weights {claim.query.model}=PATH" in claim.command
        if claim.query.model == "mcunet":
            assert dict(claim.query.model_options) == {"image_size": 224}
        if "accuracy" in claim.measured:
            assert claim.epochs == 50
            assert "50 epochs" in claim.needs + claim.untestable
        if claim.query.method == "wasi" and claim.query.method_options:
            assert dict(claim.query.method_options)["epsilon"] == 0.4


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
        (("model: mcunet", 'model: "mcunett*"'), 14, "unknown model 'mcunett*'; did you mean"),
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
        (("scope:", "unit: KiB\n    scope:"), 6, "a number in KiB means bytes of one method"),
        (("scope:", "unit: MFLOP\n    scope:"), 6, "a number in MFLOP means FLOPs of one method"),
        (
            (
                "computed: accounted\n    quantity: activation\n    ratio_of: vanilla\n",
                'computed: measured\n    unit: "%"\n    measured: [peak_rss_bytes]\n',
            ),
            6,
            "a number in % without ratio_of is no number of peak_rss_bytes, which is in bytes",
        ),
        (("{rank: 4}", "{rank: 4, radius: 2}"), 14, "asi: unknown option 'radius'"),
        (("{rank: 4}", "{least: true}"), 14, "asi: needs one of rank, epsilon"),
        (("{last: 2}", "mlp"), 14, "mcunet declares no mlp"),
        (
            ("model: mcunet", "model: mcunet, model_options: {image_size: 7}"),
            14,
            "image_size must be",
        ),
        (
            (OF, "{model: vit_b_32, method: gradient_filter}"),
            14,
            "treats conv2d; vit_b_32 has linear",
        ),
        (("model: mcunet, ", "model: mcunet, data: text, "), 14, "data: text gives tokens"),
        (("model: mcunet, ", "model: mcunet, data: cifar, "), 14, "did you mean 'cifar10'?"),
        (("model: mcunet, ", "model: mcunet, weights: trained, "), 14, "unknown weights 'trained'"),
        (("model: mcunet, ", "model_options: {image_size: 96}, "), 14, "without a model"),
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
    with pytest.raises(BadInput, match="'mine-memory' appears twice"):
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


def test_a_measured_number_needs_the_papers_training_and_any_number_its_dtype():
    cell = Cell(id="x", model="mcunet", method="asi", batch=8, train=Train(zero_grad="zero"))
    query = Query("mcunet", "asi", train=Train())
    assert query.differs(cell) == query.differs_in_a_run(cell) == ()
    train = Train("adamw", lr=0.001, momentum=0.5, weight_decay=0, clip=None, freeze_bn=False)
    other = replace(cell, dtype="bfloat16", train=train, allocator="tcmalloc")
    wrong = ("dtype bfloat16 instead of float32",)
    assert query.differs(other) == wrong
    assert query.differs_in_a_run(other) == (
        *wrong,
        "optimizer adamw instead of sgd",
        "lr 0.001 instead of 0.05",
        "momentum 0.5 instead of 0.0",
        "weight_decay 0 instead of 0.0001",
        "clip null instead of 2.0",
        "freeze_bn false instead of true",
        "allocator tcmalloc instead of the default",
    )
    # a paper may not say how it trains
    silent = Query("mcunet", "asi", dtype="bfloat16")
    assert silent.differs_in_a_run(replace(other, allocator="")) == ()


def test_the_papers_of_the_built_in_claims_train_as_a_suite_does():
    claims = load_published().claims
    assert {claim.query.train for claim in claims} == {Train()}


def test_a_pattern_means_every_model_that_matches():
    query = Query("conv2d(*, 3, *", "gradient_filter", batch=32)
    layer = "conv2d(64, 64, 3, padding=1, bias=false) at 56x56"
    cell = Cell(id="x", model=layer, method="gradient_filter", batch=32)
    assert query.is_near(cell)
    assert query.differs(cell) == ()
    for other in ("resnet18", layer.replace("64, 3", "64, 1")):
        away = replace(cell, model=other)
        assert not query.is_near(away)
        assert query.differs(away) == (f"model {other} instead of conv2d(*, 3, *",)


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


def test_an_option_with_its_default_is_the_one_of_a_cell_that_names_none():
    cell = Cell(id="x", model="mcunet", method="gradient_filter", batch=8)
    query = Query(
        "mcunet",
        "gradient_filter",
        model_options=(("image_size", 96),),
        method_options=(("radius", 2),),
    )
    assert query.differs(cell) == ()
    larger = Cell(
        id="x",
        model="mcunet",
        model_options=(("image_size", 224),),
        method="gradient_filter",
        method_options=(("radius", 4),),
        batch=8,
    )
    assert query.differs(larger) == (
        "image_size 224 instead of unset",
        "radius 4 instead of unset",
    )


def test_vanilla_is_one_cell_across_choices_that_freeze_nothing():
    plain = Cell(id="x", model="mcunet", method="vanilla", batch=8)
    assert Query("mcunet", "vanilla", "mlp").differs(plain) == ()
    assert Query("mcunet", "vanilla", "last:2").differs(plain) == ("layers all instead of last:2",)


def test_the_words_of_a_claim_have_the_unit_of_its_number():
    """A paper's KB is 1024 bytes: its own shapes give its digits only so."""
    for claim in load_published(None).claims:
        said = re.search(rf"{re.escape(claim.published or '-')} ([KMG])B\b", claim.says)
        if said is not None:
            assert claim.unit == f"{said[1]}iB", claim.id
        assert re.search(r"\d [KMG]B\b", claim.says) is None or said is not None, claim.id
