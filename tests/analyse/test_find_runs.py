from pathlib import Path

import pytest

from ondevice_bench.analyse.find_runs import find_run, find_stores, latest_runs
from ondevice_bench.errors import BadInput
from ondevice_bench.record.store import Store
from tests.record.conftest import CELL, make_run, planned


@pytest.fixture
def stores(workplace):
    for suite, ids in (("quick", ["q1", "q2"]), ("big", ["b1"])):
        path = workplace / "bench-out" / suite / "results.sqlite"
        path.parent.mkdir(parents=True)
        with Store.create(path) as store:
            for run_id in ids:
                created = f"2026-01-0{1 + ['q1', 'b1', 'q2'].index(run_id)}"
                store.add_run(
                    make_run(run_id, suite=suite, created=f"{created}T00:00:00+00:00"),
                    planned(CELL),
                )
    return workplace / "bench-out"


@pytest.mark.parametrize(
    ("reference", "suite", "run_id"),
    [
        (None, "quick", "q2"),
        ("quick", "quick", "q2"),
        ("big", "big", "b1"),
        ("q1", "quick", "q1"),
        ("quick@q1", "quick", "q1"),
        ("bench-out/quick/results.sqlite", "quick", "q2"),
        ("bench-out/quick/results.sqlite@q1", "quick", "q1"),
        ("bench-out/quick", "quick", "q2"),
        ("bench-out/quick/", "quick", "q2"),
        ("./bench-out/quick@q1", "quick", "q1"),
    ],
)
def test_a_run_is_found_by_suite_id_or_store(stores, reference, suite, run_id):
    path, found = find_run(reference)
    assert (path.parent.name, found) == (suite, run_id)


def test_a_side_of_ab_is_the_latest_run_only_by_its_name(stores):
    with Store.create(stores / "big/results.sqlite") as store:
        side = make_run("side", suite="big", origin="ab", created="2026-02-01T00:00:00+00:00")
        store.add_run(side, planned(CELL))
    assert {run for _, run in latest_runs()} == {"b1", "q2"}
    assert (find_run(None)[1], find_run("big")[1]) == ("q2", "side")


@pytest.mark.parametrize("reference", ["o@ut/a@b.sqlite", "./o@ut/a@b.sqlite@q1"])
def test_a_path_may_have_an_at_sign(stores, workplace, reference):
    (workplace / "o@ut").mkdir()
    (stores / "quick" / "results.sqlite").rename(workplace / "o@ut" / "a@b.sqlite")
    path, found = find_run(reference)
    assert path.name == "a@b.sqlite"
    assert found == ("q1" if reference.endswith("@q1") else "q2")


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("quikc", "no run, suite or store 'quikc' .*did you mean 'quick'"),
        ("quick@q9", "no run 'q9'"),
        ("none.sqlite", "no such store"),
        ("./bench-out", "bench-out/results.sqlite: no such store"),
        ("", "no run, suite or store ''"),
    ],
)
def test_what_cannot_be_found_is_said(stores, reference, says):
    with pytest.raises(BadInput, match=says):
        find_run(reference)


def test_a_folder_with_a_store_needs_no_slash(stores, workplace, monkeypatch):
    monkeypatch.chdir(stores)
    assert find_run("quick") == (Path("quick/results.sqlite"), "q2")
    assert find_run("quick@q1") == (Path("quick/results.sqlite"), "q1")
    assert find_stores(["quick", "big/"]) == (
        Path("quick/results.sqlite"),
        Path("big/results.sqlite"),
    )
    monkeypatch.chdir("quick")
    assert find_run(".") == (Path("results.sqlite"), "q2")


def test_a_workplace_without_runs_says_how_to_start(workplace):
    with pytest.raises(BadInput, match="start with `bench run quick`"):
        find_run(None)


def test_an_empty_store_is_said(workplace):
    Store.create(workplace / "x.sqlite").close()
    with pytest.raises(BadInput, match=r": no run in it yet$"):
        find_run("x.sqlite")


def test_stores_are_found_by_suite_or_path(stores, workplace):
    big, quick = (workplace / "bench-out" / name / "results.sqlite" for name in ("big", "quick"))
    as_typed = [path.relative_to(workplace) for path in (big, quick)]
    assert find_stores(()) == tuple(as_typed)
    assert find_stores(["quick", "quick"]) == (as_typed[1],)
    assert find_stores(["elsewhere.sqlite", "big"]) == (Path("elsewhere.sqlite"), as_typed[0])
    with pytest.raises(BadInput, match="unknown suite or store 'bigg'; did you mean 'big'"):
        find_stores(["bigg"])


def test_the_file_of_a_baseline_is_named_if_only_its_name_was_given(stores, workplace):
    (workplace / "baselines").mkdir()
    (workplace / "baselines/main.json").write_text("{}")
    with pytest.raises(BadInput, match=r"did you mean the baseline 'baselines/main\.json'\?"):
        find_run("main")


def test_a_suite_without_any_run_is_not_called_unknown(workplace):
    with pytest.raises(BadInput) as caught:
        find_stores(["quick"])
    assert caught.value.lines == (
        "no results of 'quick': bench-out has no runs. Start with `bench run quick`",
    )
