"""A sample of the campaign in the ordinary tests, and all of it in those that take hours."""

import pytest

from tests.campaign.inputs import KINDS, try_inputs
from tests.campaign.kills import VERBS, try_kills
from tests.campaign.table import PAGE

SAMPLE = 12  # changed files of each kind


@pytest.mark.parametrize("count", [SAMPLE, pytest.param(800, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_changed_file_is_read_or_refused(kind, count):
    tally = try_inputs(kind, count, seed=20)
    assert not tally.failures
    assert tally.tried == count


@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("count", [2, pytest.param(1000, marks=pytest.mark.nightly)])
def test_a_command_that_is_ended_loses_nothing_and_leaves_nothing(count):
    tallies = try_kills(count, seed=20)
    assert not [failure for tally in tallies for failure in tally.failures]
    assert sum(tally.tried for tally in tallies) == count


def test_the_page_has_a_row_for_each_kind():
    rows = PAGE.read_text(encoding="utf-8").splitlines()
    for name in [kind.name for kind in KINDS] + [f"`bench {verb.name}` is ended" for verb in VERBS]:
        assert any(row.startswith(f"| {name} | ") for row in rows), name
