"""Boards with the same seed and data should have the same losses."""

import pytest

from ondevice_bench.analyse.learns_alike import losses_on_boards
from ondevice_bench.report.page import render
from tests.record.conftest import CELL, SECOND, make_record, make_run, planned


@pytest.fixture
def board(summary_of):
    """A board with the losses of two cells."""

    def make(name, *losses, batch=""):
        run = make_run(f"r-{name}", profile=name)
        cells = (CELL, SECOND)
        records = []
        for cell, loss in zip(cells, losses, strict=False):
            metrics = {"loss_after_steps": loss}
            hashes = {"batch_sha256": batch, "weights_sha256": "w"}
            records += [
                make_record(run.id, cell, "fidelity", metrics=metrics),
                make_record(run.id, cell, "trace", details=hashes),
            ]
        items = planned(*cells)
        return summary_of(records, [_on(item, name) for item in items], run)

    return make


def _on(item, profile):
    return type(item)(item.cell, profile)


def test_a_difference_by_rounding_is_none(board):
    losses = losses_on_boards([board("x86", 1.0, 2.0), board("pi5", 1.019, 2.0)])
    assert [each.is_alike for each in losses] == [True, True]
    assert losses[0].spread == pytest.approx(0.019)


def test_a_larger_difference_is_a_finding(board):
    one, two = board("x86", 1.0, 2.0, batch="b"), board("pi5", 1.1, 2.0, batch="b")
    first, second = losses_on_boards([one, two])
    assert (first.is_alike, second.is_alike) == (False, True)
    assert first.values == (1.0, 1.1)
    assert first.same_start is True
    other = board("pi5", 1.1, 2.0, batch="other")
    assert losses_on_boards([one, other])[0].same_start is False
    assert losses_on_boards([board("x86", 1.0), board("pi5", 1.1)])[0].same_start is None


def test_a_loss_of_one_board_is_compared_with_nothing(board):
    assert losses_on_boards([board("x86", 1.0, 2.0), board("pi5")]) == ()


def test_the_page_says_whether_boards_learn_alike(board):
    text = render([board("x86", 1.0, 2.0), board("pi5", 1.01, 2.0)], "hardware")
    assert "Losses: at most 1.0 % apart</strong>, with the same seed and data (2 comp" in text
    text = render([board("x86", 1.0, 2.0), board("pi5", 1.0, 2.0)], "hardware")
    assert "Losses: equal</strong>" in text
    text = render([board("x86", 1.0, batch="b"), board("pi5", 1.5, batch="b")], "hardware")
    assert "<strong>Boards do not learn alike</strong>" in text
    assert "loss after 10 steps is 1 on x86, 1.5 on pi5." in text
    assert "began with the same bytes of batch and weights." in text
