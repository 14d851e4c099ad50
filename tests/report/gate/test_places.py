"""The line of a file that a row is about."""

import pytest

from ondevice_bench.record import baseline
from ondevice_bench.report.gate.outcome import Place
from ondevice_bench.report.gate.places import Sources, lines_of_baseline
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.load import load_suite
from tests.record.bundles import content
from tests.record.conftest import CELL

SUITE = "schema: 1\ntitle: T\nmodels:\n  - mcunet: {batch: 8}\n  - ../nets/net.py:net\n"
OWN = Cell(id="x", model="net.py:net@aaaaaaaa", method="vanilla", batch=1)


@pytest.fixture
def sources(tmp_path):
    for name in ("suites/mine.yaml", "nets/net.py"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("")
    return Sources(SUITE, tmp_path / "suites/mine.yaml", tmp_path)


def test_code_that_changed_is_the_place(sources):
    assert sources.place_of(OWN, ["net.py"]) == Place("nets/net.py", 1)


def test_otherwise_the_line_of_the_suite_names_the_model(sources):
    assert sources.place_of(OWN) == Place("suites/mine.yaml", 5)
    assert sources.place_of(CELL) == Place("suites/mine.yaml", 4)
    assert sources.place_of(OWN, ["other.py"]) == Place("suites/mine.yaml", 5)
    assert (sources.names(OWN), sources.names(CELL)) == (True, True)


def test_a_model_of_a_suite_that_is_extended_has_no_line_of_its_own(workplace):
    (workplace / "suites").mkdir()
    (workplace / "suites/common.yaml").write_text(SUITE)
    mine = workplace / "suites/mine.yaml"
    mine.write_text("schema: 1\nextends: common\nmethods: [vanilla]\n")
    (workplace / "nets").mkdir()
    (workplace / "nets/net.py").write_text("")
    text = load_suite(str(mine)).text
    assert len(text.splitlines()) > 5
    sources = Sources(text, mine, workplace)
    assert sources.names(CELL)
    assert sources.place_of(CELL) == Place("suites/mine.yaml", 1)


def test_no_place_is_outside_of_the_repository(sources, tmp_path):
    inside = tmp_path / "nets"
    assert Sources(SUITE, sources.file, inside).place_of(CELL) is None
    outside = Sources("models: [/etc/passwd]", tmp_path / "suites/mine.yaml", tmp_path)
    assert outside.place_of(OWN, ["passwd"]) == Place("suites/mine.yaml", 1)
    assert Sources(SUITE, None, tmp_path).place_of(OWN, ["net.py"]) is None


def test_a_long_text_of_somebody_takes_no_time(sources):
    long = Sources("a" * (1 << 20) + "net.p", sources.file, sources.root)
    assert long.place_of(OWN, ["net.py"]) == Place("suites/mine.yaml", 1)


def test_the_line_of_a_metric_in_a_baseline(tmp_path):
    path = tmp_path / "baselines/main.json"
    baseline.write(content(), path)
    places = lines_of_baseline(str(path), tmp_path)
    lines = path.read_text().splitlines()
    found = places[CELL.id, "step_seconds"]
    assert found.file == "baselines/main.json"
    assert lines[found.line - 1].startswith('    "time/step_seconds": ')
    assert lines_of_baseline("a.bundle", tmp_path) == {}
    assert lines_of_baseline(str(path), tmp_path / "elsewhere") == {}
