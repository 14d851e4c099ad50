"""The user's own files on a board: models, methods, batches and weights, whatever their names."""

import json

from tests.remote.test_over_ssh import records

SHARED = "WIDTH = 4\n"
MODEL = """\
import torch
from torch import nn
from shared import WIDTH


def net():
    return nn.Sequential(nn.Linear(8, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 2))


def batch(size, seed):
    torch.manual_seed(seed)
    return torch.rand(size, 8), torch.randint(2, (size,))


def loss(model, batch):
    return nn.functional.cross_entropy(model(batch[0]), batch[1])
"""
METHOD = """\
from ondevice_bench.methods.vanilla import Vanilla
from shared import WIDTH


class Mine(Vanilla):
    width = WIDTH
"""
NAME = 'my net\'s "x" $(touch owned) ü.py'


def test_own_files_with_any_name_give_the_numbers_of_a_run_here(
    bench, server, hosts_file, forking_python, workplace
):
    (workplace / "shared.py").write_text(SHARED)
    (workplace / NAME).write_text(MODEL)
    (workplace / "mine.py").write_text(METHOD)
    hosts_file(server, workplace / "there", forking_python)
    suite = {
        "schema": 1,
        "title": "Own",
        "models": [{f"./{NAME}:net": {"batch": 2}}],
        "methods": ["vanilla", "./mine.py:Mine"],
        "measure": ["trace"],
    }
    (workplace / "own.yaml").write_text(json.dumps(suite))
    remote = bench("run", "./own.yaml", "--on", "board1", "--out", "remote")
    local = bench("run", "./own.yaml", "--out", "local")
    assert (remote.code, local.code) == (0, 0), remote.err
    (_, there), (_, here) = (
        records(workplace / f"{x}/results.sqlite") for x in ("remote", "local")
    )
    exact = [
        {r.key: r.metrics for r in found if r.key.pass_name == "trace"} for found in (there, here)
    ]
    assert exact[0] == exact[1]
    assert len(exact[0]) == 2
    assert not list(workplace.rglob("owned"))


def test_a_fault_in_an_own_file_is_told_with_its_name_here(
    bench, server, hosts_file, forking_python, workplace
):
    (workplace / "broken.py").write_text("import torch\n1 / 0\n")
    hosts_file(server, workplace / "there", forking_python)
    ended = bench("plan", "--model", "./broken.py:net", "--on", "board1")
    assert ended.code == 2
    assert "broken.py" in ended.err
    assert "division by zero" in ended.err
