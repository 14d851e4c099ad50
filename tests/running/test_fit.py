import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ondevice_bench.cli.app import app
from ondevice_bench.protocol.job import PassResult, Reply
from ondevice_bench.running.hosts import local
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.running.queries.fit import MOST_OF_TORCH, Unfit, edge, fits, largest
from ondevice_bench.suite.board import HERE
from ondevice_bench.suite.fit import LARGEST
from ondevice_bench.suite.from_flags import Words
from ondevice_bench.suite.plan import plan

RISE = {"vanilla": 30, "microbatch": 15, "saved_bf16": 20}

PIECES = st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 10**4)), min_size=1, max_size=4)


@given(PIECES, st.integers(1, 10**7))
def test_it_is_the_last_batch_within_the_limit(pieces, limit):
    asked = []

    def peak(size):
        return max(start + slope * size for start, slope in pieces)

    def ask(size):
        asked.append(size)
        return peak(size)

    rest, rise = pieces[0]
    if peak(1) > limit:
        with pytest.raises(Unfit, match="one example needs"):
            largest(ask, limit, rise, rest)
        return
    batch, found, beyond = largest(ask, limit, rise, rest)
    assert found == peak(batch) <= limit
    if beyond is None:
        assert batch == LARGEST
    else:
        assert beyond == peak(batch + 1) > limit
    assert len(asked) < 40


def test_a_few_questions_are_enough_where_peaks_grow_straight():
    asked = []

    def ask(size):
        asked.append(size)
        return max(1400, 700 + 29 * size)

    assert largest(ask, 4096, 20.0, 700.0)[0] == (4096 - 700) // 29
    assert len(asked) <= 5


@given(st.integers(1, 2000), st.integers(0, 2000))
def test_what_really_fits_is_looked_for_below_an_edge_that_fails(batch, limit):
    asked = []

    def run(size):
        asked.append(size)
        return Reply("ok" if size <= limit else "oom")

    found = {size: reply.status for size, reply in edge(run, batch).items()}
    if limit >= batch:
        assert list(found) == [batch, batch + 1]
    else:
        assert found[max(found)] == "oom"
        fits = min(found) if len(found) == 2 else 0
        assert fits <= limit < max(found)
        assert max(found) - fits <= max(1, batch // 20)
        assert len(asked) <= 7


def test_a_failure_that_is_no_lack_of_memory_ends_the_search():
    replies = {8: Reply("failed", "a reason")}
    assert edge(replies.__getitem__, 8) == replies


def straight(job):
    """A step whose peak grows with the batch, by another slope for each method."""
    peak = 100 + RISE[job.cell.method] * job.cell.batch
    numbers = {
        "resident_bytes": 100,
        "batch_bytes": 1,
        "activation_bytes": 10,
        "step_flops": 7.0 * job.cell.batch,
    }
    return Reply("ok", result=PassResult(metrics={**numbers, "peak_bytes": peak}))


def fitted(limit, answer=straight, **keywords):
    methods = ["gradient_filter", "saved_bf16", "microbatch", "vanilla"]
    suite = Words(["vit_b_32"], methods=methods, batches=[keywords.get("asked") or 1]).suite()
    host = FakeHost(answer)
    return host, fits(host, suite, plan(suite, HERE), limit, {}, **keywords)


def test_vanilla_is_first_then_the_largest_batch_then_what_has_none():
    _, found = fitted(400)
    assert [(fit.method, fit.batch) for fit in found] == [
        ("vanilla", 10),
        ("microbatch", 20),
        ("saved_bf16", 15),
        ("gradient_filter", None),
    ]


def test_every_peak_that_was_computed_is_a_point_of_the_curve():
    _, (vanilla, *_) = fitted(400)
    assert (1, 130) in vanilla.points
    assert (10, 400) in vanilla.points
    assert (11, 430) in vanilla.points
    assert all(peak == 100 + 30 * batch for batch, peak in vanilla.points)


def test_a_batch_that_is_asked_for_is_answered_without_a_search():
    host, found = fitted(400, asked=12)
    assert [(fit.method, fit.batch, fit.fits, fit.peak_bytes) for fit in found] == [
        ("vanilla", 12, False, 460),
        ("microbatch", 12, True, 280),
        ("saved_bf16", 12, True, 340),
        ("gradient_filter", None, False, None),
    ]
    assert found[0].points == ((1, 130), (12, 460))
    assert {job.cell.batch for job in host.jobs} == {1, 12}
    assert found[0].example_flops == 7


def test_the_answer_for_the_asked_batch_needs_no_answer_for_one_example():
    def no_single_example(job):
        return Reply("failed", "too few values") if job.cell.batch == 1 else straight(job)

    _, (vanilla, *_) = fitted(400, no_single_example, asked=8)
    assert (vanilla.fits, vanilla.peak_bytes, vanilla.reason) == (True, 340, "")
    assert vanilla.points == ((8, 340),)


@pytest.mark.parametrize(("of_torch", "cap"), [(90, 490), (None, 400)])
def test_only_the_asked_batch_is_confirmed_and_only_where_it_fits(of_torch, cap):
    """Torch itself has its room in the reserve. So its bytes are added to the cap, if known."""

    def answer(job):
        if job.pass_name != "memory":
            return straight(job)
        known = {} if of_torch is None else {"runtime_allocated_bytes": float(of_torch)}
        return Reply("ok", result=PassResult(metrics=known))

    host, found = fitted(400, answer, asked=12, confirm=True)
    assert [fit.confirmed for fit in found] == [None, {"12": "ok"}, {"12": "ok"}, None]
    real = [
        (job.cell.method, job.cell.batch, job.memory_cap)
        for job in host.jobs
        if job.pass_name == "memory"
    ]
    again = [] if of_torch else [("microbatch", 2, 400 + MOST_OF_TORCH)]
    assert real == [
        ("saved_bf16", 2, 400 + MOST_OF_TORCH),
        ("saved_bf16", 12, cap),
        *again,
        ("microbatch", 12, cap),
    ]


def test_a_pass_that_fails_after_the_search_is_a_reason():
    def no_flops(job):
        if job.pass_name == "shapes" and job.cell.batch > 1:
            return Reply("failed", "no such operator")
        return straight(job)

    _, found = fitted(400, no_flops)
    assert {fit.reason for fit in found if fit.method != "gradient_filter"} == {"no such operator"}


def test_each_method_is_told_of_before_it_is_looked_at():
    told = []
    fitted(400, tell=told.append)
    assert told == [
        "1/4 · vit_b_32 · gradient_filter",
        "2/4 · vit_b_32 · saved_bf16",
        "3/4 · vit_b_32 · microbatch",
        "4/4 · vit_b_32 · vanilla",
    ]


@pytest.mark.parametrize(
    ("is_terminal", "words", "shown"),
    [(True, (), True), (True, ("--quiet",), False), (False, (), False)],
)
def test_progress_is_a_live_line_of_a_terminal(monkeypatch, capsys, is_terminal, words, shown):
    monkeypatch.setattr(local, "planning_host", lambda _: FakeHost(straight))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal, raising=False)
    command = ["fit", "--model", "vit_b_32", "--method", "vanilla", "--batch", "2", *words]
    assert app(command, standalone_mode=False) == 0
    err = capsys.readouterr().err
    assert ("\x1b[2K1/1 · vit_b_32 · vanilla" in err) == shown
    assert bool(err) == shown
