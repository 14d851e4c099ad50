"""`bench compare` of two runs of which one is slower as a whole."""

from ondevice_bench.record.store import Store
from tests.analyse.test_whole_run import SAME, SLOW, stored


def test_a_slower_day_is_not_decided_and_a_slower_method_is_a_regression(bench, workplace):
    for name, factors in (("a", SAME), ("b", SLOW), ("c", SLOW | {"asi": 1.3 * 1.3})):
        run, cells, records = stored(name, factors)
        with Store.create(workplace / f"{name}.sqlite") as store:
            store.add_run(run, cells)
            for record in records:
                store.add_record(record)
    day = bench("compare", "a.sqlite", "b.sqlite")
    assert day.code == 5, day.err
    assert "whole run: the step time of 5 of 5 cells is 1." in day.out
    assert "0 regressed" in day.out
    method = bench("compare", "a.sqlite", "c.sqlite")
    assert method.code == 4
    assert "1 regressed" in method.out
    assert bench("compare", "b.sqlite", "a.sqlite").code == 0  # faster
