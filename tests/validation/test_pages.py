"""Until a Raspberry Pi was validated, no page tells of times on one without saying so."""

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
PI = re.compile(r"Raspberry Pi|\bPis?\b|\bpi[45]\b")
TIME = re.compile(
    r"\b(faster|slower|fast|slow|speed|times|seconds?|minutes?|hours?|ms|latency)\b|\d+ s\b"
)
SAYS_SO = re.compile(r"[Nn]o Raspberry Pi has (measured|been measured|run)")
# that a page says what is needed, or how a time is to be compared, tells no time
ABOUT_NO_TIME = ("everything there that tells of times on a Pi says that",)


def paragraphs(page: Path) -> list[str]:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n|\n(?=[-|] ?)", text)]


def sentences_without_it(page: Path) -> list[str]:
    return [
        sentence
        for paragraph in paragraphs(page)
        if not SAYS_SO.search(paragraph)
        for sentence in re.split(r"(?<=[.:!?])\s+", paragraph)
        if PI.search(sentence) and TIME.search(sentence)
        if not any(each in sentence for each in ABOUT_NO_TIME)
    ]


@pytest.mark.parametrize("page", PAGES, ids=[str(each.relative_to(ROOT)) for each in PAGES])
def test_a_sentence_about_times_on_a_pi_says_that_none_has_measured_it(page):
    assert sentences_without_it(page) == []


def test_such_a_sentence_would_be_found(tmp_path):
    page = tmp_path / "a.md"
    page.write_text("WASI is 1.4 times faster\non a Raspberry Pi 5. It is small.\n")
    assert sentences_without_it(page) == ["WASI is 1.4 times faster on a Raspberry Pi 5."]
    page.write_text("It is faster on a Pi. No Raspberry Pi has measured it yet.\n")
    assert sentences_without_it(page) == []


@pytest.mark.parametrize("page", ["README.md", "docs/raspberry-pi.md", "docs/boards.md"])
def test_the_pages_about_boards_say_that_no_pi_has_measured(page):
    assert SAYS_SO.search((ROOT / page).read_text())
