"""A gate's decision as one HTML file that loads no other file: the verdict, then both sides."""

import ondevice_bench
from ondevice_bench.declare.folders import builtin, resource
from ondevice_bench.report.gate.outcome import GateOutcome, counts_text
from ondevice_bench.terminal import printable

TONES = {
    "regressed": "worse",
    "failed": "worse",
    "missing": "warning",
    "inconclusive": "warning",
    "improved": "better",
}


def page(outcome: GateOutcome) -> str:
    """The HTML of the page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # slow to import

    environment = Environment(
        loader=FileSystemLoader(builtin("reports") / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
    )
    text = environment.get_template("gate.html.j2").render(
        outcome=outcome,
        changed=[row for row in outcome.in_order if row.verdict != "unchanged"],
        unchanged=[row for row in outcome.rows if row.verdict == "unchanged"],
        counts=counts_text(outcome.rows),
        tones=TONES,
        theme=resource("theme/theme.css").read_text(encoding="utf-8"),
        version=ondevice_bench.__version__,
    )
    return printable(text)
