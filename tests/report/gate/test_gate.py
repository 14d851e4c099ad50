"""A gate's outcome in every form. Names may come from anybody, so none of them steers a form."""

import re
from xml.etree import ElementTree as ET

import html5lib
import junitparser
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ondevice_bench.analyse.cell_pair import CellPair, ExactDifference, MissingMetric
from ondevice_bench.analyse.comparison import SURE
from ondevice_bench.errors import BadInput, ExitCode
from ondevice_bench.report.gate import github
from ondevice_bench.report.gate.junit import junit
from ondevice_bench.report.gate.markdown import MOST_CELLS, MOST_ROWS, markdown
from ondevice_bench.report.gate.of_refs import outcome_of_refs
from ondevice_bench.report.gate.outcome import ORDER, GateOutcome, GateRow, Place
from ondevice_bench.report.gate.page import page
from ondevice_bench.stats import Change

EVIL = "a|b\n::error::x<b>&\x1b\ufffe%,:`"
HERE = {"GITHUB_ACTIONS": "true"}


def row(verdict="regressed", cell="net/vanilla/all/b4/s0", **what):
    return GateRow(cell, "step_seconds", "1.00 s", "1.10 s", "1.10×", verdict, **what)


def outcome(*rows, code=ExitCode.REGRESSION, **what):
    values = {
        "title": "bench compare",
        "base": "one",
        "new": "two",
        "rows": rows,
        "only_in_base": (),
        "only_in_new": (),
        "notes": (),
        "exit_code": code,
        "failing": SURE,
    }
    return GateOutcome(**{**values, **what})


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (outcome(row(), row(cell="b")), "Worse: 2 metrics of 2 cells regressed"),
        (outcome(row("failed"), code=3), "Failed: 1 cell could not be measured"),
        (outcome(row("failed")), "Worse: rounds of 1 cell failed"),
        (
            outcome(row(), row("failed")),
            "Worse: 1 metric of 1 cell regressed; rounds of 1 cell failed",
        ),
        (outcome(row("missing"), code=5), "Not decided: 1 metric of the base was not measured"),
        (
            outcome(row("missing"), row("missing"), code=5, only_in_base=("x", "y")),
            "Not decided: 2 cells of the base are gone; 2 metrics of the base were not measured",
        ),
        (outcome(code=5, only_in_base=("x",)), "Not decided: 1 cell of the base is gone"),
        (outcome(code=5, only_in_base=("x", "y")), "Not decided: 2 cells of the base are gone"),
        (outcome(row("inconclusive"), code=5), "Not decided: 1 metric may or may not be worse"),
        (outcome(code=5), "Not decided: no metric could be compared"),
        (outcome(code=6), "Nothing was compared"),
        (
            outcome(row("inconclusive"), row("unchanged"), code=0),
            "Not worse as far as it was decided: 1 inconclusive, 1 unchanged",
        ),
        (outcome(row(), code=0), "Worse, which does not fail here: 1 regressed"),
        (outcome(row("unchanged"), row("improved"), code=0), "Not worse: 1 improved, 1 unchanged"),
    ],
)
def test_the_decision_is_one_sentence(found, says):
    assert found.sentence == says
    for text in (markdown(found), page(found)):
        assert says in text
        assert text.index(says) < text.index("two")  # before all else


def cells_of(table):
    return [token.content for token in table if token.type == "inline"]


def test_no_text_leaves_its_place_in_markdown():
    found = outcome(row(cell=EVIL, remark=EVIL), only_in_base=(EVIL,), notes=(EVIL,))
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown(found))
    assert not [token for token in tokens if token.type == "html_block"]
    for token in tokens:
        assert not [each for each in token.children or () if each.type == "html_inline"]
    assert sum(token.type == "tr_open" for token in tokens) == 2  # the head, and one row
    assert sum(token.type == "td_open" for token in tokens) == 7


def test_a_name_in_markdown_is_read_as_it_is():
    name = "re:a&lt;b~c~d &#42; [x](y) \\_ *z*"
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    (cell,) = (
        "".join(part.content for part in each.children)
        for each in tokens.parse(markdown(outcome(row(cell=name))))
        if each.children and "re:" in each.content
    )
    assert cell == name


def test_markdown_of_a_large_comparison_stays_small():
    gone, new = ([f"net/{side}/all/b4/s{n}" for n in range(5000)] for side in ("old", "later"))
    rows = [row(cell=f"c{n}") for n in range(5000)]
    text = markdown(outcome(*rows, only_in_base=tuple(gone), only_in_new=tuple(new)))
    for what, cells in (("gone", gone), ("new", new)):
        assert sum(f"{what}: {cell}\n" in text for cell in cells) == MOST_CELLS
        assert f"{what}: {5000 - MOST_CELLS} more cells" in text
    assert text.count("| regressed |") == MOST_ROWS
    assert f"{5000 - MOST_ROWS} more rows are left out." in text
    assert len(text) < 64 << 10


def test_junit_is_what_a_parser_of_junit_reads(tmp_path):
    rows = [row(verdict, cell=EVIL, place=Place("a b.py", 3)) for verdict in ORDER]
    found = outcome(*rows, only_in_base=(EVIL,), notes=(EVIL,))
    text = junit(found)
    ET.fromstring(text)  # well-formed whatever is in it
    path = tmp_path / "junit.xml"
    path.write_text(text)
    (suite,) = junitparser.JUnitXml.fromfile(str(path))
    kinds = [type(case.result[0]).__name__ if case.result else "" for case in suite]
    assert kinds == ["Failure", "Error", "Error", "Skipped", "", "", "Skipped", "", "Error"]
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (9, 1, 3, 2)
    strict = outcome(*rows, failing=frozenset({"inconclusive"}))
    path.write_text(junit(strict))
    (suite,) = junitparser.JUnitXml.fromfile(str(path))
    kinds = [type(case.result[0]).__name__ if case.result else "" for case in suite]
    assert kinds[:4] == ["Skipped", "Error", "Error", "Error"]


@pytest.mark.parametrize(
    ("rows", "code", "errors"),
    [([], 5, 1), ([], 6, 1), ([row("inconclusive")], 5, 1), ([row("inconclusive")], 0, 0)],
)
def test_a_gate_that_does_not_pass_is_never_green_in_junit(rows, code, errors):
    found = outcome(*rows, code=ExitCode(code))
    (suite,) = ET.fromstring(junit(found))
    assert [each.get("message") for each in suite.iter("error")] == [found.sentence] * errors
    assert suite.get("errors") == str(errors)
    assert suite.get("tests") == str(len(rows) + errors)


def test_the_page_is_html_that_runs_nothing():
    evil = EVIL.replace("\ufffe", "")
    found = outcome(row(cell="<script>x</script>"), row("unchanged", cell=evil), notes=(evil,))
    text = page(found)
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    tree = parser.parse(text)
    assert tree.findall(".//script") == []
    assert "<script>x</script>" in [cell.text for cell in tree.findall(".//td")]
    assert tree.find(".//h1").text == found.sentence
    heads = [head.text for head in tree.findall(".//section[@id='changed']//th")]
    assert heads == ["cell", "metric", "base", "new", "change", "verdict", "remark"]


@given(st.text(), st.text(), st.text())
def test_a_command_for_github_is_one_line_that_gives_its_text_back(title, message, file):
    line = github.command("error", title, message, Place(file, 3))
    assert "\n" not in line
    assert "\r" not in line
    found = re.fullmatch(r"::error file=([^,:]*),line=3,title=([^,:]*)::(.*)", line, re.DOTALL)

    def unescaped(text, marks):
        for code, mark in marks:
            text = text.replace(code, mark)
        return text.replace("%25", "%")

    ends = [("%0D", "\r"), ("%0A", "\n")]
    assert unescaped(found[3], ends) == message
    for escaped, given_text in ((found[1], file), (found[2], title)):
        assert unescaped(escaped, [*ends, ("%3A", ":"), ("%2C", ",")]) == given_text


def test_what_fails_is_an_error_and_what_is_missing_a_warning():
    found = outcome(
        row("missing"), row(place=Place("net.py", 2)), row("unchanged"), only_in_base=("gone",)
    )
    name = "net/vanilla/all/b4/s0: step_seconds: 1.00 s → 1.10 s (1.10×)"
    assert list(github.annotations(found, HERE)) == [
        f"::error file=net.py,line=2,title=bench compare::regressed: {name}",
        f"::warning title=bench compare::missing: {name}",
        "::warning title=bench compare::only in one: gone",
    ]
    assert list(github.annotations(found, {})) == []


def test_github_shows_ten_annotations_so_the_tenth_counts_the_rest():
    lines = list(github.annotations(outcome(*[row(cell=str(n)) for n in range(25)]), HERE))
    assert len(lines) == 10
    assert lines[-1] == "::error title=bench compare::16 more: see the summary of the job"


def test_the_summary_is_appended_only_in_a_job(tmp_path):
    path = tmp_path / "summary"
    path.write_text("before\n")
    github.write_summary(outcome(row()), {"GITHUB_STEP_SUMMARY": str(path)})
    assert path.read_text() == "before\n"
    github.write_summary(outcome(row()), {**HERE, "GITHUB_STEP_SUMMARY": str(path)})
    assert path.read_text() == "before\n" + markdown(outcome(row()))
    github.write_summary(outcome(row()), HERE)  # a job whose runner has no summaries


def test_a_summary_that_cannot_be_written_is_one_line(tmp_path):
    there = {**HERE, "GITHUB_STEP_SUMMARY": str(tmp_path / "no" / "summary")}
    with pytest.raises(BadInput, match="cannot be written: No such file or directory") as caught:
        github.require_summary(there)
    assert len(caught.value.lines) == 1


def test_both_sides_of_ab_are_rows_and_what_is_inconclusive_says_what_would_decide():
    step = Change(1.1, 1.05, 1.15, "more")
    differing = [ExactDifference("activation_bytes", 1024.0, 2048.0)]
    slow = CellPair("net", "a", "b", differing, [1.0] * 9, [1.1] * 9, step, equal={"step_flops": 8})
    broken = CellPair("bad", "c", "d", problem="time: failed: no")
    found = outcome_of_refs(
        ["main", "HEAD"],
        [slow, broken],
        only_in=(["gone"], []),
        notes=["a note"],
        exit_code=ExitCode.REGRESSION,
        fail_on={"regressed"},
        remarks={"net": "more"},
        place_of=lambda pair, metric: Place("net.py", 1),
    )
    assert [(r.metric, r.base, r.new, r.change, r.verdict) for r in found.rows] == [
        ("activation_bytes", "1.00 KiB (1,024 bytes)", "2.00 KiB (2,048 bytes)", "2.00×",
         "regressed"),
        ("step_flops", "8 flops", "8 flops", "", "unchanged"),
        ("step_seconds", "1.00 s", "1.10 s", "1.10×, 1.05× … 1.15×", "regressed"),
        ("step_seconds", "not measured", "not measured", "", "failed"),
    ]  # fmt: skip
    assert found.rows[-1].remark == "time: failed: no"
    assert found.sentence == "Worse: 2 metrics of 1 cell regressed; rounds of 1 cell failed"


def test_a_metric_that_only_the_base_of_ab_has_is_a_row_and_nothing_is_decided():
    lost = CellPair("net", "a", "b", missing=[MissingMetric("activation_bytes", 1024.0, "no hook")])
    found = outcome_of_refs(
        ["main", "HEAD"],
        [lost],
        only_in=([], []),
        notes=[],
        exit_code=ExitCode.INCONCLUSIVE,
        fail_on={"regressed"},
        remarks={},
        place_of=lambda pair, metric: None,
    )
    first = found.rows[0]
    assert (first.metric, first.new, first.verdict, first.remark) == (
        "activation_bytes", "not measured", "missing", "no hook",
    )  # fmt: skip
    assert found.sentence == "Not decided: 1 metric of the base was not measured"
