"""Portions of a run: what belongs together, and what is left."""

from dataclasses import replace
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from ondevice_bench.fleet.campaign import Campaign
from ondevice_bench.fleet.portion import portions, rest
from ondevice_bench.record.model import TaskKey
from ondevice_bench.suite.cell import Cell


def cell(method="vanilla", batch=1, seed=0):
    return Cell(f"net/{method}/all/b{batch}/s{seed}", "net", method, batch, seed=seed)


CELLS = {
    each.id: each
    for batch in (1, 2)
    for seed in (0, 1)
    for method in ("vanilla", "lean", "asi")
    for each in [cell(method, batch, seed)]
}


def tasks(rounds):
    return [
        TaskKey(name, made, number)
        for number in range(1, rounds + 1)
        for name, each in CELLS.items()
        for made in (["calibrate"] if each.method == "asi" and number == 1 else []) + ["time"]
    ]


def test_a_portion_has_all_methods_of_a_workload_and_a_seed_in_one_round():
    found = portions(tasks(2), CELLS)
    assert len(found) == 8
    assert sorted(task for each in found for task in map(str, each.tasks)) == sorted(
        map(str, tasks(2))
    )
    for each in found:
        cells = [CELLS[task.cell] for task in each.tasks]
        assert len({(one.batch, one.seed) for one in cells}) == 1
        assert {one.method for one in cells} == {"vanilla", "lean", "asi"}
        assert {task.round for task in each.tasks} == {each.round}
    names = {each.name for each in found}
    assert len(names) == 8
    assert all((each.after in names) == (each.round == 2) for each in found)


def test_rounds_without_ranks_wait_for_nothing():
    simple = {name: each for name, each in CELLS.items() if each.method != "asi"}
    found = portions([task for task in tasks(3) if task.cell in simple], simple)
    assert {each.after for each in found} == {""}


(PORTION, *_) = portions(tasks(1), CELLS)


@given(st.data())
def test_a_rest_together_with_what_stays_is_the_portion_on_one_board(data):
    measured = data.draw(st.dictionaries(st.sampled_from(PORTION.tasks), st.sampled_from("ABC")))
    alive = data.draw(st.sets(st.sampled_from("ABC")))
    repeat = data.draw(st.sets(st.sampled_from(PORTION.tasks)))
    left = rest(PORTION, measured, alive, repeat)
    missing = {task for task in PORTION.tasks if task not in measured or task in repeat}
    assert missing <= set(left.tasks)
    if not missing:
        assert left.tasks == ()
        return
    stays = {measured[task] for task in PORTION.tasks if task not in left.tasks}
    assert stays <= {left.home}
    assert not left.home or left.home in alive
    if not stays:
        assert set(left.tasks) == set(PORTION.tasks)
    if (
        len({measured[task] for task in measured if task not in repeat} - alive) == 0
        and len({measured[task] for task in measured if task not in repeat}) == 1
    ):
        assert set(left.tasks) == missing  # nothing is measured without need


def test_another_allocator_is_in_the_same_portion_but_another_batch_is_not():
    one = cell()
    other = replace(one, id=one.id + "x", allocator="tcmalloc")
    cells = {each.id: each for each in (one, other, cell(batch=2))}
    found = portions([TaskKey(name, "time", 1) for name in cells], cells)
    assert [len(each.tasks) for each in found] == [2, 1]


def test_boards_share_a_cell_even_if_every_cell_has_ranks_to_choose():
    def shared(*cells):
        campaign = SimpleNamespace(_cells={each.id: each for each in cells}, _measured={})
        return next(Campaign.shared_tasks(campaign)).cell

    asi, lean = cell("asi"), cell("lean")
    assert (shared(asi), shared(asi, lean)) == (asi.id, lean.id)
