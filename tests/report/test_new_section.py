"""A section is one file and its name in a layout: the example of docs/reports.md, as it is there."""

import re

import pytest

from ondevice_bench.report import page, sections
from ondevice_bench.report.layout import load_layout
from tests.conftest import ROOT
from tests.report import synthetic
from tests.report.test_page import drawn

EXAMPLE = re.compile(r"^## Your own section$.*?^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder that is searched for sections like the package's own."""
    monkeypatch.setattr(sections, "__path__", [*sections.__path__, str(tmp_path)])
    return tmp_path


def test_the_page_shows_a_section_whose_file_is_there_and_whose_name_is_in_a_layout(
    folder, summary_of
):
    (example,) = EXAMPLE.findall((ROOT / "docs" / "reports.md").read_text())
    (folder / "update_time.py").write_text(example)
    layout = folder / "mine.yaml"
    layout.write_text("schema: 1\ntitle: Mine\nsections: [verdict, updates]\n")
    cells = synthetic.cells()
    summary = summary_of(synthetic.records(cells), synthetic.planned(cells), synthetic.run_of())
    text = page.render([summary], str(layout))
    assert re.findall("<h2>(.*?)</h2>", text) == ["Decision", "What the update costs"]
    (figure,) = drawn(text)["updates"]
    (bars,) = figure["data"]
    assert bars["x"][0] == pytest.approx(100.0 * 0.05, rel=1e-3)


def test_every_section_has_a_name_of_its_own_and_is_in_a_layout():
    by_name = sections.sections()
    assert all(name == section.name for name, section in by_name.items())
    titles = [section.title for section in by_name.values()]
    assert len(set(titles)) == len(titles)
    layouts = ROOT / "reports" / "layouts"
    named = {name for file in layouts.glob("*.yaml") for name in load_layout(file.stem).sections}
    assert named == set(by_name)


def test_the_documentation_names_every_section():
    text = (ROOT / "docs" / "reports.md").read_text()
    (listed,) = re.findall(r"^The sections are (.*?)\. A section", text, re.MULTILINE | re.DOTALL)
    assert set(re.findall("`(.*?)`", listed)) == set(sections.sections())
