"""What the first screen says of its intervals."""

import pytest

from ondevice_bench.report.sections.section import ReportData
from ondevice_bench.report.sections.verdict import content
from tests.report import synthetic


@pytest.mark.parametrize(
    ("rounds", "says"),
    [
        (
            {"memory": 3, "time": 5},
            (
                "An interval of a time covers the 95 % intervals of its 5 processes. That of a peak "
                "goes from the lowest to the highest of its 3 processes. "
            ),
        ),
        (
            {"memory": 6, "time": 1},
            (
                "An interval of a time is the 95 % interval of the median of one process. That of a "
                "peak is the 95 % interval of the median of its 6 processes. "
            ),
        ),
        (
            1,
            (
                "An interval of a time is the 95 % interval of the median of one process. A peak of "
                "one process has no interval. "
            ),
        ),
    ],
)
def test_the_page_says_what_its_intervals_are(summary_of, rounds, says):
    cells = synthetic.cells()
    run = synthetic.run_of(settings={**synthetic.SETTINGS, "rounds": rounds})
    summary = summary_of(synthetic.records(cells), synthetic.planned(cells), run)
    said = content(ReportData.from_summaries((summary,)))["about_intervals"]
    assert said.startswith(says)
    assert said.endswith("That of a ratio goes from its lowest to its highest possible value.")
