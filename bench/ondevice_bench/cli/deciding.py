"""How the verbs that decide show their outcome: `bench compare` and `bench ab`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ondevice_bench.errors import BadInput
from ondevice_bench.files import atomic_write
from ondevice_bench.terminal import print_lines, printable

if TYPE_CHECKING:
    from ondevice_bench.report.gate.outcome import GateOutcome

Form = Literal["text", "json", "md", "junit", "html"]
AsForm = Annotated[
    Form,
    typer.Option(
        "--format",
        help="md and junit print, or write to --out. html writes a page with both sides. "
        "json is the same as --json.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="The file to write, for md, junit and html (default for html: comparison.html).",
    ),
]
PAGE = Path("comparison.html")


def form_of(form: Form, out: Path | None, *, as_json: bool) -> Form:
    """The form that the options mean; BadInput if they contradict each other."""
    if as_json and form not in ("text", "json"):
        raise BadInput(f"--json and --format {form}: give one of them")
    chosen: Form = "json" if as_json else form
    if out is not None and chosen in ("text", "json"):
        raise BadInput(f"--out goes with --format md, junit or html, not {chosen}")
    return chosen


def show_outcome(outcome: "GateOutcome", form: Form, out: Path | None) -> None:
    """Print the outcome, or write it to a file."""
    from ondevice_bench.report.gate.junit import junit
    from ondevice_bench.report.gate.markdown import markdown

    match form:
        case "md":
            text = markdown(outcome)
        case "junit":
            text = junit(outcome)
        case _:
            from ondevice_bench.report.gate.page import page

            text, out = page(outcome), out or PAGE
    if out is None:
        print_lines(text.rstrip("\n"))
        return
    with atomic_write(out) as file:
        file.write(printable(text).encode())
    print_lines(outcome.sentence, f"report: {out}")
