import dataclasses
from types import SimpleNamespace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ondevice_bench.analyse.baseline_options import of_equal_options
from ondevice_bench.analyse.groups import groups
from ondevice_bench.analyse.ratios import ratio
from ondevice_bench.analyse.verdict import verdict
from ondevice_bench.report.gauge import ratio_text
from ondevice_bench.report.quantities import ratio_to_baseline
from ondevice_bench.specs import registry
from ondevice_bench.stats import Estimate
from ondevice_bench.suite.goal import Goal
from tests.record.conftest import make_record
from tests.report import synthetic

PEAK = "peak_rss_over_runtime_bytes"


@pytest.fixture
def of(summary_of):
    def make(cells, **what):
        return summary_of(
            synthetic.records(cells), synthetic.planned(cells), synthetic.run_of(**what)
        )

    return make


def test_a_group_is_one_workload_under_its_methods(of):
    small, large = synthetic.cells(batch=8), synthetic.cells(batch=16)
    found = groups(of([*small, *large]))
    assert [group.title for group in found] == ["mcunet, batch 8", "mcunet, batch 16"]
    assert [member.label for member in found[0].members] == [
        "vanilla", "asi fraction=0.125", "asi fraction=0.25", "wasi fraction=0.25",
        "svd fraction=0.25", "checkpoint",
    ]  # fmt: skip
    assert [m.cell.planned.cell.batch for m in found[0].all_batches] == [8] * 6 + [16] * 6
    assert all(member.base is found[0].members[0].cell for member in found[0].members)


def test_groups_that_differ_only_in_the_batch_share_what_goes_over_batches(of):
    cells = [*synthetic.cells(batch=8)[:1], *synthetic.cells(batch=16)[:1]]
    other = dataclasses.replace(cells[0], dtype="bfloat16", id="mcunet/vanilla/all/b8/bfloat16/s0")
    first, second, alone = groups(of([*cells, other]))
    assert first.all_batches is second.all_batches
    assert alone.all_batches == alone.members


def test_a_ratio_is_to_the_baseline_of_the_same_seed(of):
    (group,) = groups(of(synthetic.cells(seeds=(0, 1))))
    assert [m.label for m in group.members[:2]] == ["vanilla · seed 0", "vanilla · seed 1"]
    for member in group.members:
        assert member.base.planned.cell.seed == member.cell.planned.cell.seed


def test_plots_and_verdicts_see_one_seed_with_labels_that_do_not_name_it(of):
    (group,) = groups(of([*synthetic.cells(seeds=(4, 2))]))
    (alone,) = groups(of(synthetic.cells(seeds=(2,))))
    first = group.of_first_seed
    assert [m.label for m in first.members] == [m.label for m in alone.members]
    assert {m.cell.planned.cell.seed for m in (*first.members, *first.all_batches)} == {2}
    assert [m.is_baseline for m in first.members] == [m.is_baseline for m in alone.members]
    assert alone.of_first_seed is alone


def test_what_labels_of_one_seed_leave_out_is_what_its_cells_share(of):
    cells = synthetic.cells(seeds=(0, 1))
    left_out = {(0, cells[2].method_options), (1, cells[-1].method_options)}
    (group,) = groups(of([c for c in cells if (c.seed, c.method_options) not in left_out]))
    assert group.shared == ""
    shown = group.of_first_seed
    assert [m.label for m in shown.members[:3]] == ["vanilla", "asi", "wasi"]
    assert shown.shared == group.by_baseline[0].shared == "fraction=0.25"


def test_the_seed_that_plots_show_is_the_first_with_the_most_ratios(of):
    cells = synthetic.cells(seeds=(0, 1))
    without = [each for each in cells if each.seed == 1 or each.method != "vanilla"]
    (group,) = groups(of(without))  # the baseline failed with seed 0
    assert {m.cell.planned.cell.seed for m in group.of_first_seed.members} == {1}
    assert all(m.base is not None for m in group.of_first_seed.members)
    assert group.only_in_other_seeds == ()


def test_a_method_that_only_another_seed_has_is_named(of):
    cells = synthetic.cells(seeds=(0, 1))
    cells = [each for each in cells if each.seed == 0 or each.method in ("vanilla", "svd")]
    cells = [each for each in cells if each.seed == 1 or each.method != "svd"]
    (group,) = groups(of(cells))
    assert {m.cell.planned.cell.seed for m in group.of_first_seed.members} == {0}
    assert group.only_in_other_seeds == ("mcunet/svd(fraction=0.25)/all/b8/s1",)


def test_a_batch_with_one_seed_shows_the_other_batches_with_one_seed_too(of):
    cells = [*synthetic.cells(8), *synthetic.cells(16, seeds=(0, 1))]
    first, _ = groups(of(cells))
    assert {m.cell.planned.cell.seed for m in first.of_first_seed.all_batches} == {0}


def test_the_first_seed_has_the_same_labels_at_every_batch(of):
    cells = [*synthetic.cells(8, seeds=(0, 1)), *synthetic.cells(16, seeds=(0, 1))]
    first, _ = groups(of(cells))
    over_batches = first.of_first_seed.all_batches
    assert [m.cell.planned.cell.batch for m in over_batches] == [8] * 6 + [16] * 6
    labels = [m.full_label for m in over_batches]
    assert labels[:6] == labels[6:] == [m.full_label for m in first.of_first_seed.members]


def test_frozen_layers_have_a_baseline_of_their_own(of):
    whole = synthetic.cells()
    frozen = [
        dataclasses.replace(cell, layers="last:2", id=cell.id.replace("/all/", "/last:2/"))
        for cell in whole
    ]
    (group,) = groups(of([*whole, *frozen]))
    layers = {m.label: m.base.planned.cell.layers for m in group.members}
    assert layers["wasi fraction=0.25"] == "all"
    assert layers["wasi fraction=0.25 · last:2"] == "last:2"


def test_layers_that_freeze_nothing_share_the_baseline(of):
    cells = synthetic.cells()
    chosen = dataclasses.replace(cells[1], layers="conv", id="mcunet/asi(x)/conv/b8/s0")
    (group,) = groups(of([*cells, chosen]))
    assert group.members[-1].base is group.members[0].cell


def test_a_baseline_of_the_same_layers_goes_before_another(of):
    cells = synthetic.cells()
    vanilla, asi = (
        dataclasses.replace(cell, layers="conv", id=cell.id.replace("/all/", "/conv/"))
        for cell in cells[:2]
    )
    (group,) = groups(of([*cells, vanilla, asi]))
    bases = [member.base.planned.cell.layers for member in group.members]
    assert bases == ["all"] * len(cells) + ["conv", "conv"]


def test_the_time_of_chosen_layers_has_no_ratio_to_that_of_other_layers(summary_of):
    vanilla, asi = synthetic.cells()[:2]
    elsewhere = dataclasses.replace(asi, layers="conv", id="mcunet/asi(x)/conv/b8/s0")
    cells, name = [vanilla, asi, elsewhere], "treated_layers_seconds"
    records = [
        make_record(cell=cell, pass_name="treated_layers", metrics={name: seconds})
        for cell, seconds in zip(cells, (4.0, 1.0, 1.0), strict=True)
    ]
    settings = {**synthetic.SETTINGS, "measure": ["treated_layers"]}
    found = summary_of(records, synthetic.planned(cells), synthetic.run_of(settings=settings))
    (group,) = groups(found)
    same, other = group.members[1:]
    assert same.ratio(name).estimate == 0.25
    assert other.ratio(name) is None
    assert ratio_to_baseline(other, name).meaning.endswith(
        "; not compared: the baseline was measured for other layers"
    )


@pytest.mark.parametrize(
    ("of_base", "of_method", "reason"),
    [
        ({}, {}, ""),
        ({}, {"launch": "spawned"}, "its processes were spawned, and those of the baseline forked"),
        (
            {"details": {"unit": "a"}},
            {"details": {"unit": "b"}},
            "no board measured it and the baseline in the same round",
        ),
        # the kernel took pages of libraries away after the floor was read
        ({"metrics": {PEAK: -4096.0}}, {}, "the baseline's number is not positive"),
    ],
)
def test_two_numbers_without_a_ratio_say_why(summary_of, of_base, of_method, reason):
    cells = synthetic.cells()[:2]
    records = [
        make_record(
            cell=cell, pass_name="memory", number=number, **{"metrics": {PEAK: 2**20}, **what}
        )
        for cell, what in zip(cells, (of_base, of_method), strict=True)
        for number in (1, 2, 3)
    ]
    found = summary_of(records, synthetic.planned(cells), synthetic.run_of())
    (group,) = groups(found)
    member = group.members[1]
    assert member.why_no_ratio(PEAK) == reason
    assert (member.ratio(PEAK) is None) == bool(reason)
    assert ratio_text(member, PEAK) == ("not compared" if reason else "1.00×")
    first = verdict(group, Goal(minimise=PEAK), "vanilla").sentences[0]
    assert first.startswith("The peak memory cannot be compared with vanilla's") == bool(reason)
    assert reason in first


def test_without_a_baseline_there_is_no_ratio(of):
    (group,) = groups(of(synthetic.cells()[1:]))
    assert {member.ratio("step_seconds") for member in group.members} == {None}


def test_another_baseline_may_be_asked_for(of):
    (group,) = groups(of(synthetic.cells()), baseline="checkpoint")
    by_label = {member.label: member for member in group.members}
    assert by_label["vanilla"].ratio("activation_bytes").estimate == pytest.approx(40 / 6)


def test_the_bounds_of_a_ratio_are_between_the_farthest_ends():
    found = ratio("step_seconds", Estimate(2.0, 1.0, 4.0, "x"), Estimate(1.0, 0.5, 2.0, "y"))
    assert (found.estimate, found.lower, found.upper) == (2.0, 0.5, 8.0)


@given(*[st.lists(st.floats(-4, 4), min_size=3, max_size=3) for _ in range(2)], st.floats(0, 1))
def test_no_ratio_between_two_intervals_is_outside_of_the_bounds(one, other, share):
    """A cosine or a part of the memory may be less than 0. There is no multiple of such a number."""
    over, under = (Estimate(sorted(ends)[1], min(ends), max(ends), "x") for ends in (one, other))
    assume(all(value == 0 or abs(value) > 1e-6 for value in other))
    found = ratio("gradient_cosine", over, under)
    if under.estimate <= 0:
        assert found is None
        return
    if under.lower <= 0:
        assert (found.lower, found.upper) == (None, None)
        return
    for value in (over.lower, over.upper, over.estimate):
        middle = under.lower + share * (under.upper - under.lower)
        assert found.lower - 1e-9 <= value / middle <= found.upper + 1e-9


@pytest.mark.parametrize("other", [Estimate(1.0, None, None, "one"), Estimate(1.0, 0.0, 2.0, "y")])
def test_a_ratio_to_what_has_no_interval_has_none(other):
    found = ratio("step_seconds", Estimate(2.0, 1.0, 4.0, "x"), other)
    assert (found.estimate, found.lower, found.upper) == (2.0, None, None)


def test_exact_figures_have_an_exact_ratio_and_nothing_has_none():
    exact = Estimate(3.0, 3.0, 3.0, "exact")
    assert ratio("activation_bytes", exact, Estimate(2.0, 2.0, 2.0, "exact")) == Estimate(
        1.5, 1.5, 1.5, "exact"
    )
    assert ratio("activation_bytes", exact, None) is None
    assert ratio("activation_bytes", exact, Estimate(0.0, 0.0, 0.0, "exact")) is None


def test_the_baseline_has_the_same_allocator_and_the_default_one_stands_beside(of):
    plain = synthetic.cells()[:2]
    other = [
        dataclasses.replace(cell, allocator="tcmalloc", id=cell.id.replace("/s0", "/tcmalloc/s0"))
        for cell in plain
    ]
    (group,) = groups(of([*plain, *other]))
    assert [m.label for m in group.members] == [
        "vanilla",
        "asi fraction=0.125",
        "vanilla · tcmalloc",
        "asi fraction=0.125 · tcmalloc",
    ]
    assert [m.is_baseline for m in group.members] == [True, False, True, False]
    assert group.members[3].base is group.members[2].cell
    assert [m.default_base for m in group.members[:2]] == [None, None]
    assert all(m.default_base is group.members[0].cell for m in group.members[2:])
    assert group.members[0].ratio_to_default("step_seconds") is None
    assert group.members[3].ratio_to_default("step_seconds").estimate == pytest.approx(1.1)


def test_a_baseline_with_several_options_is_the_one_that_agrees(of):
    (group,) = groups(of(synthetic.cells()), baseline="asi")
    bases = {m.label: m.base and m.base.planned.cell.method_options for m in group.members}
    quarter = (("fraction", 0.25),)
    assert bases == {
        "vanilla": None,  # which of both is left open
        "asi fraction=0.125": (("fraction", 0.125),),
        "asi fraction=0.25": quarter,
        "wasi fraction=0.25": quarter,
        "svd fraction=0.25": quarter,
        "checkpoint": None,
    }
    assert "several sets of options" in group.members[0].why_no_base
    (group,) = groups(of(synthetic.cells()[:2]), baseline="asi")
    assert group.members[0].base is group.members[1].cell  # there is only one


def test_an_option_that_a_cell_does_not_name_has_its_default(of):
    """The baseline with another value than the default is not that of such a cell."""
    name = next(o.name for o in registry.method("wasi").options if o.default is not None)
    default, other = (
        dataclasses.replace(cell, method="wasi", method_options=options, id=f"m/{at}/all/b8/s0")
        for at, (cell, options) in enumerate(
            zip(synthetic.cells(), ((), ((name, "another"),)), strict=False)
        )
    )
    mine = dataclasses.replace(default, method="wasi+checkpoint", id="m/mine/all/b8/s0")
    found = [SimpleNamespace(planned=SimpleNamespace(cell=cell)) for cell in (default, other)]
    assert of_equal_options(mine, found) is found[0]


def test_all_groups_of_a_workload_show_the_same_seed(of):
    """The plots over batches are of one seed, which the first screen names."""
    cells = [*synthetic.cells(8, seeds=(0, 1)), *synthetic.cells(16, seeds=(0, 1))]
    cells = [
        c for c in cells if (c.batch, c.seed, c.method) not in {(8, 0, "svd"), (16, 1, "wasi")}
    ]
    cells = [c for c in cells if (c.batch, c.seed, c.method) != (16, 1, "checkpoint")]
    for group in groups(of(cells)):
        shown = group.of_first_seed
        assert {m.cell.planned.cell.seed for m in (*shown.members, *shown.all_batches)} == {0}
