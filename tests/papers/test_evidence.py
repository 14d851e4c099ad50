"""The figures that bear a verdict: of stored runs, and of accounts."""

import dataclasses

import pytest

from ondevice_bench.papers.accounts import AccountQuery, account, account_queries
from ondevice_bench.papers.evidence import anatomy, measured
from ondevice_bench.papers.published import Query
from ondevice_bench.suite.cell import Cell, LearningPlan, Train
from tests.papers.test_claims import CLAIM, MEASURED, MIB, of
from tests.record.conftest import make_record, make_run, planned

CELLS = [
    Cell(id="mcunet/vanilla/all/b8/s0", model="mcunet", method="vanilla", batch=8),
    Cell(id="mcunet/asi/all/b8/s0", model="mcunet", method="asi", batch=8),
    Cell(id="mcunet/asi/all/b4/s0", model="mcunet", method="asi", batch=4),
    Cell(id="mcunet/vanilla/all/b4/s0", model="mcunet", method="vanilla", batch=4),
]
TREATED = {"conv": {"activation_ranks": [1, 2, 3, 4], "weight_rank": None}}


def records():
    kept = {"mcunet/vanilla/all/b8/s0": 40.0, "mcunet/asi/all/b8/s0": 16.0,
            "mcunet/vanilla/all/b4/s0": 20.0, "mcunet/asi/all/b4/s0": 16.0}  # fmt: skip
    for cell in CELLS:
        details = {"treated": TREATED if cell.method == "asi" else {}}
        parts = {"activation_attention_bytes": 4 * MIB, "activation_other_bytes": 12 * MIB}
        whole = {"activation_bytes": kept[cell.id] * MIB}
        yield make_record(cell=cell, pass_name="trace", metrics={**whole, **parts}, details=details)


def test_what_stored_runs_know_is_put_in_the_claims_unit_with_what_differs(summary_of):
    summary = summary_of(records(), planned(*CELLS), make_run())
    first, second = measured(CLAIM, [summary])
    assert (first.cell, first.differs, first.estimate.estimate) == (
        "mcunet/asi/all/b8/s0", (), 40 / 16)  # fmt: skip
    assert (second.differs, second.estimate.estimate) == (("batch 4 instead of 8",), 20 / 16)
    saved = of(CLAIM, unit="%")
    assert measured(saved, [summary])[0].estimate.estimate == pytest.approx(60)
    vanilla = of(CLAIM, unit="MiB", ratio_of=None, query=Query("mcunet", "vanilla", "conv", 8))
    assert measured(vanilla, [summary])[0].estimate.estimate == 40
    elsewhere = of(CLAIM, boards=("pi5",))
    assert measured(elsewhere, [summary])[0].differs == ("board x86 instead of pi5",)
    trained = of(CLAIM, query=dataclasses.replace(CLAIM.query, train=Train(lr=0.1)))
    assert measured(trained, [summary])[0].differs == ("lr 0.05 instead of 0.1",)
    assert measured(of(CLAIM, query=Query("resnet18", "asi")), [summary]) == ()


def test_a_unit_that_the_metric_does_not_have_gives_no_figure(summary_of):
    summary = summary_of(records(), planned(*CELLS), make_run())
    share = of(CLAIM, unit="%", ratio_of=None)
    assert measured(share, [summary]) == ()


@pytest.mark.parametrize(("unit", "expected"), [("GFLOP", 2.5), ("MFLOP", 2500)])
def test_measured_flops_are_in_the_unit_of_the_claim(summary_of, unit, expected):
    flops = make_record(cell=CELLS[0], pass_name="trace", metrics={"step_flops": 2.5e9})
    summary = summary_of([flops], planned(CELLS[0]), make_run())
    query = Query("mcunet", "vanilla", batch=8)
    claim = of(CLAIM, unit=unit, ratio_of=None, measured=("step_flops",), query=query)
    (one,) = measured(claim, [summary])
    assert one.estimate.estimate == expected


@pytest.mark.parametrize(("epochs", "differs"), [(3, ("epochs 3 instead of 50",)), (50, ())])
def test_an_accuracy_after_training_needs_the_epochs_of_the_claim(summary_of, epochs, differs):
    cell = dataclasses.replace(CELLS[0], learning=LearningPlan(epochs=epochs))
    trained = make_record(cell=cell, pass_name="learning", metrics={"final_accuracy": 0.9})
    summary = summary_of([trained], planned(cell), make_run())
    query = Query("mcunet", "vanilla", batch=8)
    claim = of(MEASURED, unit="%", ratio_of=None, measured=("final_accuracy",), query=query)
    (one,) = measured(of(claim, epochs=50), [summary])
    assert (one.differs, one.estimate.estimate) == (differs, 90)
    (one,) = measured(claim, [summary])
    assert one.differs == ()


def test_sums_of_a_dialect_are_with_or_without_the_head():
    lines = [
        {"quantity": "input_gradient", "published": 3_000_000, "exact": 4},
        {"quantity": "weight_gradient", "published": 2_000_000, "exact": 5},
        {"quantity": "head", "published": 500_000, "exact": 6},
        {"quantity": "forward", "published": None, "exact": 7},
    ]
    values = {"flops": {"input_gradient": 4, "weight_gradient": 5}, "dialects": {"gradient_filter": {"lines": lines}}}  # fmt: skip
    here = AccountQuery("cell", CLAIM.query)
    claim = of(
        CLAIM, quantity="backward_flops", unit="MFLOP", ratio_of=None, dialect="gradient_filter"
    )
    whole = account(claim, here, values, None)
    assert (whole.published, whole.exact) == (5.5, 15e-6)
    layers = account(of(claim, quantity="layer_backward_flops"), here, values, None)
    assert (layers.published, layers.exact) == (5.0, 9e-6)
    own = account(of(claim, dialect="exact"), here, values, None)
    assert own.published == own.exact == 9e-6


def test_the_anatomy_names_whose_bytes_they_are(summary_of):
    summary = summary_of(records(), planned(*CELLS), make_run())
    asi = next(cell for cell in summary.cells if cell.id == "mcunet/asi/all/b8/s0")
    assert anatomy(asi) == "the step stores 16.00 MiB: 75% of all else, 25% of attention"


def test_accounts_are_asked_for_at_given_ranks_or_at_those_of_runs(summary_of):
    summary = summary_of(records(), planned(*CELLS), make_run())
    (mine,) = account_queries(CLAIM, [summary])
    assert (mine.cell, mine.ranks) == (
        "mcunet/asi/all/b8/s0",
        {"conv": {"activation": [1, 2, 3, 4], "weight": None}},
    )
    other = of(CLAIM, query=Query("mcunet", "asi", "all", 16))
    assert [each.differs for each in account_queries(other, [summary])] == [
        ("batch 8 instead of 16",),
        ("batch 4 instead of 16",),
    ]
    given = of(CLAIM, query=Query("mcunet", "asi", "all", 8, method_options=(("rank", 4),)))
    assert [each.cell for each in account_queries(given, [])] == ["its own conditions"]
    assert account_queries(CLAIM, []) == ()
    assert account_queries(of(given, untestable="no"), []) == ()
    # at any batch, and at the ranks of the run, because one of the rules needs data
    for options, batch in (((("rank", 4),), None), ((("epsilon", 0.4), ("weight_rank", 4)), 8)):
        query = Query("mcunet", "asi", "all", batch, method_options=options)
        assert account_queries(of(CLAIM, query=query), []) == ()
        (first, *_) = account_queries(of(CLAIM, query=query), [summary])
        assert first.cell == "mcunet/asi/all/b8/s0"


@pytest.mark.parametrize(
    ("method", "options", "batch", "what", "is_decided"),
    [
        ("gradient_filter", {"radius": 2}, None, {}, True),
        ("gradient_filter", {"radius": 2}, None, {"quantity": "training"}, False),
        ("gradient_filter", {"radius": 2}, None, {"quantity": "training_flops"}, False),
        ("gradient_filter", {"radius": 2}, 8, {"quantity": "training"}, True),
        ("gradient_filter", {}, 8, {}, False),  # any radius counts
        ("vanilla", {}, 8, {"unit": "MiB", "ratio_of": None}, True),
        ("vanilla", {}, None, {"unit": "MiB", "ratio_of": None}, False),
        ("wasi", {"rank": 4, "weight_epsilon": 0.9}, 8, {}, False),
        ("wasi", {"rank": 4, "weight_rank": 4}, 8, {}, True),
        ("checkpoint", {"scope": "blocks"}, 8, {}, False),  # its bytes are no sum over layers
    ],
)
def test_only_conditions_that_decide_the_number_are_accounted_for_without_a_run(
    method, options, batch, what, is_decided
):
    query = Query("mcunet", method, "all", batch, method_options=tuple(options.items()))
    queries = account_queries(of(CLAIM, query=query, **what), [])
    assert [each.query for each in queries] == [query] * is_decided


def test_an_account_of_vanilla_is_of_the_layers_that_the_claim_names(summary_of):
    summary = summary_of(records(), planned(*CELLS), make_run())
    size = {"unit": "MiB", "ratio_of": None}
    for layers, wanted in (("conv", "conv"), (None, "all"), ("last:2", "all")):
        claim = of(CLAIM, query=Query("mcunet", "vanilla", layers), **size)
        queries = account_queries(claim, [summary])
        assert {each.query.layers for each in queries} == {wanted}
        assert all(each.differs for each in queries) == (layers == "last:2")


def test_figures_of_accounts():
    mine = {
        "activation_bytes": 10 * MIB,
        "weight_bytes": 5 * MIB,
        "training_bytes": 15 * MIB,
        "inference_bytes": 5 * MIB,
        "stored_bytes": 8 * MIB,
        "flops": {"training": 30, "inference": 10},
        "dialects": {"wasi": {"lines": [{"quantity": "training", "published": 20, "exact": 25}]}},
    }
    base = {**mine, "activation_bytes": 40 * MIB, "stored_bytes": 24 * MIB,
            "flops": {"training": 90, "inference": 20},
            "dialects": {"wasi": {"lines": [{"quantity": "training", "published": 80, "exact": 50}]}}}  # fmt: skip
    here = AccountQuery("cell", CLAIM.query)

    def both(**what):
        claim = of(CLAIM, **what)
        made = account(claim, here, mine, base if claim.ratio_of else None)
        return made.published, made.exact

    assert both() == (4, 3)
    assert both(unit="%") == (75, pytest.approx(100 * 2 / 3))
    assert both(quantity="training", unit="MiB", ratio_of=None) == (15, 13)
    assert both(quantity="inference", unit="MiB", ratio_of=None) == (5, 5)
    half = dataclasses.replace(CLAIM.query, dtype="bfloat16")
    assert both(quantity="training", unit="KiB", ratio_of=None, query=half) == (7680, 6656)
    assert both(query=half) == (4, 3)
    assert both(quantity="training_flops", dialect="wasi") == (4, 2)  # of the same layers
    assert both(quantity="inference_flops", dialect="wasi") == (None, 2)
    assert both(quantity="training_flops") == (3, 3)
    base["dialects"]["wasi"]["not_counted"] = {"head": "no formula"}
    assert both(quantity="training_flops", dialect="wasi") == (None, 3)
    assert both(dialect="wasi") == (4, 3)  # bytes are those of all layers


def test_a_measured_ratio_is_that_of_the_report_board_by_board(summary_of):
    """Of two boards, one is ten times as slow. The ratio of medians is that of other boards."""
    steps = {"vanilla": {"a": 4.0, "b": 40.0, "c": 44.0}, "asi": {"a": 2.0, "b": 20.0}}
    cells = CELLS[:2]
    timed = [
        make_record(
            cell=cell,
            number=number,
            metrics={"step_seconds": seconds},
            samples={"step_seconds": [seconds]},
            details={"unit": unit},
        )
        for cell in cells
        for number, (unit, seconds) in enumerate(steps[cell.method].items(), 1)
    ]
    summary = summary_of(timed, planned(*cells), make_run())
    for unit, expected in (("x", 2.0), ("%", 50.0)):
        (one,) = measured(of(MEASURED, unit=unit), [summary])
        assert one.estimate.estimate == pytest.approx(expected)
        assert one.processes == 2


def test_a_measured_ratio_is_between_equal_options(summary_of):
    cells = [
        Cell(
            id=f"mcunet/{method}(epsilon={epsilon})/all/b8/s0",
            model="mcunet",
            method=method,
            batch=8,
            method_options=(("epsilon", epsilon),),
        )
        for method in ("svd", "hosvd")
        for epsilon in (0.8, 0.9)
    ]
    kept = [
        make_record(cell=cell, pass_name="trace", metrics={"activation_bytes": value * MIB})
        for cell, value in zip(cells, (10.0, 20.0, 5.0, 4.0), strict=True)
    ]
    summary = summary_of(kept, planned(*cells), make_run())
    claim = of(CLAIM, ratio_of="svd", query=Query("mcunet", "hosvd", "all", 8))
    found = {one.cell: one.estimate.estimate for one in measured(claim, [summary])}
    assert list(found.values()) == [2.0, 5.0]


def test_a_measured_ratio_of_chosen_layers_is_of_the_same_layers(summary_of):
    cells = [CELLS[0], dataclasses.replace(CELLS[1], layers="conv")]
    timed = [
        make_record(cell=cell, pass_name="treated_layers", metrics={"treated_layers_seconds": 1.0})
        for cell in cells
    ]
    summary = summary_of(timed, planned(*cells), make_run())
    assert measured(of(MEASURED, measured=("treated_layers_seconds",)), [summary]) == ()
