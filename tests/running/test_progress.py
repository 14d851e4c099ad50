from ondevice_bench.running.progress import LiveLine, PlainLines, for_terminal
from ondevice_bench.running.schedule import TimeLeft

WHAT = "asi ε=0.8, time"


def tell(progress):
    progress.prepare("looking")
    progress.begin(WHAT, "10/50", TimeLeft(241, is_exact=False))
    progress.note("a note")
    progress.close()


def test_a_log_gets_a_line_for_each(capsys):
    tell(PlainLines())
    assert capsys.readouterr().err.splitlines() == [
        "looking",
        "10/50 · roughly 4 min left · asi ε=0.8, time",
        "a note",
    ]


def test_a_terminal_gets_one_line_that_is_gone_in_the_end(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    tell(LiveLine())
    drawn = capsys.readouterr().err.split("\r\x1b[2K")
    assert drawn[1] == "looking"
    assert drawn[2] == "10/50 · roughly 4 min left · asi ε=0.8, time"
    assert drawn[3] == "a note\n"
    assert drawn[4] == drawn[2]
    assert drawn[5:] == [""]


def test_quiet_says_nothing(capsys):
    tell(for_terminal(quiet=True))
    assert capsys.readouterr().err == ""


def test_a_narrow_terminal_cuts_neither_the_count_nor_the_time_left(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    LiveLine().begin(f"{WHAT} · {'x' * 90}", "10/50", TimeLeft(30, is_exact=True))
    (drawn,) = capsys.readouterr().err.split("\r\x1b[2K")[1:]
    assert drawn.startswith("10/50 · about 30 s left · asi")
    assert len(drawn) == 29


def test_without_a_forecast_there_is_no_time(capsys):
    PlainLines().begin(WHAT, "0/50", None)
    assert capsys.readouterr().err == "0/50 · asi ε=0.8, time\n"
