"""`bench report` in a folder of somebody else runs nothing that lies there."""

import pytest

from ondevice_bench.record import bundle
from ondevice_bench.record.run_json import RunContent
from tests.report import synthetic

CODE = "import pathlib\npathlib.Path('/ran').touch()\n"
CLAIMS = """\
schema: 1
title: Foreign
papers: {p: {title: p}}
claims:
  - {id: c, paper: p, says: s, scope: s, computed: accounted, published: "1", unit: MiB, quantity: activation,
     of: {model: "./net.py:net", method: vanilla, layers: all, batch: 8}}
"""
LAYOUT = "schema: 1\ntitle: t\nsections: [claims, verdict]\n"
TEMPLATE = "{{ cycler.__init__.__globals__.os.mkdir('ran') }}"


@pytest.fixture
def folder(workplace, bench):
    cells = synthetic.cells()
    run = synthetic.run_of()
    content = RunContent(run, tuple(synthetic.planned(cells)), tuple(synthetic.records(cells)))
    bundle.write([content], workplace / "a.bundle")
    assert bench("import", "a.bundle").code == 0
    files = {
        "net.py": CODE.replace("/ran", str(workplace / "ran")),
        "reports/claims.yaml": CLAIMS,
        "reports/layouts/run.yaml": LAYOUT,
        "reports/templates/page.html.j2": TEMPLATE,
        "reports/vendor/plotly-cartesian.min.js": "foreign()",
        "sitecustomize.py": CODE.replace("/ran", str(workplace / "ran")),
        "plotly.py": CODE.replace("/ran", str(workplace / "ran")),
    }
    for name, text in files.items():
        path = workplace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return workplace


def test_a_report_runs_no_code_of_the_folder(folder, bench):
    ended = bench("report", "r1")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "bench: reports/claims.yaml:5: claim c: ./net.py:net: a report does not run your code; "
        "`bench claims --out` does\n"
    )
    (folder / "reports" / "claims.yaml").unlink()
    (folder / "reports" / "layouts" / "run.yaml").unlink()
    ended = bench("report", "r1", "--out", "page.html")
    assert ended.code == 0, ended.err
    assert "foreign()" not in (folder / "page.html").read_text()
    ended = bench("report", "r1", "--templates", "reports/templates")
    assert ended.code == 2
    assert ended.err.startswith("bench: reports/templates: SecurityError: ")
    assert not (folder / "ran").exists()
