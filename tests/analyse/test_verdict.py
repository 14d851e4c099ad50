"""What the verdict says of a group of cells, and when it chooses nothing."""

import dataclasses

import pytest

from ondevice_bench.analyse.choice import choose, direction
from ondevice_bench.analyse.gradient import cosine_text, gradient_quality, has_exact_gradient
from ondevice_bench.analyse.groups import groups
from ondevice_bench.analyse.summarise import summarise_content
from ondevice_bench.analyse.verdict import SENTENCES, verdict
from ondevice_bench.metrics.learning import NOT_FINITE
from ondevice_bench.record import baseline
from ondevice_bench.suite.cell import Train
from ondevice_bench.suite.goal import Goal
from tests.conftest import ROOT
from tests.record.conftest import make_record
from tests.report import synthetic


@pytest.fixture
def said(summary_of):
    def of(goal=None, cells=None, records=None, **what):
        chosen = cells if cells is not None else synthetic.cells()
        found = synthetic.records(chosen, **what) if records is None else records
        summary = summary_of(found, synthetic.planned(chosen), synthetic.run_of())
        (group,) = groups(summary)
        return tuple(
            sentence
            for part in group.by_baseline
            for sentence in verdict(part, goal or Goal(), "vanilla").sentences
        )

    return of


def test_the_fastest_that_is_good_enough_then_what_it_costs_then_who_needs_least_memory(said):
    best, costs, other, outside = said()
    assert best.startswith(
        "wasi fraction=0.25 has the lowest step time of those that meet the goal: 0.520× (0.5"
    )
    assert best.endswith("of vanilla's.")
    assert "0.775× (" in costs
    assert costs.endswith("a gradient cosine of 0.95 at step 1.")
    assert other.startswith(
        "checkpoint has the lowest peak memory of those that meet the goal: 0.375× ("
    )
    assert "at 1.30× (" in other
    assert outside == (
        "svd fraction=0.25 does not meet the goal: a gradient cosine of at least 0.9 where it was "
        "measured."
    )


def test_a_low_cosine_rules_a_method_out_and_the_goal_says_how_low(said):
    # without that bound svd is no longer ruled out, but wasi is still faster
    assert "wasi" in said(Goal(min_cosine=0.0))[0]
    slow = {"wasi": 3.0}
    assert "svd" in said(Goal(min_cosine=0.0), slower=slow)[0]
    assert said(slower=slow)[0] == (
        "No method that meets the goal has a lower step time than vanilla by more than the noise."
    )


@pytest.mark.parametrize(
    ("missing", "wins"),
    [
        ({"loss_after_steps": NOT_FINITE, "gradient_cosine": "not finite"}, False),
        ({"gradient_cosine": "a gradient was zero, or not finite"}, True),
    ],
)
def test_a_method_that_loses_its_loss_is_refused_whatever_its_first_cosine(said, missing, wins):
    cells = synthetic.cells()
    losing = {cell.id for cell in cells if cell.method == "wasi"}
    records = [
        dataclasses.replace(each, unavailable=missing)
        if each.key.pass_name == "fidelity" and each.key.cell in losing
        else each
        for each in synthetic.records(cells)
    ]
    first, *others = said(cells=cells, records=records)
    assert first.startswith("wasi") == wins
    lost = "The loss of wasi fraction=0.25 was not finite after ten steps."
    assert (lost in others) != wins


def test_where_the_baseline_loses_its_loss_nothing_is_chosen(summary_of):
    """An exact method trains as badly as the baseline does, however little it needs."""
    cells = synthetic.cells()
    lost = {"loss_after_steps": NOT_FINITE}
    records = [
        dataclasses.replace(each, unavailable=lost)
        if each.key.pass_name == "fidelity" and each.key.cell == cells[0].id
        else each
        for each in synthetic.records(cells)
    ]
    records.append(make_record(cell=cells[0], pass_name="fidelity", unavailable=lost, metrics={}))
    summary = summary_of(records, synthetic.planned(cells), synthetic.run_of())
    (group,) = groups(summary)
    found = verdict(group, Goal(), "vanilla")
    assert {found.by_goal, found.by_memory, found.by_time, found.by_both} == {None}
    assert found.sentences == (
        "The loss of vanilla itself was not finite after ten steps, so no method can be judged.",
    )


def test_the_goal_may_be_another_metric(said):
    first = said(Goal(minimise="activation_bytes"))[0]
    assert first == (
        "checkpoint has the lowest activation bytes of those that meet the goal: 0.150× of "
        "vanilla's."
    )


def test_bounds_that_nobody_keeps_are_said_with_each_reason(said):
    (only,) = said(Goal(max_peak_bytes=2**20, max_slowdown=1.0))
    assert only.startswith("No method meets the goal: asi fraction=0.125: its peak is above 1 MiB")
    slow = said(Goal(max_slowdown=1.2, minimise="activation_bytes"))
    assert "checkpoint" not in slow[0]


def test_one_process_proves_nothing(said):
    cells = synthetic.cells()[:2]
    records = [
        make_record(cell=cell, metrics={"step_seconds": value}, samples={"step_seconds": [value]})
        for cell, value in zip(cells, (1.0, 0.5), strict=True)
    ]
    first, *rest = said(cells=cells, records=records)
    assert first == (
        "asi fraction=0.125 had the lowest step time here, 0.500× (no interval) of vanilla's, but "
        "this is not proven: only one process measured each side. Set `rounds: {time: 5}` and run again."
    )
    assert rest == [
        "The effect of asi on the gradient is not known: the fidelity pass has not run yet."
    ]


def test_the_lowest_peak_is_named_although_it_is_not_proven(said):
    cells = synthetic.cells()[:2]
    peak = "peak_rss_over_runtime_bytes"
    records = [
        make_record(cell=cell, pass_name=name, metrics={metric: value})
        for cell, value in zip(cells, (1.0, 0.5), strict=True)
        for name, metric in (("memory", peak), ("time", "step_seconds"))
    ]
    text = (
        "asi fraction=0.125 had the lowest peak memory here, 0.500× (no interval) of vanilla's, but "
        "this is not proven: only one process measured each side. Set `rounds: {memory: 3}` and run "
        "again."
    )
    assert said(cells=cells, records=records)[1] == text
    assert said(Goal(minimise=peak), cells=cells, records=records).count(text) == 1


def test_methods_with_the_same_exact_number_are_named(said):
    vanilla, *rest = synthetic.cells()
    cells = [vanilla, *rest[:3]]
    records = [
        make_record(cell=cell, pass_name="trace", metrics={"activation_bytes": size})
        for cell, size in zip(cells, (100.0, 50.0, 50.0, 51.0), strict=True)
    ]
    first = said(Goal(minimise="activation_bytes"), cells=cells, records=records)[0]
    assert first == (
        "asi fraction=0.125 has the lowest activation bytes: 0.500× of vanilla's. "
        "The same number: asi fraction=0.25."
    )


def test_more_counts_as_noise_if_the_rounds_were_not_interleaved(summary_of):
    """All rounds of a cell came one after another, so a drift looks like a difference."""
    cells = synthetic.cells()[:2]
    says = []
    for interleaved in (True, False):
        run = synthetic.run_of(settings={**synthetic.SETTINGS, "interleaved": interleaved})
        found = timed(cells, 1.0, 0.85)
        (group,) = groups(summary_of(found, synthetic.planned(cells), run))
        member = group.members[1]
        missing = choose([member], "step_seconds").missing
        says.append((direction(member, "step_seconds"), missing.partition(",")[0]))
    assert says == [
        ("less", ""),
        ("unknown", "the rounds did not alternate between these cells"),
    ]


def test_methods_that_noise_may_hide_are_named_and_slow_ones_are_not(said):
    """One process proves nothing, but noise does not hide a method of three times the time."""
    paces = {"wasi": 2.0, "svd": 3.0, "asi": 0.92}
    every = synthetic.records(synthetic.cells(), slower=paces)
    few = [record for record in every if record.key.round == 1]
    assert said(records=few)[0] == (
        "It is not proven whether asi fraction=0.125 and wasi fraction=0.25 have a lower step "
        "time than vanilla. The reason: only "
        "one process measured each side. Set `rounds: {time: 5}` and run again."
    )


def timed(cells, *paces):
    """Five processes of each cell, whose step times are these, and two per cent more each."""
    return [
        make_record(
            cell=cell,
            number=number,
            metrics={"step_seconds": pace * (1 + 0.02 * number)},
            samples={"step_seconds": [pace * (1 + 0.02 * number)] * 9},
        )
        for cell, pace in zip(cells, paces, strict=True)
        for number in range(1, 6)
    ]


@pytest.mark.parametrize(
    ("others", "near"),
    [
        ((0.8, 0.9), ""),
        ((0.62, 0.9), " asi fraction=0.25 may be as low: the noise hides which is lower."),
        (
            (0.62, 0.61),
            (
                " wasi fraction=0.25 and asi fraction=0.25 may be as low: the noise hides which is "
                "lower."
            ),
        ),
    ],
)
def test_the_lowest_names_the_others_that_may_be_as_low(said, others, near):
    """The proof is against the baseline. It says nothing of the other methods."""
    vanilla, *rest = synthetic.cells()
    cells = [vanilla, *rest[:3]]
    first = said(cells=cells, records=timed(cells, 1.0, 0.6, *others))[0]
    assert first.startswith("asi fraction=0.125 has the lowest step time: 0.600× (")
    assert first.endswith(f"of vanilla's.{near}")


def test_a_number_that_is_too_noisy_may_be_as_low_as_the_choice(said):
    cells = synthetic.cells()[:3]
    noisy = [
        make_record(cell=cells[2], number=number, samples={"step_seconds": [pace] * 9})
        for number, pace in enumerate((0.1, 0.7, 0.7, 0.7, 2.0), 1)
    ]
    first = said(cells=cells, records=[*timed(cells[:2], 1.0, 0.6), *noisy])[0]
    assert first.startswith("asi fraction=0.125 has the lowest step time: 0.600× (")
    assert first.endswith("asi fraction=0.25 may be as low: the noise hides which is lower.")


def test_a_verdict_without_a_comparison_says_why(said):
    cells = synthetic.cells()
    assert said(cells=cells[:1]) == (
        "Only vanilla was measured, so there is nothing to compare it with.",
    )
    assert said(cells=cells[1:]) == (
        "There are no numbers of vanilla to compare these methods with, so none can be judged.",
    )
    assert said(Goal(minimise="step_joules")) == (
        "The energy of a step was not measured, so no method can be chosen by it.",
    )


def test_what_an_allocator_alone_does_is_said(said):
    plain, quick = (
        dataclasses.replace(
            synthetic.cells()[0], id=f"mcunet/vanilla/all/b8/{name}/s0", allocator=name
        )
        for name in ("glibc", "tcmalloc")
    )
    records = [
        make_record(cell=cell, number=number, metrics={"step_seconds": seconds})
        for cell, seconds in ((plain, 2.0), (quick, 1.5))
        for number in range(1, 6)
    ]
    assert said(cells=[plain, quick], records=records) == (
        "Only vanilla · glibc was measured, so there is nothing to compare it with.",
        "Only vanilla · tcmalloc was measured, so there is nothing to compare it with.",
        (
            "vanilla · tcmalloc has 0.750× (0.750× … 0.750×) of the step time of vanilla under the "
            "default allocator."
        ),
    )


def test_every_sentence_of_the_table_is_tested_here():
    assert set(SENTENCES) == {
        "alone", "no baseline", "several baselines", "baseline diverges", "unmeasured", "no value", "no ratio",
        "none allowed", "best", "best unsure",
        "near", "tie", "none better", "unclear", "costs", "other", "outside", "diverging", "allocator",
        "learning unknown",
    }  # fmt: skip


def test_exact_methods_are_those_with_vanillas_own_gradient():
    assert has_exact_gradient("checkpoint")
    assert has_exact_gradient("checkpoint+microbatch")
    assert not has_exact_gradient("checkpoint+wasi")
    assert not has_exact_gradient("mine.py:Mine@00000000")


def test_seeds_do_not_vote_twice(said):
    assert said() == tuple(
        sentence.replace(" · seed 0", "") for sentence in said(cells=synthetic.cells(seeds=(0, 1)))
    )


def test_a_goal_is_stored_and_read_whatever_is_added_later():
    goal = Goal("activation_bytes", 0.5, 7, 2.0)
    assert Goal.from_dict({**goal.to_dict(), "newer": 1}) == goal
    assert dataclasses.asdict(Goal.from_dict({})) == dataclasses.asdict(Goal())


@pytest.mark.parametrize(
    ("value", "limit", "text"),
    [
        (0.8951, None, "0.90"),
        (0.8951, 0.9, "0.895"),  # not "0.90, but the goal asks for at least 0.9"
        (0.8999999, 0.9, "0.8999999"),
        (0.85, 0.9, "0.85"),
        (0.9, 0.9, "0.90"),
        (0.9949, 0.995, "0.99"),
        (-0.104, -0.1, "-0.104"),
        (0.993, None, "0.99"),
        (0.997, None, ">0.99"),
        (1.0, None, "1.00"),
    ],
)
def test_a_cosine_below_a_limit_is_not_rounded_up_to_it(value, limit, text):
    assert cosine_text(value, limit) == text


def peaks(cells, *sizes):
    """Three processes of each cell with this peak."""
    return [
        make_record(
            cell=cell,
            pass_name="memory",
            number=number,
            metrics={"peak_rss_over_runtime_bytes": size},
        )
        for cell, size in zip(cells, sizes, strict=True)
        for number in (1, 2, 3)
    ]


def elsewhere(cells, **what):
    name = "/".join(what.values())
    return [
        dataclasses.replace(cell, id=cell.id.replace("/s0", f"/{name}/s0"), **what)
        for cell in cells
    ]


@pytest.mark.parametrize("what", [{"layers": "last:4"}, {"allocator": "tcmalloc"}])
@pytest.mark.parametrize(
    "sizes",
    [
        (264, 226, 240, 70, 81, 90),
        (264, 240, 226, 70, 60, 50),
        (264, 300, 290, 250, 81, 99),
        (10, 9, 11, 70, 60, 20),
    ],
)
def test_the_lowest_is_the_lowest_of_all_that_are_compared(summary_of, what, sizes):
    """An unfrozen method with the lowest ratio may need three times the memory of a frozen one."""
    cells = synthetic.cells()[:3]
    cells = [*cells, *elsewhere(cells, **what)]
    summary = summary_of(peaks(cells, *sizes), synthetic.planned(cells), synthetic.run_of())
    (group,) = groups(summary)
    assert len(group.by_baseline) == 2

    def peak(member):
        return member.cell.estimates["peak_rss_over_runtime_bytes"].estimate

    for part, of_part in zip(group.by_baseline, (sizes[:3], sizes[3:]), strict=True):
        assert tuple(map(peak, part.members)) == of_part
        lowest, found = min(part.members, key=peak), verdict(part, Goal(), "vanilla").by_memory
        assert found.member is (None if lowest.is_baseline else lowest)


def test_the_baselines_of_layers_that_freeze_nothing_are_one(summary_of):
    """Each has a vanilla of its own, but both train alike. So the lower value counts."""
    cells = synthetic.cells()[:2]
    cells = [*cells, *elsewhere(cells, layers="conv")]
    found = peaks(cells, 100, 60, 130, 61)
    (group,) = groups(summary_of(found, synthetic.planned(cells), synthetic.run_of()))
    (part,) = group.by_baseline
    choice = verdict(part, Goal(), "vanilla").by_memory
    assert (choice.member.label, choice.ratio.estimate) == ("asi fraction=0.125", 0.6)  # not 61/130
    assert [member.label for member in choice.near] == ["asi fraction=0.125 · conv"]


def test_a_baseline_without_a_number_says_why(said):
    vanilla, asi = synthetic.cells()[:2]
    records = [
        make_record(cell=vanilla, pass_name="trace", metrics={"activation_bytes": 9.0}),
        make_record(cell=vanilla, status="oom", reason="step: could not allocate 9 MiB"),
        *timed([asi], 1.0),
    ]
    assert said(cells=[vanilla, asi], records=records)[0] == (
        "vanilla has no step time, so no method can be chosen by it: time, round 1: oom: step: "
        "could not allocate 9 MiB."
    )


def test_methods_that_agree_with_none_of_several_baselines_are_not_judged(summary_of):
    cells = synthetic.cells()
    summary = summary_of(synthetic.records(cells), synthetic.planned(cells), synthetic.run_of())
    (group,) = groups(summary, baseline="asi")
    (without,) = (part for part in group.by_baseline if part.title.endswith("without a baseline"))
    (sentence,) = verdict(without, Goal(), "asi").sentences
    assert sentence == (
        "asi was measured with several sets of options, and none of them belongs to these methods, "
        "so they cannot be judged."
    )


def test_microbatches_are_exact_only_while_batch_norm_is_frozen(summary_of):
    cell = dataclasses.replace(synthetic.cells()[0], method="microbatch")
    trained = dataclasses.replace(cell, train=Train(freeze_bn=False))
    says = []
    for one in (cell, trained):
        summary = summary_of(timed([one], 1.0), synthetic.planned([one]), synthetic.run_of())
        (group,) = groups(summary)
        says.append(gradient_quality(group.members[0]).text)
    exact = "the exact gradient (if batch-norm stays frozen)"
    assert says == [exact, "an unknown effect on the gradient"]


def test_of_a_real_run_nothing_is_called_lowest_that_is_not():
    """MCUNet's last four layers need a third of the memory of ASI on all of them."""
    summary = summarise_content(baseline.read(ROOT / "docs/findings/paper-asi-small.json"))
    peak, chosen = "peak_rss_over_runtime_bytes", []
    for part in (part for group in groups(summary) for part in group.by_baseline):
        found = verdict(part, Goal(), "vanilla")
        if (member := found.by_memory.member) is not None:
            chosen.append(part.title)
            lower = {
                each.label
                for each in part.members
                if each.cell.estimates[peak].estimate < member.cell.estimates[peak].estimate
            }
            assert lower <= {*found.too_far, *(each.label for each in found.by_memory.near)}
    assert "mcunet(image_size=224), batch 8, compared with vanilla" in chosen
    assert "mcunet(image_size=224), batch 8, compared with vanilla · last:4" not in chosen
