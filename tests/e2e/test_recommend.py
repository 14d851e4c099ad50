"""`bench recommend` with a network of the user's, from the question to the lines that she pastes."""

import json

import pytest
import torch

from ondevice_bench.record.store import Store
from tests.conftest import ROOT

NET = """\
from torch import nn


def net(width=4, image_size=16):
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Linear(width * image_size**2, 3),
    )
"""
SPACE = """\
schema: 1
title: Two exact ways, and one that is not
methods: [vanilla, lean, asi: {fraction: 0.5}]
"""


@pytest.fixture
def folder(workplace):
    (workplace / "mynet.py").write_text(NET)
    (workplace / "suites" / "search").mkdir(parents=True)
    (workplace / "suites" / "search" / "three.yaml").write_text(SPACE)
    return workplace


def ask(bench, *more):
    question = ("--model", "./mynet.py:net", "--space", "three", "--batch", "2")
    return bench("recommend", *question, *more)


def test_the_lines_that_it_prints_train_the_users_network(bench, folder):
    ended = ask(bench, "--memory-cap", "1G", "--budget", "25s", "--json")
    assert ended.code in (0, 5), ended.err
    found = json.loads(ended.out)
    assert found["winner"]["standing"] == "winner"
    assert found["candidates"] == 3
    assert found["winner"]["batch"] == 2
    names = {}
    exec((folder / "mynet.py").read_text(), names)
    names |= {
        "model": names["net"](),
        "inputs": torch.randn(2, 3, 16, 16),
        "targets": torch.tensor([0, 2]),
    }
    exec("\n".join(found["paste"]), names)
    assert torch.isfinite(names["loss"])
    again = ask(bench, "--memory-cap", "1G", "--budget", "1s")  # what is stored is an answer
    assert again.code in (0, 5), again.err
    first, *_ = again.out.splitlines()
    assert first.startswith("mynet.py:net on ")
    assert "continuing recommend-mynet-net-" in again.err
    page = bench("report", "recommend-mynet-net", "--format", "text")
    assert page.code == 0, page.err


LEARNED = """\
schema: 1
title: Two that learn
methods: [vanilla, bias_only]
learning: {epochs: 1, examples: 32, validation: 16, test: 32, learning_rates: [0.01, 0.1]}
"""


def test_candidates_learn_from_the_users_data(bench, folder):
    (folder / "mynet.py").write_text(NET.replace("image_size**2, 3", "image_size**2, 10"))
    (folder / "suites" / "search" / "three.yaml").write_text(LEARNED)
    words = ("--memory-cap", "1G", "--data", "digits", "--min-accuracy", "0.001", "--seeds", "2")
    ended = ask(bench, *words, "--budget", "60s", "--json")
    assert ended.code in (0, 5), ended.err
    found = json.loads(ended.out)
    assert found["seeds"] == 2
    with Store.open(folder / "bench-out/recommend-mynet-net/results.sqlite") as store:
        (run,) = store.runs()
        trained = [each for each in store.records(run.id) if each.key.pass_name == "learning"]
    assert trained
    assert {record.status for record in trained} == {"ok"}
    assert {record.details["learned"]["test"] for record in trained} == {32}


def test_what_nothing_can_meet_is_named_by_shapes(bench, folder):
    ended = ask(bench, "--memory-cap", "20K", "--quiet")
    assert ended.code == 6
    (line,) = ended.err.splitlines()
    assert line.startswith("bench: none of 3 candidates meets the limits: the least memory is that")
    assert line.endswith("MiB of tensors alone; the limit is 0.0195 MiB")
    assert not (folder / "bench-out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--min-cosine", "1.5"), "--min-cosine: must be in [-1, 1], got 1.5"),
        (("--min-accuracy", "0"), "--min-accuracy: must be in (0, 1], got 0"),
        (("--minimise", "time_to_accuracy"), "--minimise time_to_accuracy: give the accuracy to"),
        (("--target", "0.9"), "--target: is the accuracy of --minimise time_to_accuracy or"),
        (("--seeds", "5"), "--seeds: only trainings have seeds: give --min-accuracy or --target"),
        (
            ("--memory-cap", "1G", "--reserve", "1G"),
            "--memory-cap and --reserve: both say how much",
        ),
        (("--on", "board1", "--board", "pi5-2gb"), "--on and --board: --on names the board"),
        (("--data", "texts:none.tsv"), "none.tsv: no such file or folder"),
        (("--min-accuracy", "0.9"), "--min-accuracy: synthetic data has no labels to learn"),
        (("--minimise", "step_second"), "unknown goal 'step_second'; did you mean 'step_seconds'?"),
        (("--space", "thre"), "unknown search 'thre'; did you mean 'three'?"),
        (("--board", "pi5-2g"), "unknown hardware 'pi5-2g'; did you mean 'pi5-2gb'?"),
        (("--board", "pi5-2gb", "--memory-cap", "3G"), "3 GiB is more than pi5-2gb has, 2 GiB"),
        (("--board", "pi5-2gb", "--reserve", "3G"), "--reserve: 3 GiB is not less than"),
        (("--memory-cap", "0M"), "--memory-cap: must be above 0, got '0M'"),
        (("--budget", "0"), "--budget: must be more than 0 seconds"),
        (("--batch", "0"), "--batch: must be at least 1, got 0"),
        (("--layers", "lost"), "--layers: must be all, mlp, attention"),
        (("--model", "mcunett"), "unknown model 'mcunett'; did you mean 'mcunet'?"),
        (("--data", "folder:one"), "--data folder:one: has one class, 'cats'"),
        (("--weights", "none.pt"), "none.pt"),
    ],
)
def test_bad_input_is_one_line(bench, folder, words, said):
    (folder / "one" / "cats").mkdir(parents=True)
    (folder / "one" / "cats" / "a.png").write_bytes(b"")
    ended = ask(bench, *words)
    assert ended.code == 2
    (line,) = ended.err.splitlines()
    assert line.startswith("bench: ")
    assert said in line
    assert not (folder / "bench-out").exists()


def test_a_space_with_mistakes_names_their_lines(bench, folder):
    (folder / "wrong.yaml").write_text(
        "schema: 1\ntitle: t\nmethods:\n  - vanila\n  - asi: {fraction: 2}\nbatches: 3\n"
    )
    ended = ask(bench, "--space", "wrong.yaml")
    assert ended.code == 2
    lines = ended.err.splitlines()
    assert lines[0].startswith("bench: wrong.yaml:4: methods[0]: unknown method 'vanila'")
    assert lines[1].startswith("bench: wrong.yaml:5: methods[1].fraction: must be in (0, 1], got 2")
    assert lines[2].startswith("bench: wrong.yaml:6: unknown key 'batches'; did you mean 'batch'?")


def test_a_network_whose_loss_is_not_a_number_is_one_line(bench, folder):
    (folder / "mynet.py").write_text(
        NET + "\n\ndef loss(model, batch):\n    return (model(batch[0]) * float('nan')).mean()\n"
    )
    ended = ask(bench, "--quiet")
    assert ended.code == 2
    (line,) = ended.err.splitlines()
    assert "its loss is not a number after two steps of plain training" in line


def test_ours_are_spaces():
    assert (ROOT / "suites" / "search" / "default.yaml").is_file()
