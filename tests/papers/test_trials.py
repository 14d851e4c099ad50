"""The suite of waiting claims: the cells that decide them, and no others; what the user gave wrong."""

import numpy
import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.papers.claims_file import load_published
from ondevice_bench.papers.data_sets import CLASSES
from ondevice_bench.papers.given import given
from ondevice_bench.papers.trials import lacks, obstacles, trials
from ondevice_bench.suite.board import HERE
from ondevice_bench.suite.cell import Train
from ondevice_bench.suite.matrix import cells_of
from ondevice_bench.suite.plan import plan

FILE = """\
schema: 1
title: Mine
papers:
  mine: {title: A paper of mine}
claims:
"""
CLAIM = """\
  - id: NAME
    paper: mine
    says: less memory
    published: "3"
    computed: accounted
    quantity: activation
    ratio_of: vanilla
    scope: accounted
    measured: [activation_bytes, step_seconds]
    of: {OF}
"""
TRAINED = "model: mcunet, method: asi, layers: {last: 2}, batch: 4, weights: pretrained"


@pytest.fixture
def claims(workplace):
    """Write a file with a claim for each of these conditions, and read it."""

    def write(**conditions):
        entries = (CLAIM.replace("NAME", name).replace("OF", of) for name, of in conditions.items())
        (workplace / "own.yaml").write_text(FILE + "".join(entries))
        return load_published(workplace / "own.yaml")

    return write


@pytest.fixture
def weights(workplace):
    (workplace / "w.pt").write_bytes(b"weights")
    return "w.pt"


def folder(workplace, classes, name="pictures"):
    for number in range(classes):
        (workplace / name / f"{number:03}").mkdir(parents=True)
    return name


def test_a_suite_has_the_cells_of_the_claims_and_what_they_are_compared_with(
    claims, workplace, weights
):
    published = claims(
        one=f"{TRAINED}, data: pets, method_options: {{epsilon: 0.8}}",
        two=f"{TRAINED}, data: pets, method_options: {{epsilon: 0.4}}, model_options: {{image_size: 32}}",
        three="model: mcunet, method: vanilla, layers: conv",
        other="model: resnet18, method: asi, weights: pretrained",
    )
    by_user = given(published, [f"mcunet={weights}"], [f"pets:{folder(workplace, 37)}"])
    (trial,) = trials(published.claims, by_user, "x86", everything=False)
    assert trial.claims == ("one", "two", "three")
    assert trial.suite.name == "claims_mine_mcunet_pets"
    cells = cells_of(trial.suite)
    large, small = "mcunet(classes=37)", "mcunet(classes=37,image_size=32)"
    assert {cell.id for cell in cells} == {
        f"{large}/asi(epsilon=0.8)/last:2/b4/s0",
        f"{large}/vanilla/last:2/b4/s0",
        f"{small}/asi(epsilon=0.4)/last:2/b4/s0",
        f"{small}/vanilla/last:2/b4/s0",
        f"{large}/vanilla/all/b4/s0",  # its batch is open: any counts
    }
    by_id = {claim.id: claim for claim in published.claims}
    for name in trial.claims:
        assert any(not by_id[name].query.differs(cell) for cell in cells)
    assert trial.suite.measure == ("trace", "time")
    assert trial.suite.rounds["time"] == 5


def test_the_same_claims_make_the_same_suite_and_other_data_another_one(claims, workplace, weights):
    published = claims(
        one=f"{TRAINED}, data: pets, method_options: {{epsilon: 0.8}}",
        two=f"{TRAINED}, data: mine, method_options: {{epsilon: 0.8}}",
    )
    texts = [f"pets:{folder(workplace, 37)}", f"mine:{folder(workplace, 3, 'few')}"]
    by_user = given(published, [f"mcunet={weights}"], texts)
    found = trials(published.claims, by_user, "x86", everything=False)
    assert found == trials(published.claims, by_user, "x86", everything=False)
    assert [trial.suite.name for trial in found] == [
        "claims_mine_mcunet_mine",
        "claims_mine_mcunet_pets",
    ]
    options = [dict(cells_of(trial.suite)[0].model_options)["classes"] for trial in found]
    assert options == [3, 37]


def test_what_is_missing_is_named(claims, weights):
    published = claims(
        one=f"{TRAINED}, data: pets", two="model: mcunet, method: asi", three="method: asi"
    )
    one, two, three = published.claims
    nothing, some = given(published, [], []), given(published, [f"mcunet={weights}"], [])
    assert lacks(one, nothing, "x86") == "--weights mcunet=PATH"
    assert lacks(one, some, "x86") == "--data pets:PATH"
    assert lacks(two, nothing, "x86") == ""
    assert lacks(three, nothing, "x86") == "a network of ours"
    assert obstacles(published.claims, some, "x86") == ("--data pets:PATH",)
    (trial,) = trials(published.claims, nothing, "x86", everything=True)
    assert trial.claims == ("two",)
    # the ranks are open: any ranks count, and ranks by content need natural data
    assert [cell.method_options for cell in cells_of(trial.suite) if cell.method == "asi"] == [
        (("epsilon", 0.8),)
    ]
    assert (trial.suite.data.name, trial.suite.weights.name) == ("photos", "spectrum(0.75)")


def test_every_waiting_claim_of_ours_can_be_made_a_suite(workplace):
    """With everything at hand, each claim that states its cell has one."""
    published = load_published()
    for paper in {claim.paper for claim in published.claims}:
        of_paper = published.of_paper(paper)
        waits = [claim for claim in of_paper.claims if not claim.untestable and claim.value]
        models = {c.query.model for c in waits if c.query.weights == "pretrained"}
        for model in models:
            (workplace / f"{model}.pt").write_bytes(b"weights")
        names = {c.query.data for c in waits} - {None}
        numpy.savez(workplace / "boolq.npz", tokens=numpy.zeros((9, 128), dtype=numpy.int64))
        paths = {name: "boolq.npz" for name in names if name == "boolq"}
        for name in names - set(paths):
            paths[name] = folder(workplace, CLASSES[name], f"{paper}-{name}")
        by_user = given(
            of_paper,
            [f"{model}={model}.pt" for model in models],
            [f"{name}:{path}" for name, path in paths.items()],
        )
        made = trials(waits, by_user, "pi5-8gb", everything=True)
        wanted = {claim.id for claim in waits if not lacks(claim, by_user, "pi5-8gb")}
        assert {name for trial in made for name in trial.claims} == wanted
        for trial in made:
            assert {item.reason for item in plan(trial.suite, HERE)} == {""}


@pytest.mark.parametrize(
    ("weights_text", "data_text", "says"),
    [
        ("mcunett=w.pt", None, "--weights mcunett: no claim of this paper is about this model; did you mean 'mcunet'?"),
        ("mcunet", None, "--weights mcunet: must be MODEL=PATH"),
        ("mcunet=w.onnx", None, "--weights mcunet: must be random, pretrained"),
        ("mcunet=none.pt", None, "--weights mcunet: none.pt: cannot be read: No such file"),
        (None, "pets", "--data pets: must be NAME:PATH"),
        (None, "pet:few", "--data pet: no claim of this paper names this data; did you mean 'pets'?"),
        (None, "pets:nowhere", "--data pets: nowhere: no such folder"),
        (None, "pets:few", "--data pets:few: has 3 folders, one for each class; pets has 37 classes, and the claim one needs them"),
        (None, "pets:own.yaml", "--data pets:own.yaml: must be a folder, or a file .npz"),
    ],
)  # fmt: skip
def test_what_the_user_gave_wrong_is_one_line(
    claims, workplace, weights, weights_text, data_text, says
):
    folder(workplace, 3, "few")
    published = claims(one=f"{TRAINED}, data: pets")
    with pytest.raises(BadInput) as raised:
        given(published, [weights_text] * bool(weights_text), [data_text] * bool(data_text))
    (line,) = raised.value.lines
    assert line.startswith(says)


def test_nothing_is_given_twice(claims, weights):
    published = claims(one=TRAINED)
    with pytest.raises(BadInput, match="--weights mcunet: is given twice"):
        given(published, [f"mcunet={weights}"] * 2, [])


def test_a_trial_trains_as_the_paper_does(workplace):
    paper = "{title: A paper of mine, train: {optimizer: adamw, lr: 0.001, clip: null}}"
    text = FILE.replace("{title: A paper of mine}", paper) + CLAIM.replace("NAME", "a")
    of = "model: mcunet, method: asi, method_options: {rank: 2}, dtype: bfloat16"
    (workplace / "own.yaml").write_text(text.replace("{OF}", f"{{{of}}}"))
    published = load_published(workplace / "own.yaml")
    (trial,) = trials(published.claims, given(published, [], []), "x86", everything=True)
    cells = cells_of(trial.suite)
    assert {(cell.train, cell.dtype) for cell in cells} == {
        (Train("adamw", lr=0.001, clip=None), "bfloat16")
    }
