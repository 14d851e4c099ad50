from dataclasses import replace

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.passes import ROUNDS
from ondevice_bench.suite.board import Board
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.matrix import cells_of
from ondevice_bench.suite.plan import plan
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
        ("base.yaml", None),
        ("../suites/base.yaml", None),
    ],
)
def test_what_can_be_extended(complaints, write, load, workplace, extends, says):
    write("base", HEAD + "models: [mcunet]\nmethods: [vanilla]\n")
    (workplace / "base.yaml").write_text("schema: 1\ntitle: of the working directory\n")
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


def test_a_number_of_rounds_is_joined_as_that_of_every_pass(load, write, complaints):
    text = HEAD + "models: [mcunet]\nmethods: [vanilla]\nrounds: 5\n"
    suite = load(text + "overrides: {pi5: {rounds: {time: 2}}}\n")
    of_all = dict.fromkeys(ROUNDS, 5)
    assert (suite.rounds, suite.on(["pi5"]).rounds) == (of_all, {**of_all, "time": 2})
    write("base", text)
    over = "schema: 1\nextends: base\nrounds: {time: 2}\n"
    assert load(over).rounds == {**of_all, "time": 2}
    assert load(over.replace("{time: 2}", "7")).rounds == dict.fromkeys(ROUNDS, 7)
    write("base", text.replace("5", "0"))
    assert complaints(over)[0].startswith("suites/base.yaml:5: rounds.memory: must be at least 1")


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


def test_defaults_go_to_the_parts_of_compositions_and_mixes(load):
    suite = load(
        HEAD
        + "defaults: {methods: {rank: 8}}\nmodels: [mcunet]\nmethods:\n"
        + "  - compose: [asi, checkpoint]\n"
        + "  - compose: [asi: {fraction: 0.5}, lean]\n"
        + "  - mix: {conv: lora, all: {compose: [asi, lean]}, label: m}\n"
    )
    assert [method.axes for method in suite.methods] == [
        (Axis("asi.rank", (8,)),),
        (Axis("asi.fraction", (0.5,)),),
        (Axis("conv=lora.rank", (8,)), Axis("all=asi.rank", (8,))),
    ]


def test_a_wrong_default_of_a_part_is_told_where_it_stands(complaints):
    text = HEAD + "models: [mcunet]\nmethods: [compose: [asi, lean]]\ndefaults:\n  methods:\n"
    (line,) = complaints(text + "    rank: 0\n")
    assert line.startswith("7: methods[0][0].rank: must be an integer of at least 1")


def test_a_default_without_a_meaning_beside_the_own_options_is_left_out(load, complaints):
    text = HEAD + "models: [mcunet]\nmethods: [vanilla, asi: {rank: 4}]\ndefaults: "
    suite = load(text + "{methods: {budget_mib: 4, least: true}}\n")
    assert suite.methods[1].axes == (Axis("rank", (4,)),)
    (line,) = complaints(text.replace(": {rank: 4}", "") + "{methods: {least: true}}\n")
    assert line.endswith("needs one of rank, epsilon, fraction, trained, budget_mib, perplexity")


def test_no_default_is_suggested_in_place_of_itself(complaints):
    unused = HEAD + "defaults:\n  methods: {epsilon: 0.9}\nmodels: [mcunet]\nmethods: [vanilla]\n"
    assert complaints(unused) == [
        "4: defaults.methods: none of the suite's methods has an option 'epsilon'"
    ]


def test_a_default_that_one_board_needs_is_no_mistake(load):
    text = HEAD + "models: [mcunet]\nmethods: [vanilla]\ndefaults: {models: {depth: 2}}\n"
    suite = load(text + "overrides: {pi5: {models: [vit_b_32]}}\n")
    assert suite.on(["pi5"]).models[0].axes == (Axis("depth", (2,)),)


@pytest.mark.parametrize("hardware", ["[]", "pi5", "[x86, pi5-4gb]", "pi5-4gb"])
@pytest.mark.parametrize("board", ["pi5", "pi5-4gb"])
def test_an_override_is_for_a_board_of_the_suite_by_any_of_its_names(load, hardware, board):
    text = HEAD + "models: [mcunet]\nmethods: [vanilla]\n"
    suite = load(f"{text}hardware: {hardware}\noverrides: {{{board}: {{seeds: 3}}}}\n")
    assert suite.variants[board].seeds == (3,)


def test_inherited_keys_need_no_effect(load, write):
    write(
        "base",
        HEAD
        + "models: [mcunet]\nmethods: [vanilla, lean]\nbaseline: lean\nmeasure: [learning]\n"
        + "learning: {epochs: 2}\nhardware: pi5\noverrides: {pi5: {seeds: 3}}\n",
    )
    other = "schema: 1\nextends: base\nmethods: vanilla\nmeasure: time\nhardware: pi4\n"
    assert load(other).variants["pi5"].seeds == (3,)


def test_what_is_one_choice_is_not_joined_with_what_is_inherited(load, write, workplace):
    for name in ("a", "b"):
        (workplace / f"suites/{name}.npz").parent.mkdir(exist_ok=True)
        (workplace / f"suites/{name}.npz").write_bytes(name.encode())
    write(
        "base",
        HEAD
        + "models: {vit_b_32: {depth: 2}}\nmethods: {asi: {rank: 4}}\nlayers: {last: 4}\n"
        + "data: {npz: a.npz, name: pets}\nweights: {spectrum: 1}\n"
        + "defaults: {methods: {multiple: 8}}\n",
    )
    suite = load(
        "schema: 1\nextends: base\nmodels: {mcunet: {batch: 2}}\nmethods: {asi: {fraction: 0.5}}\n"
        "layers: {last_blocks: 2}\ndata: {npz: b.npz}\nweights: random\n"
        "defaults: {methods: {sequential: true}}\n"
    )
    assert suite.data.title == ""
    assert suite.data.path.name == "b.npz"
    assert [model.name for model in suite.models] == ["mcunet"]
    assert suite.layers == ("last_blocks:2",)
    assert set(suite.methods[0].axes) == {
        Axis("fraction", (0.5,)),
        Axis("multiple", (8,)),
        Axis("sequential", (True,)),
    }


def test_inherited_paths_begin_at_the_file_that_wrote_them(write, workplace):
    (workplace / "base").mkdir()
    (workplace / "other").mkdir()
    for folder, text in (("base", "1"), ("other", "2")):
        (workplace / folder / "m.py").write_text(f"class Mine: x = {text}\ndef net(): ...\n")
        (workplace / folder / "w.pt").write_text(text)
        (workplace / folder / "d.npz").write_text(text)
    (workplace / "base/base.yaml").write_text(
        HEAD
        + "models:\n  - ./m.py:net: {weights: [w.pt, pretrained: w.pt], config: w.pt}\n"
        + "methods:\n  - ./m.py:Mine\n  - compose: [lean, ./m.py:Mine: {rank: 4}]\n"
        + "  - mix: {conv: ./m.py:Mine, all: lean}\n"
        + "data: 'npz: d.npz'\nweights: w.pt\ndefaults: {models: {weights: w.pt}}\n"
    )
    (workplace / "other/x.yaml").write_text("schema: 1\nextends: ../base/base.yaml\n")
    base, child = (load_suite(name) for name in ("base/base.yaml", "other/x.yaml"))
    for key in ("models", "methods", "data", "weights"):
        inherited, own = getattr(child, key), getattr(base, key)
        if key == "methods":  # the places of a mix are of its file
            assert [each.name for each in inherited] == [each.name for each in own]
        else:
            assert inherited == own
    (workplace / "other/x.yaml").write_text(
        "schema: 1\nextends: ../base/base.yaml\nweights: w.pt\nmethods: [./m.py:Mine]\n"
    )
    child = load_suite("other/x.yaml")
    assert child.weights != base.weights
    assert child.methods[0].name != base.methods[0].name


def test_an_inherited_mistake_in_a_path_is_told_where_it_stands(write, workplace):
    (workplace / "base").mkdir()
    (workplace / "base/base.yaml").write_text(
        HEAD + "models: [mcunet]\nmethods:\n  - lean\n  - ./m.py:Mine:\n      kep: 1\n"
    )
    (workplace / "base/m.py").write_text("class Mine:\n  def __init__(self, *, keep=1): ...\n")
    (workplace / "x.yaml").write_text("schema: 1\nextends: base/base.yaml\n")
    with pytest.raises(BadInput, match=r"^base/base.yaml:6: methods\[1\]: unknown option 'kep'"):
        load_suite("x.yaml")


BASE = (
    HEAD
    + "models: [mcunet, vit_b_32]\nmethods: [vanilla, asi]\nhardware: [x86]\nexpected: {x86: 3m}\n"
    + "defaults: {models: {depth: 2}, methods: {rank: 4}}\n"
    + "include: [mcunet, vit]\nexclude: [vit*/asi*]\nwhen: [{cells: vit, memory_gib: 4}]\n"
)


def test_patterns_and_defaults_of_another_file_may_match_nothing(load, write):
    write("base", BASE)
    suite = load("schema: 1\nextends: base\nmodels: [mcunet]\nmethods: [vanilla]\n")
    assert [cell.id for cell in cells_of(suite)] == ["mcunet/vanilla/all/b8/s0"]
    own = load("schema: 1\nextends: base\nmodels: [mcunet]\nmethods: [vanilla]\nexclude: [vit]\n")
    with pytest.raises(BadInput, match=r"exclude\[0\]: 'vit' matches no cell"):
        cells_of(own)


def test_what_is_inherited_can_be_cleared_and_the_time_of_the_base_is_not_inherited(load, write):
    write("base", BASE)
    suite = load("schema: 1\nextends: base\nexclude: []\ninclude: []\nhardware: []\nwhen: []\n")
    assert (suite.include, suite.exclude, suite.hardware, suite.when) == ((), (), (), ())
    assert len(cells_of(suite)) == 4
    assert suite.expected == {}
    assert load("schema: 1\nextends: base\nexpected: {pi5: 5m}\n").expected == {"pi5": 300}


def test_a_pattern_may_match_on_another_board_only(load):
    suite = load(
        HEAD
        + "models: [mcunet, vit_b_32]\nmethods: [vanilla]\nhardware: [x86, pi5]\n"
        + "exclude: vit_b_32\noverrides: {pi5: {models: [mcunet]}}\n"
    )
    for here in ("x86", "pi5"):
        assert [item.cell.model for item in plan(suite, Board(here))] == ["mcunet", "mcunet"]
    with pytest.raises(BadInput, match="'vot' matches no cell"):
        plan(replace(suite, exclude=("vot",)), Board("x86"))
