"""What pages and help texts list: the list is whole."""

import pytest
import typer

from ondevice_bench import metrics, passes
from ondevice_bench.cli.app import app
from ondevice_bench.specs.rank_rules import ACTIVATION, rank_groups
from tests.conftest import ROOT

CAPPED = {each.name for each in passes.ALL if each.is_capped and not each.name.startswith("step_")}
UNCAPPED = {
    each.name
    for each in passes.ALL
    if not each.is_capped and (each.prepares or each.name in passes.IN_SUITES)
}


def section(page, heading):
    return (ROOT / "docs" / page).read_text().partition(f"\n{heading}\n")[2].partition("\n## ")[0]


def help_of(command, option):
    parameters = typer.main.get_command(app).commands[command].params
    return next(each.help for each in parameters if option in each.opts)


@pytest.mark.parametrize("metric", metrics.with_role("compared"))
def test_history_names_the_noisy_metrics_that_it_follows(metric):
    assert f"`{metric}`" in section("ci.md", "## Over many commits")
    assert metric in help_of("history", "--metric")


@pytest.mark.parametrize("suite", [path.stem for path in (ROOT / "suites").glob("*.yaml")])
def test_the_table_of_suites_has_every_suite(suite):
    assert f"`{suite}`" in section("suite-files.md", "## The suites in the package")


def test_the_page_names_the_passes_under_a_memory_limit():
    limits = section("hardware-profiles.md", "## Memory limits")
    under, _, without = limits.partition("The other passes")
    assert {name for name in passes.BY_NAME if f"`{name}`" in under} == CAPPED - {passes.FAMILY}
    assert {name for name in passes.BY_NAME if f"`{name}`" in without} == UNCAPPED
    assert all(name in help_of("run", "--memory-cap") for name in UNCAPPED)


def test_the_page_about_methods_names_every_rank_rule():
    line = section("adding-a-method.md", "## Shorter: compress the stored input")
    (rules,) = (group for group in rank_groups({ACTIVATION}) if getattr(group, "required", False))
    assert all(f"`{name}`" in line for name in rules.names)
