"""`bench claims`: published figures recomputed, beside runs, on a page; its errors."""

import json

from ondevice_bench.record.store import Store
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
    ended = bench("report", "mine", "--layout", "paper", "--json")
    assert ended.code == 0, ended.err
    page = (workplace / json.loads(ended.out)["report"]).read_text()
    assert "wasi-vit-vanilla-training" in page


def _stored_by(workplace, cell):
    """Elements that the run itself says its treated layers stored."""
    with Store.open(workplace / "bench-out" / "mine" / "results.sqlite") as store:
        (run,) = store.runs()
        (trace,) = (
            r for r in store.records(run.id) if r.key.cell == cell and r.key.pass_name == "trace"
        )
    return sum(layer["stored_elements"] for layer in trace.details["treated"].values())


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
