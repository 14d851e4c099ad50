"""Users' own networks: what they say of themselves, and every way in which they can fail."""

import sys
from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch

from ondevice_bench.errors import BadInput
from ondevice_bench.running.queries import user_models
from ondevice_bench.specs import registry
from ondevice_bench.specs.inputs import Images, OwnBatch
from ondevice_bench.suite.board import Board
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.code import join_key
from ondevice_bench.suite.from_flags import Words
from ondevice_bench.suite.join import join
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.plan import plan
from tests.running.user_code import BATCHED, HERE, MEAN, NET, PAIR, PLAIN


@pytest.fixture
def said(workplace):
    """What `describe` makes of a model of a file, or its complaint."""
    (workplace / "mynet.py").write_text(NET)
    (workplace / "batched.py").write_text(BATCHED)

    def describe(model, *options, **more):
        suite = Words([model], options=options, **more).suite()
        user_models.describe(HERE, suite)
        return suite, registry.model(suite.models[0].name)

    return describe


def test_inputs_and_layers_come_from_the_network(said):
    suite, spec = said("./mynet.py:Net")
    assert spec.inputs({}) == Images(channels=3, size=24, classes=7)
    assert spec.layer_kinds == {"conv2d", "linear"}
    assert (spec.layout.head, spec.layout.counts) == ("head", "conv2d")
    assert not spec.completes_layout  # it has none
    assert suite.models[0].name.startswith("mynet.py:Net@")


@pytest.mark.parametrize(
    ("factory", "expected"),
    [
        ("Net", False),
        ("dropped", True),
        ("drops_by_function", True),
        ("drops_in_attention", True),
        ("attends", False),
    ],
)
def test_a_network_with_dropout_is_known(said, factory, expected):
    assert said(f"./mynet.py:{factory}")[1].has_dropout({}) == expected


def test_dropout_may_depend_on_the_options(said):
    suite, spec = said("./mynet.py:drops_by_function", "share=0.0", "share=0.5")
    cells = [item.cell for item in plan(suite, Board("here"))]
    assert [spec.has_dropout(dict(cell.model_options)) for cell in cells] == [False, True]


def test_options_go_to_the_factory_and_change_its_inputs(said):
    suite, spec = said("./mynet.py:Net", "image_size=32", "image_size=16", "classes=3")
    sizes = [spec.inputs(dict(item.cell.model_options)).size for item in plan(suite, Board("here"))]
    assert sizes == [32, 16]
    (_, item) = plan(suite, Board("here"))
    assert "(classes=3,image_size=16)/vanilla/all/b8/s0" in item.cell.id


def test_two_suites_use_a_network_with_different_options(said):
    """All suites of a fleet are described before the first cell is measured."""
    sizes = (20, 12)
    suites = [said("./mynet.py:Net", f"image_size={size}")[0] for size in sizes]
    for suite, size in zip(suites, sizes, strict=True):
        (item,) = plan(suite, Board("here"))
        spec, options = registry.model(item.cell.model), dict(item.cell.model_options)
        assert spec.inputs(options).size == size
        assert "mlp" in spec.missing_parts(options)


def test_batches_and_weights_of_an_own_model(said, workplace):
    text = "models: [./mynet.py:Net: {batch: [2, 3], weights: [random, {spectrum: 1}]}]\n"
    (workplace / "own.yaml").write_text(f"schema: 1\ntitle: t\nmethods: [vanilla]\n{text}")
    suite = load_suite("own.yaml")
    user_models.describe(HERE, suite)
    ids = [item.cell.id.partition("(")[2] for item in plan(suite, Board("here"))]
    assert ids == [
        f"weights={weights})/vanilla/all/b{batch}/s0"
        for weights in ("random", "spectrum(1)")
        for batch in (2, 3)
    ]


def test_a_factory_may_look_at_numbers(said, workplace):
    text = "from torch import nn\ndef net():\n    layer = nn.Linear(3 * 224 * 224, 2)\n"
    text += "    assert layer.weight.detach().numpy().std() > 0\n"
    (workplace / "numbers.py").write_text(f"{text}    return nn.Sequential(nn.Flatten(), layer)\n")
    _, spec = said("./numbers.py:net")
    assert spec.inputs({}) == Images(3, 224, 2)


def test_a_method_that_fits_no_layer_says_which_ones_there_are(said, workplace):
    text = "import torch\nfrom torch import nn\n\ndef {name}():\n    return {layer}\n\n"
    text += "def batch(size, seed):\n    return (torch.zeros(size, 1, 2, 2, 2),)\n\n"
    text += "def loss(model, batch):\n    return model(batch[0]).sum()\n"
    for name, layer in (("cube", "nn.Conv3d(1, 1, 1)"), ("bare", "nn.ReLU()")):
        (workplace / f"{name}.py").write_text(text.format(name=name, layer=layer))
    _, cube = said("./cube.py:cube")
    assert cube.layer_kinds == {"Conv3d"}
    refused = registry.method("asi").refuses(cube)
    assert refused == f"asi treats conv2d, linear; {cube.name} has Conv3d"
    _, bare = said("./bare.py:bare")
    assert registry.method("asi").refuses(bare).endswith(f"{bare.name} has no such layers")


def test_two_versions_of_a_package_are_two_workloads_that_can_be_compared(
    said, workplace, monkeypatch
):
    folder = workplace / "site"
    (folder / "installed").mkdir(parents=True)
    monkeypatch.syspath_prepend(folder)
    file = folder / "installed" / "audio.py"
    cells = []
    for channels in (5, 6):
        for name in [name for name in sys.modules if name.partition(".")[0] == "installed"]:
            monkeypatch.delitem(sys.modules, name)
        (folder / "installed" / "__init__.py").write_text("")
        file.write_text(NET + f"# version {channels}\n")
        suite, spec = said("installed.audio:Net")
        assert spec.code_file == str(file)
        cells += [item.cell for item in plan(suite, Board("here"))]
    before, after = cells
    assert before.id == after.id == "installed.audio:Net/vanilla/all/b8/s0"
    assert before.fingerprint != after.fingerprint
    assert join_key(before) == join_key(after)
    (change,) = join([before], [after]).code_changes
    assert str(change) == f"installed.audio changed ({before.code} → {after.code})"
    assert Cell.from_dict(before.to_dict()) == before
    # a run of an earlier version named no code
    of_earlier = replace(before, code="")
    assert "code" not in of_earlier.to_dict()
    assert join([of_earlier], [after]).pairs == ((of_earlier, after),)
    assert not join([of_earlier], [after], same_code=True).pairs


@pytest.mark.skipif(torch.cuda.is_available(), reason="here torch can move a network to CUDA")
def test_a_network_that_moves_itself_to_cuda_is_told_where_bench_measures(said, workplace):
    text = "from torch import nn\ndef net():\n    return nn.Linear(2, 2).cuda()\n"
    (workplace / "moved.py").write_text(text)
    with pytest.raises(BadInput) as error:
        said("./moved.py:net")
    (line,) = error.value.lines
    assert line.endswith("bench measures on the CPU, so leave the network there")
    assert "(line 3 of moved.py)" in line


NO_MLP = 'mynet.py:Net declares no mlp: add `layout = {"mlp": "PATTERN"}` to mynet.py'
NEITHER = (
    "batched.py:model declares no attention and no mlp: add `layout = "
    '{"attention": "PATTERN", "mlp": "PATTERN"}` to batched.py'
)
NO_MATCH = "laid_out.py:model: its layout has mlp, but the patterns match no layer"


@pytest.mark.parametrize(
    ("model", "layers", "reason"),
    [
        ("./mynet.py:Net", "mlp", f"{NO_MLP}, or use `layers: all`"),
        ("./batched.py", "attention+mlp", f"{NEITHER}, or use `layers: all`"),
        ("./laid_out.py", "mlp", f"{NO_MATCH}: use `layers: all`"),
        ("./laid_out.py", "attention", ""),
    ],
)
def test_a_part_that_a_network_lacks_is_known_to_the_plan(said, workplace, model, layers, reason):
    layout = BATCHED.replace('"head": "head"', '"mlp": "no.such", "attention": "trunk.*"')
    (workplace / "laid_out.py").write_text(layout)
    suite, _ = said(model, methods=["vanilla", "asi"], ranks={"rank": ["2"]}, layers=[layers])
    vanilla, asi = plan(suite, Board("here"))
    assert vanilla.state == "planned"
    assert (asi.state, asi.reason) == ("skipped" if reason else "planned", reason)


@pytest.mark.parametrize(
    ("model", "scope", "reason"),
    [
        ("./mynet.py:Net", "blocks", "checkpoint needs blocks; mynet.py:Net declares none"),
        ("./batched.py", "blocks", ""),
        ("./batched.py", "mlp", "checkpoint needs mlp; batched.py:model declares none"),
    ],
)
def test_modules_that_a_network_lacks_are_known_to_the_plan(said, model, scope, reason):
    suite, _ = said(model, f"scope={scope}", methods=["vanilla", "checkpoint"])
    _, found = plan(suite, Board("here"))
    assert (found.state, found.reason) == ("skipped" if reason else "planned", reason)


def test_a_file_may_bring_batch_loss_and_layout(said):
    suite, spec = said("./batched.py", layers=["last: 1"])
    assert spec.inputs({}) == OwnBatch()
    assert spec.layout.blocks == "trunk.*"
    assert spec.layout.counts == "linear"  # guessed, because the file does not say it
    assert spec.completes_layout
    assert spec.has_own_loss
    (item,) = plan(suite, Board("here"))
    assert item.cell.data == "the batch function of the model's file"
    assert item.cell.revision == 1  # an earlier version did not guess


@pytest.mark.parametrize(
    ("model", "options", "says"),
    [
        ("./mynet.py:nets", (), "has no 'nets' (it has: "),
        ("./mynet.py:broken", (), "broken is a Net: name a function that makes the network"),
        (
            "./mynet.py:raises",
            (),
            "raises raised RuntimeError: no such thing (line 22 of mynet.py)",
        ),
        ("./mynet.py:nothing", (), "nothing returned a int, not a torch.nn.Module"),
        ("./mynet.py:deep", (), "deep: missing a required argument: 'depth'"),
        (
            "./mynet.py:deep",
            ("dept=3",),
            "deep: unknown option 'dept'; did you mean 'depth'? (allow",
        ),
        ("./mynet.py:net", ("clases=3",), "net raised TypeError: Net.__init__() got an unexpected"),
        ("./mynet.py:cube", (), "gives (2, 3, 50176) for a batch of shape (2, 3, 224, 224), not ("),
        ("./mynet.py:wide", ("image_size=24x32",), "the number of pixels of a side, got '24x32': "),
        (
            "./mynet.py:wide",
            (),
            "image_size must be the number of pixels of a side, got (24, 32): ",
        ),
        (
            "./mynet.py:picky",
            (),
            "cannot take a batch of shape (2, 3, 224, 224): ValueError: wants",
        ),
        ("no_such_module:net", (), "no_such_module: cannot be loaded: ModuleNotFoundError: No mod"),
        ("torchvision:resnet18", (), "torchvision is not installed: pip install torchvision"),
    ],
)
def test_what_is_no_network_is_one_clear_line(said, model, options, says):
    if model.startswith("torchvision") and find_spec("torchvision"):
        pytest.skip("torchvision is installed here")
    with pytest.raises(BadInput) as error:
        said(model, *options)
    (line,) = error.value.lines
    assert line.startswith("command line: ")
    assert says in line


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def batch(size, seed):\n    return 3\n", "batch must return tensors, in tuples"),
        (
            "import torch\ndef batch(size, seed):\n    return torch.zeros(5, 1)\n",
            "batch(2, seed) must return tensors of length 2, got (5, 1)",
        ),
        ("def batch(size, seed):\n    return 1 / 0\n", "batch raised ZeroDivisionError: division"),
        ("loss = 3\n", "loss must be a function"),
        ("layout = {'heads': 'x'}\n", "layout must be a dict with some of head, blocks"),
        ("layout = {'counts': 'conv'}\n", "layout: counts must be conv2d or linear, got 'conv'"),
        ("layout = {'mlp': ['x']}\n", "layout: mlp must be a text, got ['x']"),
        ("layout = {'head': 'fc'}\n", "layout: head: the network has no module 'fc'"),
        ("layout = {'auxiliary': 'a'}\n", "layout: auxiliary: the network has no module 'a'"),
        ("def net(:\n", "cannot be loaded: SyntaxError: "),
    ],
)
def test_what_is_wrong_in_a_file_is_one_clear_line(said, workplace, text, says):
    start = "from torch import nn\ndef net():\n    return nn.Linear(5, 2)\n"
    (workplace / "wrong.py").write_text(start + text)
    with pytest.raises(BadInput) as error:
        said("./wrong.py:net")
    (line,) = error.value.lines
    assert says in line


@pytest.mark.parametrize(
    ("batch", "loss", "says"),
    [
        (
            "torch.zeros(size, 4), torch.zeros(size), torch.zeros(size)",
            MEAN,
            "cannot be called with the inputs of its own batch: TypeError: Net.forward() takes 2 po",
        ),
        (
            PLAIN,
            "model(batch[0])[1]",
            "loss must return a tensor of one number, the mean loss of the batch, got shape (2,)",
        ),
        (PLAIN, "1.0", "the mean loss of the batch, got float"),
        (PLAIN, "model(batch)", "loss raised TypeError: "),
        ("torch.zeros(size, 4), torch.zeros(3)", MEAN, "got (2, 4), (3,)"),
        (
            "torch.zeros(1, 4), torch.zeros(1)",
            MEAN,
            "tensors of length 2, got (1, 4), (1,): if there are fewer examples, use them again",
        ),
        (
            "torch.zeros(size, 4, device='meta'), torch.zeros(size)",
            MEAN,
            "batch must return tensors on the CPU, because bench measures there: one is on meta",
        ),
    ],
)
def test_what_is_wrong_with_a_batch_or_a_loss_is_one_clear_line(said, workplace, batch, loss, says):
    (workplace / "pair.py").write_text(PAIR.replace("BATCH", batch).replace("LOSS", loss))
    with pytest.raises(BadInput) as error:
        said("./pair.py:net")
    (line,) = error.value.lines
    assert says in line


@pytest.mark.parametrize("batch", [PLAIN, "torch.zeros(size, 4).double(), torch.zeros(size)"])
def test_a_batch_is_described_with_the_types_of_a_measurement(said, workplace, batch):
    (workplace / "pair.py").write_text(PAIR.replace("BATCH", batch).replace("LOSS", MEAN))
    _, spec = said("./pair.py:net")
    assert spec.inputs({}) == OwnBatch()


def test_without_a_loss_the_line_names_the_default_loss(said, workplace):
    text = PAIR.partition("def loss")[0].replace("BATCH", PLAIN)
    (workplace / "pair.py").write_text(text)
    with pytest.raises(BadInput) as error:
        said("./pair.py:net")
    (line,) = error.value.lines
    assert "cannot take its own batch: " in line
    assert "; the loss is the cross-entropy of (inputs, targets), with numbers of classes" in line


def test_a_network_on_another_device_is_one_clear_line(said, workplace):
    text = "from torch import nn\ndef net():\n    return nn.Linear(4, 2).to('meta')\n"
    (workplace / "there.py").write_text(text)
    with pytest.raises(BadInput, match="net returned a network on meta: bench measures on the CPU"):
        said("./there.py:net")


def test_data_that_no_network_reads_is_refused(said, workplace):
    says = "data: digits is not used, because each network has a batch function of its own"
    with pytest.raises(BadInput, match=says):
        said("./batched.py", data="digits")
    text = "models: [./batched.py, mcunet]\nmethods: [vanilla]\ndata: digits\n"
    (workplace / "both.yaml").write_text(f"schema: 1\ntitle: t\n{text}")
    user_models.describe(HERE, load_suite("both.yaml"))


def test_weights_that_do_not_fit_are_said_before_anything_runs(said, workplace):
    (workplace / "text.pt").write_text("these are no weights")
    with pytest.raises(BadInput, match=r"text\.pt: is not a file of weights"):
        said("resnet18", weights="text.pt")
    (workplace / "evil.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(BadInput, match=r"evil\.safetensors: is not a safetensors file"):
        said("./mynet.py:net", weights="evil.safetensors")
