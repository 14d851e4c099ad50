"""The pictures of the README and of docs/reports.md: the first screens of pages of stored runs.

    python -m website.pictures [FOLDER]

needs Chromium. Each run is a bundle.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from ondevice_bench.analyse.summarise import summarise
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.record import bundle
from ondevice_bench.record.store import Store
from ondevice_bench.report.page import write_report

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "website"
WIDTH, HEIGHT = 1280, 960
# for each picture: the runs, the first of which the page is about, and the layout
PICTURES = {
    "report": ((HERE / "real-savings-resnet18.bundle",), "run"),
    "boards": (
        (HERE / "boards-x86.bundle", HERE / "boards-x86-1core-2g.bundle"),
        "hardware",
    ),
}


def main(folder: Path) -> None:
    """Take all pictures."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for picture in PICTURES:
            page = page_of(picture, Path(name))
            tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            tab.goto(page.as_uri())
            tab.wait_for_timeout(1_000)
            tab.screenshot(path=folder / f"{picture}.png")
        browser.close()


def page_of(picture: str, folder: Path) -> Path:
    """The page of a picture, drawn into the folder."""
    runs, layout = PICTURES[picture]
    page = folder / f"{picture}.html"
    write_report([_summary(path, folder) for path in runs], page, layout)
    return page


def _summary(path: Path, folder: Path) -> RunSummary:
    """The summary of the run in a bundle."""
    content = bundle.read(path)[0]
    with Store.create(folder / f"{path.stem}.sqlite") as store:
        store.merge(content.run, content.cells, content.records)
        return summarise(store, content.run)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images")
