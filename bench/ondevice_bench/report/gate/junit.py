"""A gate's decision as JUnit XML: a test case for each metric of each cell."""

import re
from xml.etree import ElementTree as ET

from ondevice_bench.report.gate.outcome import GateOutcome, GateRow
from ondevice_bench.terminal import printable

_NO_XML = re.compile("[\ufffe\uffff]")  # printable characters that XML 1.0 forbids


def junit(outcome: GateOutcome) -> str:
    """The XML. A row that fails the gate is a failure. Any other unclear row is skipped.

    A gate that does not pass never looks green: if no row says why, the decision is an error.
    """
    root = ET.Element("testsuites")
    suite = ET.SubElement(root, "testsuite", name=_text(outcome.title))
    for row in outcome.rows:
        _add(suite, row, outcome.failing)
    for cell in outcome.only_in_base:
        case = ET.SubElement(suite, "testcase", classname=_text(cell), name="cell")
        ET.SubElement(case, "error", message=_text(f"only in {outcome.base}"))
    is_red = any(suite.find(f"testcase/{tag}") is not None for tag in ("failure", "error"))
    if outcome.exit_code and not is_red:
        case = ET.SubElement(suite, "testcase", classname=_text(outcome.title), name="decision")
        ET.SubElement(case, "error", message=_text(outcome.sentence))
    for tag in ("failure", "error", "skipped"):
        name = {"failure": "failures", "error": "errors", "skipped": "skipped"}[tag]
        suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("tests", str(len(suite.findall("testcase"))))
    if outcome.notes:
        ET.SubElement(suite, "system-out").text = _text("\n".join(outcome.notes))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True)


def _add(suite: ET.Element, row: GateRow, failing: frozenset[str]) -> None:
    case = ET.SubElement(suite, "testcase", classname=_text(row.cell), name=_text(row.metric))
    if row.place is not None:
        case.set("file", _text(row.place.file))
        case.set("line", str(row.place.line))
    message = _text(message_of(row))
    match row.verdict:
        case "regressed" if "regressed" in failing:
            ET.SubElement(case, "failure", message=message)
        case "failed" | "missing":
            ET.SubElement(case, "error", message=message)
        case "inconclusive" if "inconclusive" in failing:
            ET.SubElement(case, "error", message=message)
        case "inconclusive" | "regressed" | "skipped":
            ET.SubElement(case, "skipped", message=message)
        case _:
            ET.SubElement(case, "system-out").text = message


def message_of(row: GateRow) -> str:
    """A row as one sentence."""
    change = f" ({row.change})" if row.change else ""
    remark = f"; {row.remark}" if row.remark else ""
    return f"{row.verdict}: {row.cell}: {row.metric}: {row.base} → {row.new}{change}{remark}"


def _text(text: str) -> str:
    return _NO_XML.sub("\ufffd", printable(text))
