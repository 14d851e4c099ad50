"""Whether a training fits boards of other sizes, by the peaks of a run."""

import pytest

from ondevice_bench.hardware.profile import load_profile
from ondevice_bench.report import other_boards
from ondevice_bench.report.sections.section import ReportData
from ondevice_bench.report.sections.verdict import content
from ondevice_bench.running.boards import board_of_profile
from ondevice_bench.running.queries.fit_request import memory_limit
from tests.record.conftest import make_record
from tests.report import synthetic

MIB = 2**20


@pytest.fixture
def said(decided):
    """What a run says of other boards: peaks in MiB of vanilla and of checkpoint."""

    def make(vanilla, checkpoint=None, spread=1.0):
        chosen = [c for c in synthetic.cells() if c.method in ("vanilla", "checkpoint")]
        peaks = {"vanilla": vanilla, "checkpoint": checkpoint}
        records = [
            make_record(
                cell=cell,
                pass_name="memory",
                number=number,
                metrics={other_boards.PEAK: peaks[cell.method] * MIB * factor},
            )
            for cell in chosen
            if peaks[cell.method] is not None
            for number, factor in enumerate((1.0, 1.0, spread), 1)
        ]
        step = [make_record(cell=cell, metrics={"step_seconds": 1.0}) for cell in chosen]
        return decided(cells=chosen, records=[*records, *step]).other_boards

    return make


def test_the_boards_of_our_profiles_have_the_memory_that_a_fit_gives_them():
    for board in other_boards.BOARDS:
        if board.profile:
            profile = board_of_profile(load_profile(board.profile))
            assert (profile.memory_gib, memory_limit(profile, None).usable_bytes) == (
                board.gb,
                board.usable,
            )
    assert [board.usable // MIB for board in other_boards.BOARDS] == [512, 1536, 3584, 7680]


NO_NEED = "No other method is needed to fit."
NONE_SMALLER = "No method of the cards fits a smaller board."
CLOSE = "That is close: measure it there."


@pytest.mark.parametrize(
    ("vanilla", "checkpoint", "fits", "share", "rest"),
    [
        (128, 64, "fits a board of 1 GB and more", "25 % of the 512 MiB", NO_NEED),
        (500, 64, "fits a board of 1 GB and more", "98 % of the 512 MiB", CLOSE),
        (
            1792,
            256,
            "fits a board of 4 GB and more",
            "50 % of the 3.5 GiB",
            "With checkpoint, a board of 1 GB is enough: 50 % of 512 MiB.",
        ),
        (
            1792,
            1500,
            "fits a board of 4 GB and more",
            "50 % of the 3.5 GiB",
            f"With checkpoint, a board of 2 GB is enough: 98 % of 1.5 GiB. {CLOSE}",
        ),
        (6720, 4000, "fits a board of 8 GB", "88 % of the 7.5 GiB", NONE_SMALLER),
        (
            15360,
            9000,
            "does not fit a board of 8 GB",
            "200 % of the 7.5 GiB",
            "No method of the cards fits it.",
        ),
        (
            15360,
            1000,
            "does not fit a board of 8 GB",
            "200 % of the 7.5 GiB",
            "With checkpoint, a board of 2 GB is enough: 65 % of 1.5 GiB.",
        ),
        (1000, None, "fits a board of 2 GB and more", "65 % of the 1.5 GiB", ""),
    ],
)
def test_the_smallest_board_is_named_for_the_baseline_and_for_the_best_method(
    said, vanilla, checkpoint, fits, share, rest
):
    needs = f"Estimated by its peak in this run, vanilla {fits}: it needs {share} that a step may use there."
    assert said(vanilla, checkpoint).sentence == f"{needs} {rest}".strip()


def test_each_share_is_the_peak_over_what_a_step_may_use(said):
    found = said(1792, 256)
    assert [(need.label, need.texts) for need in found.needs] == [
        ("vanilla", ("does not fit (350 %)", "does not fit (117 %)", "50 %", "23 %")),
        ("checkpoint", ("50 %", "17 %", "7.1 %", "3.3 %")),
    ]
    exact = other_boards.Need("a", "a", 512.0 * MIB)
    assert (exact.texts[0], exact.smallest.gb) == ("100 %", 1)


def test_a_faster_method_with_a_higher_peak_is_no_way_to_a_smaller_board(decided):
    chosen = [c for c in synthetic.cells() if c.method in ("vanilla", "checkpoint")]
    numbers = {"vanilla": (600, 1.0), "checkpoint": (1600, 0.5)}
    records = []
    for cell in chosen:
        peak, step = numbers[cell.method]
        memory = {other_boards.PEAK: float(peak * MIB)}
        records.append(make_record(cell=cell, pass_name="memory", metrics=memory))
        records.append(make_record(cell=cell, metrics={"step_seconds": step}))
    found = decided(cells=chosen, records=records).other_boards
    assert [need.label for need in found.needs] == ["vanilla", "checkpoint"]
    assert found.all_needs == found.needs
    assert found.sentence.endswith(f"there. {NONE_SMALLER}")


def test_all_methods_with_a_peak_are_listed_the_lowest_first(decided):
    found = decided().other_boards
    assert [need.label for need in found.needs] == ["vanilla", "checkpoint", "wasi fraction=0.25"]
    peaks = [need.peak for need in found.all_needs]
    assert len(peaks) == len(synthetic.METHODS)
    assert peaks == [peaks[0], *sorted(peaks[1:])]


def test_without_a_known_peak_of_the_baseline_nothing_is_said(said):
    assert said(None, 64) is None
    assert said(64, 32, spread=9.0) is None  # too noisy
    assert said(64, 32) is not None


def test_an_emulated_run_says_nothing(summary_of):
    cells = synthetic.cells()
    settings = {**synthetic.SETTINGS, "emulated": True}
    run = summary_of(
        synthetic.records(cells), synthetic.planned(cells), synthetic.run_of(settings=settings)
    )
    (found,) = content(ReportData.from_summaries((run,)))["decisions"]
    assert found.other_boards is None
