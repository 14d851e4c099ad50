"""Pages in a real browser, and a toy repository.

One browser is open until the last test of this folder.
"""

import shutil

import pytest
from playwright.sync_api import sync_playwright

from ondevice_bench.report.page import write_report
from tests.ci_shell import Runner
from tests.e2e.browsing import DESK, FLAGS, PHONE, Visit
from tests.e2e.toy import Toy
from tests.papers.test_glance import all_verdicts
from tests.record.conftest import CELL, SECOND, make_record, make_run, planned
from tests.report import synthetic
from tests.report.test_page import EVIL, MEMORY
from tests.summaries import stored_summary

SLOWER = {"svd": 0.5}  # of `few`: the fastest method does not meet the goal


@pytest.fixture(scope="package")
def browser(chromium):
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture(scope="package")
def report(tmp_path_factory):
    """A small page of one cell that was measured and one that failed."""
    samples = [0.010, 0.011, 0.012, 0.013, 0.014, 0.015, 0.016]
    records = [
        make_record(pass_name="trace", metrics={"activation_bytes": 7.0 * 2**20}),
        make_record(pass_name="memory", metrics=MEMORY),
        make_record(metrics={"step_seconds": 0.013}, samples={"step_seconds": samples}),
        make_record(cell=SECOND, status="failed", reason=f"Error: {EVIL}"),
    ]
    folder = tmp_path_factory.mktemp("report")
    run = make_run(title=EVIL)
    summary = stored_summary(folder, records, planned(CELL, SECOND), run)
    write_report([summary], folder / "report.html")
    return folder / "report.html"


@pytest.fixture(scope="package")
def whole(tmp_path_factory):
    """A page with every section."""
    cells = [*synthetic.cells(8), *synthetic.cells(16)]
    folder = tmp_path_factory.mktemp("whole")
    hot = (cell for cell in cells if cell.method == "vanilla")
    records, run = [*synthetic.records(cells), *map(synthetic.sustained, hot)], synthetic.run_of()
    summary = stored_summary(folder, records, synthetic.planned(cells), run)
    write_report([summary], folder / "whole.html")
    return folder / "whole.html"


@pytest.fixture(scope="package")
def few(tmp_path_factory):
    """A page with few figures."""
    cells = synthetic.cells(8)
    folder = tmp_path_factory.mktemp("few")
    layout = folder / "few.yaml"
    layout.write_text("schema: 1\ntitle: Few\nsections: [verdict, anatomy, fronts]\n")
    records = synthetic.records(cells, slower=SLOWER)
    summary = stored_summary(folder, records, synthetic.planned(cells), synthetic.run_of())
    write_report([summary], folder / "few.html", str(layout))
    return folder / "few.html"


@pytest.fixture(scope="package")
def page_of_claims(tmp_path_factory):
    """A page that begins with claims, of every verdict."""
    folder = tmp_path_factory.mktemp("claims")
    records = [make_record(pass_name="trace", metrics={"activation_bytes": 7.0 * 2**20})]
    summary = stored_summary(folder, records, planned(CELL), make_run())
    write_report([summary], folder / "claims.html", "paper", claims=all_verdicts())
    return folder / "claims.html"


def kept_open(browser, path, **context):
    """A page that some tests share, because each of them leaves it as the others need it."""
    with Visit(browser, path, **context) as visit:
        yield visit


@pytest.fixture(scope="package")
def small(browser, report):
    yield from kept_open(browser, report)


@pytest.fixture(scope="package")
def wide(browser, whole):
    yield from kept_open(browser, whole, viewport={"width": 1400, "height": 900})


@pytest.fixture(scope="package")
def used(browser, whole):
    """Each test has controls of its own."""
    yield from kept_open(browser, whole, permissions=["clipboard-read", "clipboard-write"])


@pytest.fixture(scope="package")
def tablet(browser, whole):
    yield from kept_open(browser, whole, viewport={"width": 800, "height": 800})


@pytest.fixture(scope="package")
def phone(browser, whole):
    yield from kept_open(browser, whole, viewport=PHONE, has_touch=True)


@pytest.fixture(scope="package")
def desk(browser, whole):
    yield from kept_open(browser, whole, viewport=DESK)


@pytest.fixture(scope="module")
def saved(tmp_path_factory, programs):
    """The toy with a baseline of its first commit. Tests work in copies of it.

    Each module that uses it has its own `programs`: the steps find them before all others.
    """
    toy = Toy(tmp_path_factory.mktemp("toy"), programs)
    toy.write()
    assert toy.bench("run", "mine").code == 0
    assert toy.bench("baseline", "save", "main").code == 0
    toy.commit("the first network")
    return toy


@pytest.fixture
def toy(saved, tmp_path, programs):
    shutil.copytree(saved.folder, tmp_path / "toy", dirs_exist_ok=True)
    copy = object.__new__(Toy)
    copy.folder = tmp_path / "toy"
    copy.runner = Runner(copy.folder, programs, saved.runner.event)
    return copy
