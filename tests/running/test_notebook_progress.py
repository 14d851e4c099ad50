"""The bar of a notebook: what it shows, in its one place."""

from html.parser import HTMLParser

from ondevice_bench.running.notebook_progress import NotebookBar, for_notebook
from ondevice_bench.running.schedule import TimeLeft


class Bar(HTMLParser):
    """The values of the bar, and all texts."""

    def __init__(self, html):
        super().__init__()
        self.value, self.texts = None, []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        assert tag in {"div", "p", "progress"}
        if tag == "progress":
            self.value = (dict(attrs)["value"], dict(attrs)["max"])

    def handle_data(self, data):
        self.texts.append(data.strip())


def test_the_bar_shows_the_share_the_time_left_and_notes_that_stay():
    shown = []
    bar = NotebookBar(shown.append)
    bar.prepare("looking for cells that cannot fit …")
    assert Bar(shown[-1]).value is None
    bar.begin("asi, time", "3/20", TimeLeft(120.0, is_exact=True))
    assert Bar(shown[-1]).value == ("3", "20")
    assert "about 2 min left" in shown[-1]
    bar.note("failed: <script>alert(1)</script>")
    bar.tick()
    found = Bar(shown[-1])
    assert found.value == ("3", "20")
    assert "failed: <script>alert(1)</script>" in found.texts
    bar.close()
    last = Bar(shown[-1])
    assert (last.value, last.texts) == (None, ["failed: <script>alert(1)</script>"])


def test_outside_of_a_kernel_there_is_no_bar():
    assert for_notebook() is None
