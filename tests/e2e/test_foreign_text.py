"""Text from elsewhere reaches the terminal as text, whichever verb prints it."""

from dataclasses import replace

import pytest

from ondevice_bench.record import bundle
from ondevice_bench.terminal import UNSAFE
from tests.report.hostile import hostile_run
from tests.test_terminal import EVIL


@pytest.fixture
def foreign(workplace):
    """A bundle with two runs, of which every text tries to steer the terminal."""
    one, other = hostile_run(EVIL, "r1"), hostile_run(EVIL, "r2")
    slower = [replace(r, metrics={n: v * 2 for n, v in r.metrics.items()}) for r in other.records]
    path = workplace / "foreign.bundle"
    bundle.write([one, replace(other, records=tuple(slower))], path)
    return path


def test_no_verb_prints_what_steers_a_terminal(foreign, bench):
    printed = [bench("import", foreign)]
    assert printed[0].code == 0
    cell = bench("report", "r1", "--format", "json").json()["cells"][0]["cell"]
    commands = (
        ["report", "r1", "--format", "text"],
        ["report", "r1", "--format", "md"],
        ["report", "r1", "--format", "csv"],
        ["report", "r1", "--format", "text", "--out", "written"],
        ["report", "r1", "--baseline", f"none{EVIL}"],
        ["report", f"none{EVIL}"],
        ["compare", "r1", "r2"],
        ["compare", "r1", f"none{EVIL}"],
        ["history"],
        ["site", "-o", "pages"],
        ["site", f"none{EVIL}"],
        ["prune", "--keep-last", "1", "--dry-run"],
        ["prune", f"none{EVIL}", "--keep-last", "1"],
        ["show", "cell", cell, "--run", "r1"],
        ["show", "cell", "x", "--run", "r1"],
        ["export", "r1", "--out", f"out{EVIL}"],
        ["list", "runs"],
        ["import", f"none{EVIL}"],
        [f"none{EVIL}", "--debug"],
    )
    printed += [bench(*words) for words in commands]
    texts = [text for ended in printed for text in (ended.out, ended.err)]
    texts.append((foreign.parent / "written").read_text())
    assert [text for text in texts if UNSAFE.search(text)] == []
    assert sum("␛]52;c;AAAA␇" in text for text in texts) >= 10
    errors = [line for ended in printed for line in ended.err.splitlines()]
    assert all(line.startswith("bench: ") for line in errors)
