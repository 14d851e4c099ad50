import importlib
import pkgutil
from typing import get_args

import pytest

from ondevice_bench import metrics, passes, units
from ondevice_bench.metrics import Metric, Role, Whole


def test_names_are_unique_and_carry_their_units():
    assert len(metrics.BY_NAME) == len(metrics.ALL)
    for metric in metrics.ALL:
        assert not metric.unit or metric.name.endswith(f"_{metric.unit}")
        assert metric.scope in {
            "changed layers",
            "chosen layers",
            "whole network",
            "process",
            "whole machine",
            "what the meter meters",
        }


def test_the_metrics_of_each_pass_stand_in_a_tuple_with_its_name():
    tuples = {
        name: rows
        for module in pkgutil.iter_modules(metrics.__path__)
        if module.name != "table"
        for name, rows in vars(importlib.import_module(f"{metrics.__name__}.{module.name}")).items()
        if isinstance(rows, tuple) and all(isinstance(row, Metric) for row in rows)
    }
    assert tuples == {
        metric.pass_name.upper(): tuple(
            each for each in metrics.ALL if each.pass_name == metric.pass_name
        )
        for metric in metrics.ALL
    }


def test_exact_metrics_have_no_threshold_and_noisy_ones_do():
    for metric in metrics.ALL:
        assert (metric.threshold == 0) == (metric.kind == "exact")


def test_noisy_counts_that_are_compared_have_ratios_where_they_are_zero():
    measures = {"", "bytes", "seconds", "joules", "watts"}
    compared = {*metrics.with_role("compared"), *metrics.with_role("goal")}
    for metric in metrics.ALL:
        is_noisy_count = metric.kind == "noisy" and metric.unit not in measures
        assert metric.kind == "noisy" or not metric.negligible
        assert metric.negligible or not (is_noisy_count and metric.name in compared)


def test_a_ratio_says_where_it_is_not_of_what_was_measured():
    faults, step = (metrics.BY_NAME[name] for name in ("step_minor_faults", "step_seconds"))
    assert [faults.for_ratio(count) for count in (0, 99, 100, 101)] == [100, 100, 100, 101]
    assert faults.ratio_note(0, 5000) == "values below 100 count as 100"
    assert faults.ratio_note(100, 5000) == ""
    assert step.for_ratio(-1.0) == -1.0
    assert step.ratio_note(0.0) == ""


@pytest.mark.parametrize("role", get_args(Role))
def test_every_role_is_had_by_a_metric(role):
    assert metrics.with_role(role)


def test_only_noisy_metrics_need_a_role_to_be_compared():
    for name in metrics.with_role("compared"):
        assert metrics.BY_NAME[name].kind == "noisy"


def test_a_goal_is_a_cost():
    for name in metrics.with_role("goal"):
        assert metrics.BY_NAME[name].lower_is_better


@pytest.mark.parametrize("whole", get_args(Whole))
def test_the_parts_of_a_whole_have_one_unit_one_pass_and_a_colour_each(whole):
    parts = [metrics.BY_NAME[name] for name in metrics.parts_of(whole)]
    assert len({(part.unit, part.pass_name) for part in parts}) == 1
    assert len({part.colour for part in parts}) == len(parts)
    assert all(part.colour for part in parts)


def test_every_metric_names_the_pass_that_gives_it():
    assert {metric.pass_name for metric in metrics.ALL} <= set(passes.BY_NAME)
    listed = [name for each in passes.ALL for name in metrics.of_pass(each.name)]
    assert sorted(listed) == sorted(metrics.BY_NAME)


@pytest.mark.parametrize("metric", metrics.ALL, ids=lambda metric: metric.name)
def test_of_two_values_exactly_one_is_better_and_equal_ones_are_not(metric):
    assert metric.is_better(2.0, 1.0) == metric.lower_is_better
    assert metric.is_better(1.0, 2.0) != metric.lower_is_better
    assert not metric.is_better(1.0, 1.0)


def test_every_unit_has_an_axis():
    for metric in metrics.ALL:
        factor, _ = units.axis(metric.unit)
        assert factor > 0


def test_a_metric_of_tomorrow_has_a_stand_in():
    assert metrics.described("of_tomorrow") == Metric(
        "of_tomorrow", "of_tomorrow", "unknown to this version of bench", "", "noisy", "unknown", ""
    )
