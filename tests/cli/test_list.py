"""What `bench list` prints."""

import json

from ondevice_bench.cli.list_ import list_runs


def test_a_folder_without_runs_says_how_to_start(workplace, capsys):
    list_runs(as_json=False)
    assert capsys.readouterr().out == "no runs in bench-out: start with `bench run quick`\n"


def test_as_json_no_runs_are_an_empty_list(workplace, capsys):
    list_runs(as_json=True)
    assert json.loads(capsys.readouterr().out) == []
