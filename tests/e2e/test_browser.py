"""The report in a real browser: it draws, asks for nothing, fits a phone, is dark at night."""

import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from bench.report.page import write_report
from tests.analyse.conftest import summary_of  # noqa: F401  # a fixture
from tests.record.conftest import CELL
from tests.report.test_page import EVIL, MEMORY, SECOND, make_record, make_run, planned

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@pytest.fixture(scope="module")
def browser(chromium):
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture
def report(summary_of, tmp_path):  # noqa: F811  # the imported fixture
    samples = [0.010, 0.011, 0.012, 0.013, 0.014, 0.015, 0.016]
    records = [
        make_record(pass_name="trace", metrics={"activation_bytes": 7.0 * 2**20}),
        make_record(pass_name="memory", metrics=MEMORY),
        make_record(metrics={"step_seconds": 0.013}, samples={"step_seconds": samples}),
        make_record(cell=SECOND, status="failed", reason=f"Error: {EVIL}"),
    ]
    path = tmp_path / "report.html"
    write_report(summary_of(records, planned(CELL, SECOND), make_run(title=EVIL)), path)
    return path


class Visit:
    """A page that is open, and what happened while it opened."""

    def __init__(self, browser, path, **context):
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.complaints, self.requests = [], []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_function(
            "[...document.querySelectorAll('.plot')].every(p => p._fullData !== undefined)"
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()


def test_it_draws_both_plots_and_asks_for_nothing(browser, report):
    with Visit(browser, report) as visit:
        types = visit.page.evaluate(
            "[...document.querySelectorAll('.plot')].map(p => p._fullData.map(t => t.type))"
        )
        assert types == [["scatter", "scatter"], ["bar"] * 4]
        assert visit.page.locator(".plot .point").count() > 0
        assert visit.requests == [report.as_uri()]
        assert visit.complaints == []


def test_names_are_text_not_code(browser, report):
    with Visit(browser, report) as visit:
        assert visit.page.locator("h1").inner_text() == EVIL
        assert visit.page.evaluate("document.scripts.length") == 2
        assert visit.complaints == []


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_it_fits_the_screen(browser, report, width):
    with Visit(browser, report, viewport={"width": width, "height": 800}) as visit:
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_is_light_by_day_and_dark_by_night(browser, report):
    def colours(scheme):
        with Visit(browser, report, color_scheme=scheme) as visit:
            return visit.page.evaluate(
                "[getComputedStyle(document.body).backgroundColor,"
                " document.querySelector('.xtick text').style.fill]"
            )

    light, dark = colours("light"), colours("dark")
    assert light[0] == "rgb(255, 255, 255)"
    assert dark[0] != light[0]
    assert dark[1] != light[1]  # the plots' text follows


def test_a_real_run_opens_as_well(browser, tmp_path):
    suite = tmp_path / "suites" / "tiny.yaml"
    suite.parent.mkdir()
    suite.write_text(
        "schema: 1\ntitle: Real\nmodels: [{mcunet: {batch: 1}}]\nmethods: [vanilla]\n"
        "rounds: 1\ntime: {warmup: 1, min_samples: 6, max_samples: 6}\n"
    )
    command = [Path(sys.executable).parent / "bench", "run", "tiny", "-q"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    with Visit(browser, tmp_path / "bench-out" / "tiny" / "report.html") as visit:
        assert visit.complaints == []
        assert "mcunet/vanilla/all/b1/s0" in visit.page.locator("tbody").first.inner_text()
