from ondevice_bench.record.model import TaskKey
from ondevice_bench.run.progress import LiveLine, PlainLines, for_terminal
from ondevice_bench.run.schedule import TimeLeft

TASK = TaskKey("mcunet/vanilla/all/b8/s0", "time", 2)
LINE = "0 of 1 cells · mcunet/vanilla/all/b8/s0 · time, round 2"


def tell(progress):
    progress.prepare("looking")
    progress.begin(TASK, "0 of 1 cells", TimeLeft(61, is_exact=False))
    progress.note("a note")
    progress.close()


def test_a_log_gets_a_line_for_each(capsys):
    tell(PlainLines())
    assert capsys.readouterr().err.splitlines() == [
        "looking",
        f"{LINE} · roughly 1:01 left",
        "a note",
    ]


def test_a_terminal_gets_one_line_that_is_gone_in_the_end(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    tell(LiveLine())
    drawn = capsys.readouterr().err.split("\r\x1b[2K")
    assert drawn[1] == "looking"
    assert drawn[2].startswith(f"{LINE} · roughly 1:0")
    assert drawn[3] == "a note\n"
    assert drawn[4].startswith(LINE)
    assert drawn[5:] == [""]


def test_quiet_says_nothing(capsys):
    tell(for_terminal(quiet=True))
    assert capsys.readouterr().err == ""
