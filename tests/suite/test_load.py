import dataclasses
import re

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.suite.cell import LearningPlan, Train
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.matrix import cells_of
from ondevice_bench.suite.passes import passes_of
from ondevice_bench.suite.suite import Axis

METHODS = (
    "vanilla, gradient_filter, svd, hosvd, asi, wsi, wasi, lora, bias_only, lora_fa, "
    "lance, wsi_svd, lbp_wht, "
    "checkpoint, microbatch, saved_bf16, saved, lean, fewbit, update_in_backward, galore"
)
LAYERS = (
    "all, mlp, attention, attention+mlp, conv, last: K, last: K of TEXT, last_blocks: K or "
    "pattern: TEXT"
)
RULES = "rank, epsilon, fraction, trained, budget_mib, perplexity"
ASI = "models: [mcunet]\nmethods:\n  - "
HEAD = "schema: 1\ntitle: t\n"
BODY = "models: [mcunet]\nmethods: [vanilla]\n"


def test_what_is_not_said_takes_its_default(load):
    suite = load(HEAD + BODY)
    assert (suite.name, suite.title) == ("x", "t")
    assert [m.name for m in suite.models] == ["mcunet"]
    assert suite.models[0].batches == (8,)
    assert suite.models[0].axes == ()
    assert suite.train == Train()
    assert suite.measure == ("memory", "trace", "time")
    assert (suite.seeds, suite.rounds, suite.hardware) == (
        (0,),
        {"memory": 3, "time": 1, "energy": 1, "treated_layers": 1, "latency": 1},
        (),
    )
    assert suite.text == HEAD + BODY


@pytest.mark.parametrize(
    ("said", "measured"),
    [
        ("+fidelity", ("memory", "trace", "time", "fidelity")),
        ("[+fidelity, +energy]", ("memory", "trace", "time", "fidelity", "energy")),
        ("[+energy, +trace]", ("memory", "trace", "time", "energy")),
        ("[fidelity, memory]", ("fidelity", "memory")),
        ("[time, memory, time]", ("time", "memory")),
    ],
)
def test_a_pass_with_a_plus_is_added_to_the_default(load, said, measured):
    assert load(f"{HEAD}{BODY}measure: {said}\n").measure == measured


def test_who_says_how_long_to_sustain_wants_the_pass_on_every_board(load):
    suite = load(f"{HEAD}{BODY}sustain: 20m\noverrides: {{pi4: {{sustain: 5m}}}}\n")
    assert (suite.measure[-1], suite.sustain) == ("sustained", 1200.0)
    assert suite.on(["pi4"]).sustain == 300.0
    assert suite.on(["pi4"]).measure == suite.measure
    named = load(f"{HEAD}{BODY}measure: [sustained, time]\nsustain: 120\n")
    assert (named.measure, named.sustain) == (("sustained", "time"), 120.0)
    assert load(f"{HEAD}{BODY}measure: +sustained\n").sustain == 1200.0


def test_a_long_training_has_its_time_beyond_the_limit(load):
    suite = load(f"{HEAD}{BODY}sustain: 20m\ntimeout: 5m\n")
    assert suite.timeout_of("sustained") == 1500.0
    assert suite.timeout_of("time") == 300.0


@pytest.mark.parametrize("said", ["90s", "0", "5h", "20 minutes", "[2m]"])
def test_two_minutes_are_the_least_and_four_hours_the_most(complaints, said):
    (line,) = complaints(f"{HEAD}{BODY}sustain: {said}\n")
    assert line.startswith("5: sustain: must be")


def test_a_scalar_is_a_list_of_one_and_a_bare_entry_has_no_options(load):
    suite = load(
        HEAD
        + "models:\n  - vit_b_32: {batch: 4, depth: [1, 2]}\n  - mcunet:\n"
        + "methods: [vanilla]\nseeds: 3\nhardware: x86\ndtype: float64\n"
    )
    vit, mcunet = suite.models
    assert vit.batches == (4,)
    assert [(axis.name, axis.values) for axis in vit.axes] == [("depth", (1, 2))]
    assert mcunet.name == "mcunet"
    assert (suite.seeds, suite.hardware, suite.dtypes) == ((3,), ("x86",), ("float64",))


def test_a_single_layer_is_a_model_by_its_description(load):
    suite = load(
        HEAD
        + "defaults: {models: {batch: 32}}\nmodels:\n  - conv2d(8,8,3) at 6x6\n"
        + "  - linear(8, 4) at 5: {batch: [1, 2], weights: {spectrum: 1}}\nmethods: [vanilla]\n"
    )
    conv, linear = suite.models
    assert (conv.name, conv.batches) == ("conv2d(8, 8, 3) at 6x6", (32,))
    assert (linear.name, linear.batches) == ("linear(8, 4) at 5", (1, 2))
    assert [source.name for source in linear.weights] == ["spectrum(1)"]


def test_one_model_or_method_needs_no_list(load):
    suite = load(HEAD + "models: mcunet\nmethods: vanilla\n")
    assert [m.name for m in suite.models] == ["mcunet"]
    assert [m.name for m in suite.methods] == ["vanilla"]
    suite = load(HEAD + "models: {mcunet: {batch: 3}}\nmethods: vanilla\n")
    assert suite.models[0].batches == (3,)


def test_shares_and_durations_are_read_as_people_write_them(load):
    suite = load(HEAD + BODY + "timeout: 10m\ntime: {precision: 2%, max_seconds: 1.5h}\n")
    assert suite.timeout == 600.0
    assert suite.sampling.precision == pytest.approx(0.02)
    assert suite.sampling.max_seconds == 5400.0


def test_training_settings_reach_the_suite(load):
    suite = load(HEAD + BODY + "train: {lr: 0.1, clip: null, momentum: 0.9, freeze_bn: false}\n")
    assert suite.train == Train(lr=0.1, clip=None, momentum=0.9, freeze_bn=False)


def test_a_plan_for_learning_is_part_of_the_cells_that_learn(load):
    said = "learning: {epochs: 2, learning_rates: [0.2, 0.1, 0.2]}\n"
    plan = LearningPlan(epochs=2, learning_rates=(0.1, 0.2))
    learning = load(HEAD + BODY + said + "data: digits\nmeasure: [trace, learning]\n")
    (cell,) = cells_of(learning)
    assert cell.learning == plan
    assert passes_of(cell, learning.measure) == ("trace", "learning_rate", "learning")
    one_rate = dataclasses.replace(cell, learning=LearningPlan())
    assert passes_of(one_rate, learning.measure) == ("trace", "learning")
    (other,) = cells_of(load(HEAD + BODY))
    assert other.learning is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEAD + "methods: [vanilla]\n", "1: models: is required"),
        (HEAD + "models: []\nmethods: [vanilla]\n", "3: models: must not be empty"),
        (HEAD + BODY + "layers: {last: []}\n", "5: layers: last must not be empty"),
        (HEAD + "models: [torchvision:resnet18: {a: []}]\nmethods: [vanilla]\n", "3: models[0]: a must not be empty"),
        (
            HEAD + "models: [mcunet]\nmethods:\n  - vanila\n",
            "5: methods[0]: unknown method 'vanila'; did you mean 'vanilla'? (allowed: " + METHODS + ", compose, mix, ./FILE.py:CLASS)",
        ),
        (
            HEAD + "models:\n  - mcunet: {}\n    vit_b_32: {}\nmethods: [vanilla]\n",
            "4: models[0]: must be one model name, or `name: {options}`",
        ),
        (
            HEAD + "models:\n  - 3\nmethods: [vanilla]\n",
            "4: models[0]: must be one model name, or `name: {options}`",
        ),
        (
            HEAD + "models:\n  - mcunet: {batch: [4, -1]}\nmethods: [vanilla]\n",
            "4: models[0].batch[1]: must be at least 1, got -1",
        ),
        (
            HEAD + "models:\n  - mcunet: {batch: []}\nmethods: [vanilla]\n",
            "4: models[0].batch: must not be empty",
        ),
        (
            HEAD + "models:\n  - vit_b_32: {image_size: 100}\nmethods: [vanilla]\n",
            "4: models[0].image_size: must be a multiple of 32 in [32, 2048], got 100",
        ),
        (HEAD + BODY + "schema: 2\n", '5: found duplicate key "schema"'),
        ("schema: 2\ntitle: t\n" + BODY, "1: schema: must be 1, got 2"),
        (HEAD + BODY + "hardware: pi6\n", "5: hardware: unknown hardware profile 'pi6'; did you mean 'pi5'? (known: generic, pi4, pi4-1gb, pi4-2gb, pi4-4gb, pi4-8gb, pi5, pi5-16gb, pi5-2gb, pi5-4gb, pi5-8gb, x86, x86-1core-2g)"),
        (HEAD + BODY + "baseline: asy\n", "5: baseline: unknown method 'asy'; did you mean 'asi'? (known: " + ", ".join(sorted(METHODS.split(", "))) + ")"),
        (HEAD + BODY + "layers: mpl\n", "5: layers: must be " + LAYERS + ", got 'mpl'; did you mean 'mlp'?"),
        (HEAD + BODY + "baseline: asi\n", "5: baseline: none of the suite's methods is 'asi' (methods: vanilla)"),
        (HEAD + BODY + "learning: {epochs: 2}\n", "5: learning: has no effect, because the pass `learning` is not in `measure`"),
        (HEAD + BODY + "overrides: {pi5: {learning: {epochs: 2}}}\n", "5: overrides.pi5.learning: has no effect, because the pass `learning` is not in `measure`"),
        (HEAD + BODY + "hardware: [pi4, pi5-8gb]\noverrides:\n  pi5-4gb: {seeds: 3}\n", "7: overrides.pi5-4gb: the suite is not for this board (hardware: pi4, pi5-8gb)"),
        (HEAD + BODY + "layers:\n  pattern: >\n    *.fc1\n", "5: layers: pattern must be one line without control characters, got '*.fc1\\n'"),
        (HEAD + BODY + "layers: 'pattern: a\n\n  b'\n", "5: layers: pattern must be one line without control characters, got 'a\\nb'"),
        (HEAD + 'models: [torchvision:resnet18: {a: "b/c\\n"}]\nmethods: [vanilla]\n', "3: models[0]: a must be one line without control characters, got 'b/c\\n'"),
        (HEAD + BODY + "layers: [all, last: 0]\n", "5: layers[1]: last must be an integer of at least 1, got 0"),
        (HEAD + BODY + "layers: [last: 0 of *mlp*]\n", "5: layers[0]: last must be an integer of at least 1, or such an integer and a pattern, as in `last: 5 of *mlp*`, got '0 of *mlp*'"),
        (HEAD + ASI + "asi: {rank: 2, least: true}\n", "5: methods[0]: least needs budget_mib or perplexity"),
        (HEAD + BODY + "layers: {lst: 2}\n", "5: layers: must be " + LAYERS + ", got 'lst'; did you mean 'last'?"),
        (HEAD + ASI + "asi\n", "5: methods[0].asi: needs one of " + RULES),
        (HEAD + ASI + "asi: {rank: 0}\n", "5: methods[0].rank: must be an integer of at least 1, or one for each mode such as 8x16x32, got 0"),
        (HEAD + ASI + "asi: {rank: 8x0}\n", "5: methods[0].rank: must be an integer of at least 1, or one for each mode such as 8x16x32, got '8x0'"),
        (HEAD + ASI + "asi: {epsilon: [0.8, 1.7]}\n", "5: methods[0].epsilon[1]: must be in (0, 1], got 1.7"),
        (HEAD + ASI + "asi: {epsilon: 0.8, fraction: 0.5}\n", "5: methods[0]: takes one of " + RULES + ", got epsilon and fraction"),
        (HEAD + ASI + "wasi: {epsilon: 0.8, weight_rank: 3, weight_epsilon: 0.5}\n", "5: methods[0]: takes one of weight_rank, weight_epsilon, got weight_rank and weight_epsilon"),
        (HEAD + ASI + "./none.py:Mine\n", "5: methods[0]: ./none.py: cannot be read: No such file or directory"),
        (HEAD + ASI + "compose: [vanilla]\n", "5: methods[0]: must name two or more different methods"),
        (HEAD + ASI + "compose: [asi: {rank: 2}, svd: {rank: 2}]\n", "5: methods[0]: asi and svd both replace layers: compose one of them"),
        (HEAD + ASI + "compose: [asi: {rnk: 2}, checkpoint]\n", "5: methods[0][0]: unknown option 'rnk'; did you mean 'rank'? (allowed: rank, epsilon, fraction, trained, budget_mib, perplexity, least, multiple, sequential)"),
        (HEAD + BODY + "rounds: 0\n", "5: rounds: must be at least 1, or a mapping of passes, got 0"),
        (HEAD + BODY + "rounds: {trace: 2}\n", "5: rounds: unknown key 'trace' (allowed: memory, time, energy, treated_layers, latency)"),
        (HEAD + BODY + "rounds: {tiem: 2}\n", "5: rounds: unknown key 'tiem'; did you mean 'time'? (allowed: memory, time, energy, treated_layers, latency)"),
        (HEAD + BODY + "rounds: {time: 0}\n", "5: rounds.time: must be at least 1, got 0"),
        (HEAD + BODY + "seeds: [0, -1]\n", "5: seeds[1]: must be at least 0, got -1"),
        (HEAD + BODY + "time: {precision: 200%}\n", "5: time.precision: must be in (0, 1], got 2.0"),
        (HEAD + BODY + "timeout: soon\n", "5: timeout: must be a duration such as 90, 90s, 10m or 2h, got 'soon'"),
        (
            HEAD + BODY + "time: {min_samples: 20, max_samples: 10}\n",
            "5: time: min_samples (20) exceeds max_samples (10)",
        ),
        (HEAD + BODY + "train: {lr: 0}\n", "5: train.lr: must be greater than 0, got 0"),
        (HEAD + BODY + "train: {optimizer: adam}\n", "5: train.optimizer: must be 'sgd' or 'adamw', got 'adam'"),
        (HEAD + BODY + "learning: {target: 95}\n", "5: learning.target: must be at most 1, got 95"),
        (HEAD + BODY + "learning: {target: 0}\n", "5: learning.target: must be greater than 0, got 0"),
        (HEAD + BODY + "learning: {epochs: 0}\n", "5: learning.epochs: must be at least 1, got 0"),
        (HEAD + BODY + "learning: {examples: 0}\n", "5: learning.examples: must be at least 1, got 0"),
        (HEAD + BODY + "learning: {learning_rates: []}\n", "5: learning.learning_rates: must have at least two rates: one rate alone is `train: {lr: RATE}`"),
        (HEAD + BODY + "learning: {learning_rates: 0.1}\n", "5: learning.learning_rates: must have at least two rates: one rate alone is `train: {lr: RATE}`"),
        (HEAD + BODY + "learning: {learning_rates: [0.1, 0]}\n", "5: learning.learning_rates[1]: must be greater than 0, got 0"),
        (HEAD + BODY + "learning: {epoch: 1}\n", "5: learning: unknown key 'epoch'; did you mean 'epochs'? (allowed: epochs, target, examples, validation, test, learning_rates, rate_epochs)"),
        (HEAD + BODY + "overrides: {pi5: 3}\n", "5: overrides.pi5: must be a mapping, got 3"),
        (HEAD + BODY + "train: 3\n", "5: train: must be a mapping, got 3"),
        (HEAD + BODY + "time: {precison: 2%}\n", "5: time: unknown key 'precison'; did you mean 'precision'? (allowed: warmup, min_samples, max_samples, max_seconds, precision)"),
        (HEAD + BODY + "goal: {max_peak: -1}\n", "5: goal.max_peak: must be greater than 0, got -1"),
        (HEAD + BODY + "goal: {max_peak_bytes: 1}\n", "5: goal: unknown key 'max_peak_bytes'; did you mean 'max_peak'? (allowed: minimise, min_cosine, max_peak, max_slowdown)"),
        (HEAD + BODY + "when: {cells: mcunet}\n", "5: when.memory_gib: is required"),
        (HEAD + BODY + "when: [{cells: mcunet, memory_gib: 0}]\n", "5: when[0].memory_gib: must be greater than 0, got 0"),
        (HEAD + BODY + "measure: [time, tarce]\n", "5: measure[1]: unknown pass 'tarce'; did you mean 'trace'? (known: accuracy, energy, fidelity, latency, learning, loading, memory, sustained, time, trace, treated_layers)"),
        (HEAD + BODY + "measure: [+trac]\n", "5: measure[0]: unknown pass 'trac'; did you mean 'trace'? (known: accuracy, energy, fidelity, latency, learning, loading, memory, sustained, time, trace, treated_layers)"),
        (HEAD + BODY + "measure: [time, +fidelity]\n", "5: measure: must name all passes (time), or only passes to add to the default (+fidelity), not both"),
        (HEAD + BODY.replace("mcunet", '"conv2d(8, 8) at 4x4"'), "3: models[0]: 'conv2d(8, 8) at 4x4': conv2d needs 3 numbers (in_channels, out_channels, kernel_size), and takes more by name: must be `conv2d(in_channels, out_channels, kernel_size) at HEIGHTxWIDTH`, for example `conv2d(128, 128, 3, padding=1) at 120x160`"),
        (HEAD + BODY.replace("mcunet", '{"linear(8, 8) at 4": {bias: false}}'), "3: models[0]: unknown option 'bias' (allowed: batch, weights); write arguments of the layer between its brackets"),
        (HEAD + BODY.replace("mcunet", '{"linear(8, 8) at 4": {batch: 0}}'), "3: models[0]: must be at least 1, got 0"),
        (HEAD + BODY + "measure: [calibrate]\n", "5: measure[0]: unknown pass 'calibrate'; did you mean 'latency'? (known: accuracy, energy, fidelity, latency, learning, loading, memory, sustained, time, trace, treated_layers)"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_with_place_and_cure(complaints, text, says):
    assert complaints(text) == [says]


def test_all_errors_come_at_once(complaints):
    text = "schema: 1\ntitle: ''\nmodels: [mcunt]\nmethods: [vanila]\nround: 3\n"
    found = complaints(text)
    assert [line.split(":")[0] for line in found] == ["2", "3", "4", "5"]
    assert "did you mean 'rounds'?" in found[-1]


@pytest.mark.parametrize("name", ["my suite@1", "..", ".x", "-x", "rank²", "x" * 101])
def test_a_name_that_cannot_name_a_folder_or_a_run_is_refused(workplace, name):
    (workplace / f"{name}.yaml").write_text(HEAD + BODY)
    with pytest.raises(BadInput, match="becomes part of folders and run ids"):
        load_suite(f"{name}.yaml")


def test_a_profile_that_no_result_can_name_is_no_board_of_a_suite(complaints, workplace):
    (workplace / "hardware").mkdir()
    (workplace / "hardware/pi5 copy.yaml").write_text("schema: 1\ntitle: a copy\nextends: pi5\n")
    (said,) = complaints(HEAD + BODY + "hardware: pi5 copy\n")
    assert "hardware: unknown hardware profile 'pi5 copy'; did you mean 'pi5'?" in said


def test_the_words_of_layers_have_one_spelling_each(load):
    text = (
        "layers: [all, mlp+attention, 'last: 4', last: [2, 3], last_blocks: 1, pattern: '*.fc',\n"
        "last: 5 of *mlp*, 'last: 5 of *mlp*']\n"
    )
    assert load(HEAD + BODY + text).layers == (
        "all",
        "attention+mlp",
        "last:4",
        "last:2",
        "last:3",
        "last_blocks:1",
        "pattern:*.fc",
        "last:5 of *mlp*",
        "last:5 of *mlp*",
    )


def test_a_composition_has_one_name_whatever_its_order(load):
    first, second = (
        load(HEAD + "models: [vit_b_32]\nmethods: [" + text + "]\n").methods[0]
        for text in (
            "compose: [checkpoint: {scope: mlp}, wasi: {epsilon: [0.8, 0.9]}]",
            "compose: [wasi: {epsilon: [0.8, 0.9]}, checkpoint: {scope: mlp}]",
        )
    )
    assert first == second
    assert first.name == "wasi+checkpoint"
    assert first.axes == (
        Axis("wasi.epsilon", (0.8, 0.9)),
        Axis("checkpoint.scope", ("mlp",)),
    )


def test_a_method_in_a_file_is_named_with_a_hash_of_its_code(load, workplace):
    mine = workplace / "suites/mine.py"
    mine.parent.mkdir()
    mine.write_text("class Mine: ...\n")
    text = HEAD + "models: [mcunet]\nmethods: [./mine.py:Mine: {keep: [2, 3], how: x}]\n"
    (first,) = load(text).methods
    assert re.fullmatch(r"mine\.py:Mine@[0-9a-f]{8}", first.name)
    assert first.axes == (Axis("how", ("x",)), Axis("keep", (2, 3)))
    (other,) = load(text.replace("keep: [2, 3], how: x", "how: x, keep: [2, 3]")).methods
    assert other == first  # the order in the file names no other cell
    mine.write_text("class Mine: pass\n")
    (second,) = load(text).methods
    assert first.name != second.name


def test_an_option_that_a_method_in_a_file_does_not_have_is_known_before_a_run(
    load, complaints, workplace
):
    mine = workplace / "suites/mine.py"
    mine.parent.mkdir()
    mine.write_text("class Mine:\n    def __init__(self, *, share=0.5): ...\n")
    text = HEAD + "models: [mcunet]\nmethods: [./mine.py:Mine: {shar: 0.25}]\n"
    (said,) = complaints(text)
    assert said.startswith("4: methods[0]: unknown option 'shar'; did you mean 'share'? (allowed: ")
    assert load(text.replace("shar:", "share:")).methods[0].axes == (Axis("share", (0.25,)),)
    assert load(text.replace("shar:", "rank:")).methods[0].axes == (Axis("rank", (0.25,)),)


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("keep: null", "5: methods[0]: keep must be text, a number, true or false, got None"),
        ("keep: [1, {a: 1}]", "5: methods[0]: keep must be text, a number, true or false, got {"),
        ("keep: .inf", "5: methods[0]: keep must be text, a number, true or false, got inf"),
        ("keep: []", "5: methods[0]: keep must not be empty"),
    ],
)
def test_a_wrong_option_of_a_method_in_a_file_is_one_line(complaints, workplace, option, says):
    mine = workplace / "suites/mine.py"
    mine.parent.mkdir()
    mine.write_text("class Mine: ...\n")
    (line,) = complaints(HEAD + f"models: [mcunet]\nmethods:\n  - ./mine.py:Mine: {{{option}}}\n")
    assert line.startswith(says)


def test_a_file_of_a_method_has_no_sign_that_joins_methods(complaints, workplace):
    mine = workplace / "suites/a+b.py"
    mine.parent.mkdir()
    mine.write_text("class Mine: ...\n")
    (line,) = complaints(HEAD + "models: [mcunet]\nmethods: ./a+b.py:Mine\n")
    assert line.startswith("4: methods: a+b.py: '+' joins methods")


def test_an_allocator_is_a_name_or_a_list(load, complaints):
    assert load(HEAD + BODY + "allocator: tcmalloc\n").allocators == ("tcmalloc",)
    assert load(HEAD + BODY + "allocator: [glibc, jemalloc]\n").allocators == ("glibc", "jemalloc")
    assert complaints(HEAD + BODY + "allocator: [glibc, tcmaloc]\n") == [
        (
            "5: allocator[1]: unknown allocator 'tcmaloc'; did you mean 'tcmalloc'? (known: glibc, "
            "glibc-mmap-128k, jemalloc, mimalloc, tcmalloc)"
        )
    ]


def test_momentum_is_for_sgd_only(load, complaints):
    assert load(HEAD + BODY + "train: {optimizer: adamw}\n").train == Train(optimizer="adamw")
    (said,) = complaints(HEAD + BODY + "train: {optimizer: adamw, momentum: 0.9}\n")
    assert said.endswith("train: momentum is for sgd only: adamw has moments of its own")
