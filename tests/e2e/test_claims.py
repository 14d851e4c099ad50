"""`bench claims`: published figures recomputed, beside runs, on a page; its errors."""

import os
import shlex
from pathlib import Path

import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from ondevice_bench.cli import claims, report
from ondevice_bench.errors import BadInput
from ondevice_bench.models import mcunet
from ondevice_bench.papers.published import Paper, PublishedClaims
from ondevice_bench.record.store import Store
from ondevice_bench.suite.from_flags import Words
from tests.papers.test_claims_file import OWN

SUITE = """\
schema: 1
title: Claims
models: [{mcunet: {batch: 8}}]
methods: [vanilla, asi: {rank: 4}, asi: {epsilon: 0.5}]
layers: [last: 2]
rounds: 1
measure: [trace]
"""


def test_vanilla_rows_are_the_papers_and_the_rest_says_what_it_needs(bench):
    ended = bench("claims", "--paper", "wasi", "--json")
    assert ended.code == 0, ended.err
    found = {each["id"]: each for each in ended.json()["claims"]}
    row = found["wasi-vit-vanilla-training"]
    assert row["accounted"][0]["published"] == row["published"] == 2349.0
    assert row["verdict"] == "reproduced as accounted, not measured yet"
    assert found["wasi-vit-vanilla-inference"]["verdict"] == "reproduced"
    assert found["wasi-swin-memory"]["verdict"] == "not testable here"
    assert "ImageNet weights" in found["wasi-swin-memory"]["because"]
    assert found["secondary-whitening"]["verdict"] == "not part of the method"
    assert found["wasi-swin-memory"]["command"].startswith("bench claims --paper wasi --weights")
    assert all(each["scope"] for each in found.values())


def test_a_users_claim_beside_a_run_and_on_a_page(bench, workplace, suite_file):
    suite_file(SUITE, "mine")
    assert bench("run", "mine").code == 0
    entry = OWN.partition("claims:\n")[2]
    by_content = entry.replace("{rank: 4}", "{epsilon: 0.5}").replace("id: mine", "id: content")
    (workplace / "own.yaml").write_text(OWN + by_content)
    said = ("claims", "mine", "--claims", "own.yaml", "--paper", "mine")
    claim, other = bench(*said, "--json").json()["claims"]
    # two inputs of 8 x 576 x 3 x 3 against a core of 4 x 4 x 3 x 3 and its bases
    whole, stored = 8 * 576 * 9, 4 * 4 * 3 * 3 + 8 * 4 + 576 * 4 + 3 * 3 + 3 * 3
    assert claim["accounted"][0]["published"] == whole / stored
    assert claim["verdict"] == "not reproduced"
    # ranks by content are those that the run had
    (account,) = other["accounted"]
    assert account["cell"] == "mcunet/asi(epsilon=0.5)/last:2/b8/s0"
    assert account["published"] == 2 * whole / _stored_by(workplace, account["cell"])
    with_run = OWN.replace("ratio_of:", "measured: [activation_bytes]\n    ratio_of:").replace(
        'published: "3"', f'published: "{whole / stored:.4f}"'
    )
    (workplace / "own.yaml").write_text(with_run)
    ended = bench(*said, "-o", "page.html", "--json")
    assert ended.code == 0, ended.err
    (claim,) = ended.json()["claims"]
    assert {each["metric"] for each in claim["measured"]} == {"activation_bytes"}
    assert [each["differs"] for each in claim["measured"]] == [
        [],
        ["rank unset instead of 4", "epsilon 0.5 instead of unset"],
    ]
    assert claim["verdict"] == "reproduced as accounted, not as measured"
    assert "the step stores" in claim["because"]
    page = (workplace / "page.html").read_text()
    assert "What papers claim" in page
    assert "not as measured" in page


def test_a_report_judges_the_claims_of_its_layout_without_code_of_the_user(
    bench, workplace, suite_file, monkeypatch
):
    judged = []
    monkeypatch.chdir(workplace)
    suite_file(SUITE.replace(", asi: {epsilon: 0.5}", ""), "mine")
    assert bench("run", "mine", "--filter", "vanilla").code == 0
    monkeypatch.setattr(
        "ondevice_bench.papers.claims_file.load_published",
        lambda: PublishedClaims((Paper("mine", "Mine", ""),), ()),
    )
    monkeypatch.setattr(
        "ondevice_bench.report.page.write_report", lambda *_, claims, **__: judged.append(claims)
    )
    report.report(["mine"], layout="paper")
    assert judged == [()]
    (refused,) = report._accounts_of(None, [(Words(["./net.py:net"]), None)])
    assert isinstance(refused, BadInput)
    assert "a report does not run your code" in str(refused)


def test_a_page_of_no_run_is_refused_even_if_there_was_nothing_to_measure(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    monkeypatch.setattr(
        "ondevice_bench.papers.claims_file.load_published",
        lambda _: PublishedClaims((Paper("mine", "Mine", ""),), ()),
    )
    with pytest.raises(BadInput, match="no run to draw"):
        claims.claims(paper="mine", measure_all=True, out=Path("page.html"))
    assert not Path("page.html").exists()


def _stored_by(workplace, cell, suite="mine"):
    """Elements that the run itself says its treated layers stored."""
    with Store.open(workplace / "bench-out" / suite / "results.sqlite") as store:
        (run,) = store.runs()
        (trace,) = (
            r for r in store.records(run.id) if r.key.cell == cell and r.key.pass_name == "trace"
        )
    return sum(layer["stored_elements"] for layer in trace.details["treated"].values())


TRAINED = """\
schema: 1
title: Mine
papers:
  mine: {title: A paper of mine}
claims:
  - id: mine-trained
    paper: mine
    says: less activation memory, with trained weights on digits
    published: "1.5"
    reach: over
    computed: accounted
    quantity: activation
    ratio_of: vanilla
    scope: accounted, two layers
    measured: [activation_bytes]
    of:
      model: mcunet
      method: asi
      layers: {last: 2}
      batch: 4
      weights: pretrained
      data: handwriting
      model_options: {image_size: 32, classes: 10}
      method_options: {epsilon: 0.5}
"""


@pytest.fixture
def own_files(workplace):
    """Claims, a small network that was trained on real digits, and these digits as pictures."""
    (workplace / "own.yaml").write_text(TRAINED)
    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images[:30], digits.target, strict=False)):
        folder = workplace / "pictures" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 15).astype("uint8")).save(folder / f"{number}.png")
    network = mcunet.construct(classes=10, image_size=32)
    mcunet.initialise(network, 0)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
    images = torch.from_numpy(digits.images[:30]).float()[:, None].repeat(1, 3, 4, 4) / 16
    for _ in range(2):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(
            network(images), torch.from_numpy(digits.target[:30])
        ).backward()
        optimizer.step()
    torch.save(network.state_dict(), workplace / "trained.pt")


def test_the_users_weights_and_data_decide_what_waits(bench, workplace, own_files):
    said = ("claims", "--claims", "own.yaml", "--paper", "mine")
    (claim,) = bench(*said, "--json").json()["claims"]
    assert claim["verdict"] == "not testable here"
    assert claim["missing"] == "pretrained weights of mcunet and the data of handwriting"
    shown = bench(*said).out
    assert claim["command"] in shown
    command = claim["command"].replace("mcunet=PATH", "mcunet=trained.pt")
    words = shlex.split(command.replace("handwriting:PATH", "handwriting:pictures"))[1:]
    ended = bench(*words, "--json")
    assert ended.code == 0, ended.err
    (claim,) = ended.json()["claims"]
    # the ranks are those of the run, and the number is the formula at these ranks
    suite = "claims_mine_mcunet_handwriting"
    (account,) = claim["accounted"]
    whole = 4 * 576 * 2  # two inputs of 4 x 576 x 1 x 1
    assert account["published"] == whole / _stored_by(workplace, account["cell"], suite)
    (kept,) = claim["measured"]
    assert kept["differs"] == []
    reached = account["published"] >= 1.45
    assert claim["verdict"] == (
        "not reproduced" if not reached
        else "reproduced as accounted, not as measured" if kept["estimate"] < 1.45
        else "reproduced"
    )  # fmt: skip
    assert (claim["missing"], claim["command"]) == ("", "")
    # ordinary records: another command finds them, and the same one measures nothing again
    assert bench(*said, "--json").json()["claims"] == [claim]
    again = bench(*words, "--json")
    assert "measured before: claims_mine_mcunet_handwriting-" in again.err
    assert again.json()["claims"] == [claim]
    (store,) = (workplace / "bench-out").glob("*/results.sqlite")
    with Store.open(store) as opened:
        assert [run.suite for run in opened.runs()] == [suite]


def test_weights_and_data_that_decide_nothing_are_one_line(bench, workplace, own_files):
    torch.save({"wrong": torch.zeros(1)}, workplace / "wrong.pt")
    (workplace / "few" / "0").mkdir(parents=True)
    for number in range(10):
        (workplace / "hollow" / str(number)).mkdir(parents=True)
    os.mkfifo(workplace / "pipe.pt")
    (workplace / "loop").symlink_to("loop")
    (workplace / "texts.yaml").write_text(
        TRAINED.replace("model: mcunet", "model: minilm").replace(
            "image_size: 32, classes: 10", "length: 8"
        )
    )
    said = ("claims", "--claims", "own.yaml", "--paper", "mine")
    data = ("--data", "handwriting:pictures")
    for words, says in (
        (("--weights", "mcunett=trained.pt"), "did you mean 'mcunet'?"),
        (("--data", "handwriting:few"), "has 1 folders, one for each class"),
        (("--weights", "mcunet=trained.pt"), "also need --data handwriting:PATH"),
        (data, "also need --weights mcunet=PATH"),
        (("--weights", "mcunet=wrong.pt", *data), "wrong.pt"),
        (
            ("--claims", "texts.yaml", "--weights", "minilm=trained.pt", *data),
            "the model takes tokens",
        ),
        (("--weights", "mcunet=pipe.pt", *data), "pipe.pt: is not a file"),
        (("--data", "handwriting:loop"), "loop: no such folder"),
        (("--data", f"handwriting:{'long' * 99}"), "no such folder"),
        (
            ("--weights", "mcunet=trained.pt", "--data", "handwriting:hollow"),
            "holds no images in folders, one for each class",
        ),
        (("--fresh",), "give --weights, --data or --run, too"),
        (("--paper", "mime", "--run"), "did you mean 'mine'?"),
    ):
        ended = bench(*said, *words)
        assert (ended.code, ended.out) == (2, ""), words
        (line,) = ended.err.splitlines()
        assert says in line
    ended = bench("claims", "--run")
    assert (ended.code, ended.out) == (2, "")
    assert "are for one paper: give --paper, too" in ended.err
    assert not (workplace / "bench-out").exists()


def test_bad_input_is_one_line(bench, workplace):
    (workplace / "own.yaml").write_text(OWN.replace("mcunet", "mcunett"))
    (workplace / "never.yaml").write_text(OWN.replace("{last: 2}", "attention"))
    for arguments, says in (
        (("--paper", "wassi"), "did you mean 'wasi'?"),
        (("--claims", "none.yaml"), "none.yaml: no such file"),
        (("--claims", "own.yaml"), "own.yaml:14: claims[0].of.model: unknown model 'mcunett'"),
        (
            ("--claims", "never.yaml"),
            "never.yaml:14: claims[0].of: no cell can have this condition: ",
        ),
        (("nothing",), "no run, suite or store 'nothing'"),
        (("-o", "page.html"), "start with `bench run paper_wasi_small`"),
    ):
        ended = bench("claims", *arguments)
        assert (ended.code, ended.out) == (2, "")
        (line,) = ended.err.splitlines()
        assert says in line
    assert not (workplace / "page.html").exists()
