"""The first page: the newest verdict of each suite on each board, and the latest changes."""

from collections.abc import Iterable

from ondevice_bench.site.manifest import Card
from ondevice_bench.site.templates import filled
from ondevice_bench.units import by_time, day, natural_key

PATH = "index.html"
MOST_EVENTS = 40


def index_page(cards: Iterable[Card]) -> bytes:
    """The page of these boards."""
    newest = sorted(cards, key=lambda card: (by_time(card.created), card.page), reverse=True)
    suites = sorted({card.suite for card in newest}, key=natural_key)
    boards = sorted({card.board for card in newest}, key=natural_key)
    by_place = {(card.suite, card.board): card for card in newest}
    events = sorted(
        ((card, event) for card in newest for event in card.events),
        key=lambda each: (by_time(each[1].when), each[0].page),
        reverse=True,
    )
    shown = events[:MOST_EVENTS]
    return filled(
        "index",
        PATH,
        {
            "chips": [
                ("suites", str(len(suites))),
                ("boards", str(len(boards))),
                ("runs", str(sum(card.runs for card in newest))),
                ("newest", day(newest[0].created) if newest else "none"),
            ],
            "cards": newest,
            "boards": boards,
            "matrix": [
                (suite, [by_place.get((suite, board)) for board in boards]) for suite in suites
            ],
            "events": shown,
            "day": day,
            "more": sum(card.changed_runs for card in newest) - len(shown),
        },
    )
