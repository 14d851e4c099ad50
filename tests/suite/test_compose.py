import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.suite.suite import Axis

HEAD = "schema: 1\ntitle: t\n"
BODY = "models: [mcunet, vit_b_32: {batch: 4}]\nmethods: [vanilla, asi, svd: {rank: 8}]\n"


def batches(suite):
    return [model.batches for model in suite.models]


def test_defaults_go_to_every_entry_that_knows_them_and_says_nothing_else(load):
    suite = load(
        HEAD
        + "defaults:\n  models: {batch: [1, 2], depth: 3}\n  methods: {fraction: 0.25}\n"
        + BODY
    )
    assert batches(suite) == [(1, 2), (4,)]
    assert [model.axes for model in suite.models] == [(), (Axis("depth", (3,)),)]
    assert [method.axes for method in suite.methods] == [
        (),
        (Axis("fraction", (0.25,)),),
        (Axis("rank", (8,)),),  # its own rule for ranks excludes the default one
    ]


def test_a_wrong_default_is_told_where_it_stands(complaints):
    wrong = HEAD + "defaults:\n  models: {depth: 0}\n  methods: {fraction: 0.5}\n" + BODY
    assert complaints(wrong) == ["4: models[1].depth: must be an integer in [1, 48], got 0"]
    unknown = HEAD + "defaults:\n  models: {dept: 2}\n" + BODY.replace("asi, ", "")
    assert complaints(unknown) == [
        "4: defaults.models: none of the suite's models has an option 'dept'; did you mean 'depth'?"
    ]
    (line,) = complaints(HEAD + "defaults: {model: {}}\nmodels: [mcunet]\nmethods: [vanilla]\n")
    assert line.startswith("3: defaults: unknown key 'model'; did you mean 'models'?")


def test_a_suite_is_what_it_extends_and_what_it_says(load, write):
    write("base", HEAD + BODY.replace("asi, ", "") + "train: {lr: 0.1, clip: 1.0}\nseeds: [0, 1]\n")
    suite = load("schema: 1\nextends: base\ntitle: u\nmodels: [mcunet]\ntrain: {lr: 0.2}\n")
    assert suite.title == "u"
    assert [model.name for model in suite.models] == ["mcunet"]
    assert (suite.train.lr, suite.train.clip) == (0.2, 1.0)
    assert suite.seeds == (0, 1)
    assert "# extends base.yaml:\n" in suite.text  # the text travels: it names no folder
    assert "#   seeds: [0, 1]" in suite.text


def test_a_mistake_in_what_is_extended_is_told_where_it_stands(load, write):
    write("base", HEAD + "models: [mcunet]\nmethods: [vanilla]\nseeds: -1\n")
    with pytest.raises(BadInput, match=r"^suites/base.yaml:5: seeds: must be at least 0, got -1$"):
        load("schema: 1\nextends: base\n")


@pytest.mark.parametrize(
    ("extends", "says"),
    [
        ("x", "2: extends: suites/x.yaml extends this file again"),
        ("bse", "2: extends: unknown suite 'bse'; did you mean 'base'?"),
        ("[base]", "2: extends: must be a name or a path, got ['base']"),
        ("./base.yaml", None),
    ],
)
def test_what_can_be_extended(complaints, write, load, extends, says):
    write("base", HEAD + "models: [mcunet]\nmethods: [vanilla]\n")
    text = f"schema: 1\nextends: {extends}\n"
    if says is None:
        assert load(text).title == "t"
    else:
        assert complaints(text)[0].startswith(says)


def test_an_override_is_the_suite_as_a_board_takes_it(load):
    suite = load(
        HEAD
        + BODY.replace("asi, ", "")
        + "overrides:\n  pi5-4gb:\n    defaults: {models: {batch: 2}}\n    seeds: [5]\n"
    )
    assert (batches(suite), suite.seeds) == ([(8,), (4,)], (0,))
    small = suite.on(["pi5-4gb", "pi5"])
    assert (batches(small), small.seeds) == ([(2,), (4,)], (5,))
    assert suite.on(["pi5-8gb", "pi5"]) is suite


def test_a_wrong_override_is_told_where_it_stands(complaints):
    text = HEAD + "models: [mcunet]\nmethods: [vanilla]\noverrides:\n  "
    (line,) = complaints(text + "pi55: {seeds: 1}\n")
    assert line.startswith("6: overrides: unknown hardware profile 'pi55'; did you mean 'pi5'?")
    assert complaints(text + "pi5:\n    seeds: -1\n") == ["7: seeds: must be at least 0, got -1"]
    assert complaints(text + "pi5:\n    title: u\n") == [
        "7: overrides.pi5: title is the same on every board"
    ]


def test_conditions_and_expected_times_are_read(load, complaints):
    suite = load(
        HEAD
        + BODY.replace("asi, ", "")
        + "when: [{cells: vit, memory_gib: 4}]\nexpected: {x86: 3m}\n"
    )
    assert (suite.when[0].cells, suite.when[0].memory_gib) == (("vit",), 4)
    assert suite.expected == {"x86": 180}
    assert complaints(HEAD + BODY.replace("asi, ", "") + "expected: {x87: 3m}\n")[0].startswith(
        "5: expected: unknown hardware profile 'x87'"
    )
