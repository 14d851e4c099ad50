"""What a page of boards says of each board, and how sure it is."""

import dataclasses

import pytest

from ondevice_bench.analyse.choice import NOT_ALTERNATING, PEAK, STEP, Choice
from ondevice_bench.analyse.groups import groups
from ondevice_bench.analyse.verdict import verdict
from ondevice_bench.report.board_answers import (
    DISTURBED,
    MAYBE_NO_FIT,
    NO_FIT,
    SMALLER,
    Line,
    answers,
    cure,
    is_disturbed,
    next_steps,
    rests_on,
)
from ondevice_bench.suite.goal import Goal
from tests.report import synthetic

MIB, GIB = 2**20, 2**30
UNSURE = "Too few did it. Do it again"  # as of a choice: the reason, then what to do


@pytest.fixture
def group(summary_of):
    cells = synthetic.cells()
    summary = summary_of(synthetic.records(cells), synthetic.planned(cells), synthetic.run_of())
    (found,) = groups(summary)
    return found


def steps_of(found, members, limit=GIB):
    return next_steps(found, Goal(), members, answers(found, Goal(), limit, members))


def test_the_answer_of_a_board_says_method_fit_cost_and_proof(group):
    found = verdict(group, Goal(), "vanilla")
    memory, fastest, both = answers(found, Goal(), GIB, group.members)
    assert (memory.number, memory.method, memory.badges) == ("0.375×", "checkpoint", ("proven",))
    assert memory.lines == (
        Line("fits: 30.00 MiB, 2.9 % of 1 GiB; the exact gradient"),
        Line("step time 1.30×"),
    )
    assert (fastest.number, fastest.method) == ("0.520×", "wasi fraction=0.25")
    assert [line.text.partition(";")[0] for line in fastest.lines] == [
        "52.0 ms",
        "peak memory 0.775×",
    ]
    assert (both.number, both.method, both.proof) == ("0.775×", "wasi fraction=0.25", "proven")
    assert steps_of(found, group.members) == ()


def unclear(choice):
    """The noise hides whether the method is lower."""
    return dataclasses.replace(
        choice, member=None, proof="none", unclear=(choice.member,), missing=UNSURE
    )


def alone(choice):
    return Choice(choice.metric, None, "none")


@pytest.mark.parametrize(
    ("change", "badges", "more", "steps"),
    [
        (alone, ("no gain",), (), ()),
        (
            unclear,
            (),
            (Line("may be faster: wasi fraction=0.25 (0.520×)", ("not proven",)),),
            ("Do it again",),
        ),
    ],
)
def test_the_baseline_is_the_answer_until_a_method_is_lower(group, change, badges, more, steps):
    found = verdict(group, Goal(), "vanilla")
    found = dataclasses.replace(found, by_time=change(found.by_time))
    fastest = answers(found, Goal(), GIB, group.members)[1]
    assert (fastest.number, fastest.method, fastest.cell) == ("1×", "vanilla", "")
    assert (fastest.badges, fastest.is_of_goal) == (badges, True)
    assert fastest.lines == (Line("100 ms; fits: 80.00 MiB, 7.8 % of 1 GiB"), *more)
    assert steps_of(found, group.members) == steps


def test_an_answer_without_a_measurement_is_none(group):
    found = dataclasses.replace(verdict(group, Goal(), "vanilla"), by_time=None)
    fastest = answers(found, Goal(), GIB, group.members)[1]
    assert (fastest.number, fastest.method, fastest.badges) == ("", "", ("unknown",))
    assert fastest.lines == (Line("No method was compared by its step time."),)
    assert steps_of(found, group.members) is None


@pytest.mark.parametrize("longest", [1.06, 1.2])
def test_a_badge_stands_beside_the_number_that_is_not_proven(group, longest):
    """A proven memory and a step that may be too long, also if it is proven to be longer."""
    found = verdict(group, Goal(), "vanilla")
    member = found.by_memory.member
    ratios = {PEAK: (0.3, 0.375, 0.4), STEP: (1.055, 1.058, longest)}
    member = dataclasses.replace(member, cell=_scaled(member.cell, member.base, ratios))
    choice = Choice(PEAK, member, "not proven", UNSURE)
    found = dataclasses.replace(found, by_both=choice)
    both = answers(found, Goal(), GIB, group.members)[2]
    assert (both.badges, both.proof) == (("proven",), "not proven")
    assert both.lines[1].badges == ("not proven",)
    assert both.lines[1].text.startswith("step time 1.06× (")
    assert both.lines[1].text.endswith("); at most 10 % longer:")
    assert steps_of(found, group.members) == ("Do it again",)


def _scaled(cell, base, ratios):
    """The cell with these multiples of the baseline's values."""
    estimates = {
        name: dataclasses.replace(
            cell.estimates[name],
            lower=low * base.estimates[name].upper,
            estimate=middle * base.estimates[name].estimate,
            upper=high * base.estimates[name].lower,
        )
        for name, (low, middle, high) in ratios.items()
    }
    return dataclasses.replace(cell, estimates={**cell.estimates, **estimates})


@pytest.mark.parametrize(
    ("limit_mib", "text", "badges"),
    [
        (None, "30.00 MiB; whether it fits is not known", ()),
        (40, "fits: 30.00 MiB, 75 % of 40 MiB", ()),
        (30.05, "30.00 MiB, up to 100.2 % of 30.05 MiB", (MAYBE_NO_FIT,)),
        (20, "30.00 MiB, 150 % of 20 MiB", (NO_FIT,)),
    ],
)
def test_an_answer_fits_only_with_the_whole_interval_of_its_peak(group, limit_mib, text, badges):
    limit = None if limit_mib is None else int(limit_mib * MIB)
    found = verdict(group, Goal(), "vanilla")
    memory = answers(found, Goal(), limit, group.members)[0]
    assert memory.lines[0].text.removesuffix("; the exact gradient") == text
    assert memory.badges == ("proven", *badges)
    assert steps_of(found, group.members, limit) == (SMALLER,) * len(badges)


@pytest.mark.parametrize(
    ("goal", "third"),
    [
        (Goal(), (PEAK, STEP)),
        (Goal(PEAK), (PEAK, STEP)),
        (Goal(PEAK, max_peak_bytes=1), (PEAK,)),
        (Goal(PEAK, max_slowdown=2.0), (PEAK, STEP)),
        (Goal("activation_bytes"), ("activation_bytes",)),
    ],
)
def test_an_answer_rests_on_the_metrics_that_decide_it(goal, third):
    assert rests_on(goal) == ((PEAK,), (STEP,), third)


@pytest.mark.parametrize("side", ["cell", "base"])
def test_a_disturbed_pass_is_a_doubt_for_its_own_metrics_on_either_side(group, side):
    chosen = verdict(group, Goal(), "vanilla").by_memory.member
    busy = dataclasses.replace(getattr(chosen, side), disturbed={"time": 1})
    member = dataclasses.replace(chosen, **{side: busy})
    assert is_disturbed(member, (STEP,))
    assert not is_disturbed(member, (PEAK,))
    found = verdict(group, Goal(), "vanilla")
    by_memory = dataclasses.replace(found.by_memory, member=member)
    found = dataclasses.replace(found, by_memory=by_memory)
    memory, fastest, _ = answers(found, Goal(), GIB, group.members)
    assert DISTURBED in memory.lines[1].badges
    assert DISTURBED not in memory.badges + fastest.all_badges


def test_the_advice_of_a_choice_stands_after_its_reason():
    alternate = Choice(STEP, None, "not proven", NOT_ALTERNATING)
    assert cure(alternate) == "Use `bench run --fresh`, or `--interleave` of pytest"
    assert cure(Choice(STEP, None, "proven", "checkpoint may be as low. It is")) == ""


def test_programs_that_disturbed_are_to_be_stopped_before_all_else(group):
    found = verdict(group, Goal(), "vanilla")
    quiet = "Too wide. Use a quieter machine and run again"
    unsure = dataclasses.replace(found.by_time, proof="not proven", missing=quiet)
    found = dataclasses.replace(found, by_time=unsure)
    busy = dataclasses.replace(group.members[1].cell, disturbed={"time": 1})
    member = dataclasses.replace(group.members[1], cell=busy)
    assert steps_of(found, group.members) == ("Use a quieter machine and run again",)
    (step,) = steps_of(found, [*group.members, member])
    assert step.endswith(f"They disturbed the times of {member.label}")
