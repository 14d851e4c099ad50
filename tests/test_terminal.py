"""Tables and JSON as they are printed."""

import json
import os
import sys
import unicodedata

from ondevice_bench import terminal
from ondevice_bench.terminal import (
    LONGEST_ERROR,
    MANY_ROWS,
    Table,
    print_commands,
    print_errors,
    print_lines,
    print_rows,
    printable,
    table_text,
)

DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
# an escape, a copy to the clipboard, a link, a new title, a line that runs backwards, a forged line
EVIL = "\x1b[2J\x1b]52;c;AAAA\x07\x1b]8;;http://x\x1b\\\x9b1m\u202e\u2066\rfine"
ROWS = [{"name": "x" * 90, "here": True}, {"name": "y", "here": False}]


def test_outside_a_terminal_a_table_cuts_no_name(capsys):
    print_rows(ROWS, as_json=False)
    out = capsys.readouterr().out
    assert "x" * 90 in out
    assert out.count("✓") == 1


def test_rows_as_json_are_the_rows(capsys):
    print_rows(ROWS, as_json=True)
    assert json.loads(capsys.readouterr().out) == ROWS
    print_rows([], as_json=True)
    assert json.loads(capsys.readouterr().out) == []


def test_no_rows_print_no_table(capsys):
    print_rows([], as_json=False)
    assert capsys.readouterr().out == ""


def test_markup_in_a_name_is_text():
    names = Table("name")
    names.add_row("[red]hosvd[/red]")
    assert "[red]hosvd[/red]" in table_text(names)


def test_in_a_job_of_github_no_printed_text_is_a_command_but_ours(capsys, monkeypatch):
    foreign = ["::error::no", "net\n \t::stop-commands::x", "a ##[error]no"]
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    print_lines(*foreign)
    print_commands("::error::yes")
    shown = capsys.readouterr()
    assert shown.out == "·::error::no\nnet\n \t·::stop-commands::x\na ##·[error]no\n"
    assert shown.err == "::error::yes\n"
    monkeypatch.delenv("GITHUB_ACTIONS")
    print_lines(*foreign)
    assert capsys.readouterr().out == "".join(f"{text}\n" for text in foreign)


def test_no_character_of_a_printed_text_steers_a_terminal():
    every = "".join(map(chr, range(0x110000)))
    shown = printable(every)
    assert len(shown) == len(every)
    kept = {char for char in shown if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")} | {
        char for char in shown if unicodedata.bidirectional(char) in DIRECTIONS
    }
    assert kept == {"\t", "\n"}
    assert printable("a × b … é 漢 👩‍🔬\n\tc") == "a × b … é 漢 👩‍🔬\n\tc"
    assert printable("\x1b[31m\x7f\x9b\u202e") == "␛[31m␡\ufffd\ufffd"


def test_the_middle_of_a_long_error_is_left_out(capsys):
    print_errors("start" + "x" * 5000 + "end", "short")
    first, second = capsys.readouterr().err.splitlines()
    assert len(first) == len("bench: ") + LONGEST_ERROR
    assert first.startswith("bench: startxxx")
    assert " … xxx" in first
    assert first.endswith("xend")
    assert second == "bench: short"


def test_a_table_of_many_rows_is_printed_without_rich_and_cuts_nothing(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    note = f"{'x' * 200}\n1 … 2"
    rows = [{"name": f"cell {n}", "note": note} for n in range(MANY_ROWS + 1)]
    print_rows(rows, as_json=False)
    title, line, *printed = capsys.readouterr().out.splitlines()
    assert title.split() == ["name", "note"]
    assert set(line) == {" ", "─"}
    wanted = [["cell", str(n), *note.split()] for n in range(1001)]
    assert [text.split() for text in printed] == wanted


def test_where_columns_have_no_room_for_whole_words_each_row_is_a_paragraph():
    table = Table("method", "metric", "change", heading="regressed")
    table.add_row("asi+update_in_backward", "step_traffic_bytes", "1.02×\n0.9 … 1.1×")
    table.add_row("asi", "", "0.5×")
    assert table_text(table, 40) == (
        "\nregressed\n"
        "asi+update_in_backward\n"
        "  metric: step_traffic_bytes · change:\n"
        "  1.02× 0.9 … 1.1×\n"
        "asi\n"
        "  change: 0.5×\n"
    )
    assert "─" in table_text(table, 80)


def test_a_width_that_is_no_number_is_none(monkeypatch):
    for text in ("\u00b2", "-5", "wide", ""):
        monkeypatch.setenv("COLUMNS", text)
        terminal.open_streams()
        assert terminal.known_width() is None
        assert "COLUMNS" not in os.environ
    monkeypatch.setenv("COLUMNS", "90")
    terminal.open_streams()
    assert terminal.known_width() == 90
