"""`--open`."""

import webbrowser

import pytest

from ondevice_bench.cli.browser import open_page


@pytest.fixture
def tried(monkeypatch):
    """The pages that a browser was asked for. Without a display and outside of CI."""
    for name in ("CI", "DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    pages = []
    monkeypatch.setattr(webbrowser, "open", lambda page: pages.append(page) or True)
    return pages


@pytest.mark.parametrize("name", ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER"])
def test_a_page_is_opened_where_there_is_a_display(tried, tmp_path, monkeypatch, capsys, name):
    monkeypatch.setenv(name, "x")
    open_page(tmp_path / "a page.html")
    assert tried == [(tmp_path / "a page.html").as_uri()]
    assert capsys.readouterr().err == ""


def test_without_a_display_no_browser_is_tried(tried, tmp_path, capsys):
    open_page(tmp_path / "x.html")
    assert tried == []
    assert capsys.readouterr().err.endswith("x.html was not opened: there is no display\n")


def test_in_ci_no_browser_is_tried(tried, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CI", "1")
    monkeypatch.setenv("DISPLAY", ":0")
    open_page(tmp_path / "x.html")
    assert tried == []
    assert capsys.readouterr().err.endswith("x.html was not opened: CI is set\n")


@pytest.mark.parametrize("error", [None, webbrowser.Error("none"), OSError("no")])
def test_a_browser_that_does_not_start_is_a_line(tried, tmp_path, monkeypatch, capsys, error):
    def fails(_):
        if error:
            raise error
        return False

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "open", fails)
    open_page(tmp_path / "x.html")
    assert capsys.readouterr().err.endswith("x.html was not opened: no browser could be started\n")
