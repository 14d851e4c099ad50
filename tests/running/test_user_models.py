"""Users' own networks: what they say of themselves, and every way in which they can fail."""

import json
from importlib.util import find_spec

import pytest
import torch

from ondevice_bench.data import nested
from ondevice_bench.data.batch import BatchStore, NoBatch
from ondevice_bench.errors import BadInput
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.running.hosts.host import NoAnswer
from ondevice_bench.running.hosts.local import local_host
from ondevice_bench.running.queries import user_models
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.specs import registry
from ondevice_bench.specs.inputs import Images, OwnBatch
from ondevice_bench.suite.board import Board
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.from_flags import Words
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.plan import plan
from ondevice_bench.units import GIB, MIB
from ondevice_bench.worker import describe as describe_module

NET = """\
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes=7, image_size=24):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 2, 1)
        self.head = nn.Linear(4 * (image_size // 2) ** 2, classes)

    def forward(self, x):
        return self.head(self.stem(x).flatten(1))

def net(**options):
    return Net(**options)

def deep(depth):
    return nn.Sequential(nn.Flatten(), *(nn.Linear(3 * 224 * 224, 2) for _ in range(depth)))

broken = Net()

def raises():
    raise RuntimeError("no such thing\\nsecond line")

def nothing():
    return 3

def cube():
    return nn.Flatten(2)

def wide(image_size=(24, 32)):
    return nn.Conv2d(3, 2, 3)

def picky():
    class Picky(nn.Module):
        def forward(self, x):
            raise ValueError("wants 1 channel")
    return Picky()
"""
BATCHED = """\
import torch
from torch import nn

layout = {"blocks": "trunk.*", "head": "head"}

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.ModuleList([nn.Linear(5, 5), nn.Linear(5, 5)])
        self.head = nn.Linear(5, 1)

    def forward(self, x, more):
        for layer in self.trunk:
            x = layer(x)
        return self.head(x)

def model(width=8):
    return Net()

def batch(size, seed):
    stream = torch.Generator().manual_seed(seed)
    return {"x": torch.randn(size, 5, generator=stream), "more": (torch.zeros(size),)}

def loss(model, batch):
    return (model(**batch).squeeze(1) - batch["more"][0]).square().mean()
"""


def answer_here(question, request):
    """As a process of its own would, without importing torch once more."""
    assert question == "describe"
    if request["weights"]:  # where the fake host says that the file of this folder lies
        request = {**request, "weights": request["weights"].removeprefix("/fake/")}
    try:
        return json.loads(json.dumps(describe_module.describe(request)))
    except (ValueError, OSError) as error:
        return {"error": str(error)}


HERE = FakeHost(reply_to=answer_here)


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
    assert suite.models[0].name.startswith("mynet.py:Net@")


def test_options_go_to_the_factory_and_change_its_inputs(said):
    suite, spec = said("./mynet.py:Net", "image_size=32", "image_size=16", "classes=3")
    sizes = [spec.inputs(dict(item.cell.model_options)).size for item in plan(suite, Board("here"))]
    assert sizes == [32, 16]
    (_, item) = plan(suite, Board("here"))
    assert "(image_size=16,classes=3)/vanilla/all/b8/s0" in item.cell.id


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


def test_a_file_may_bring_batch_loss_and_layout(said):
    suite, spec = said("./batched.py")
    assert spec.inputs({}) == OwnBatch()
    assert spec.layout.blocks == "trunk.*"
    (item,) = plan(suite, Board("here"))
    assert item.cell.data == "the batch function of the model's file"


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


PAIR = """\
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x):
        y = self.layer(x)
        return y, y.sum(1)

def net():
    return Net()

def batch(size, seed):
    return BATCH

def loss(model, batch):
    return LOSS
"""
REFUSE = """\
from ondevice_bench.methods import Refusal

def refuse():
    raise Refusal("not this one")

"""
PLAIN = "torch.zeros(size, 4), torch.zeros(size)"
MEAN = "model(batch[0])[0].mean()"


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
    with pytest.raises(BadInput, match=r"text\.pt: is no file of weights"):
        said("resnet18", weights="text.pt")
    (workplace / "evil.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(BadInput, match=r"evil\.safetensors: is no safetensors file"):
        said("./mynet.py:net", weights="evil.safetensors")


# what a network prints on every way is no answer
LOUD = """\
import atexit, os
print("loud")
os.write(1, b"louder\\n")
atexit.register(print, "at the end")
"""


def test_a_process_of_its_own_answers(workplace, forked):
    (workplace / "mynet.py").write_text(f"{LOUD}\n{NET}")
    suite, host = Words(["./mynet.py:Net"]).suite(), local_host()
    user_models.describe(host, suite)
    assert registry.model(suite.models[0].name).inputs({}) == Images(3, 24, 7)
    (workplace / "deadly.py").write_text("import os\nos._exit(3)\n")
    with pytest.raises(BadInput, match="the model's code ended its process with 3"):
        user_models.describe(host, Words(["./deadly.py:net"]).suite())


def test_only_files_of_one_folder_are_described_by_one_process(workplace):
    for name in ("a/one.py", "b/two.py", "a/three.py"):
        (workplace / name).parent.mkdir(exist_ok=True)
        (workplace / name).write_text(NET)
    host = FakeHost(reply_to=answer_here)
    models = ["./a/one.py:Net", "./b/two.py:Net", "./a/three.py:Net"]
    suite = Words(models, options=["classes=3", "classes=4"]).suite()
    user_models.describe(host, suite)
    assert host.questions == ["describe", "describe"]
    found = [registry.model(choice.name).inputs({"classes": 4}) for choice in suite.models]
    assert found == [Images(3, 24, 4)] * 3


def test_a_batch_function_that_ends_its_process_fails_its_cell_only(tmp_path):
    def reply_to(question, request):
        raise NoAnswer("did not answer within 600 s")

    host, store = FakeHost(reply_to=reply_to), BatchStore(tmp_path / "batches")
    with pytest.raises(NoBatch, match="the model's code did not answer within 600 s"):
        user_models.batch(host, store, "net.py:net", Cell("x", "own", "vanilla", 4), "batch")


def test_a_batch_of_the_users_is_made_once_for_each_use(workplace, tmp_path, forked):
    (workplace / "batched.py").write_text(BATCHED)
    store = BatchStore(tmp_path / "batches")
    file = str(workplace / "batched.py:model")
    cell, host = Cell("x", "own", "vanilla", 4, seed=3), local_host()
    uses = ("batch", "batch", "calibrate")
    paths = [user_models.batch(host, store, file, cell, use) for use in uses]
    assert paths[0] == paths[1] != paths[2]
    found, other = nested.read(paths[0]), nested.read(paths[2])
    assert found["x"].shape == (4, 5)
    assert torch.equal(found["x"], torch.randn(4, 5, generator=torch.Generator().manual_seed(3)))
    assert isinstance(found["more"], tuple)
    assert not torch.equal(found["x"], other["x"])


def test_a_batch_that_is_smaller_than_its_cell_is_refused(workplace, tmp_path, forked):
    """Its numbers would be those of another batch."""
    few = PAIR.replace("BATCH", "torch.zeros(size, 4)[:3], torch.zeros(size)[:3]")
    (workplace / "few.py").write_text(few.replace("LOSS", MEAN))
    store, host = BatchStore(tmp_path / "batches"), local_host()
    file = str(workplace / "few.py:net")
    with pytest.raises(NoBatch, match=r"batch\(4, seed\) must return tensors of length 4"):
        user_models.batch(host, store, file, Cell("x", "own", "vanilla", 4), "batch")
    suite = Words(["./few.py:net"], batches=[2, 4]).suite()
    user_models.describe(HERE, suite)
    reasons = [
        host.run(JobMaker(host, None).job(item.cell, "shapes"), 60.0).reply.reason
        for item in plan(suite, Board("here"))
    ]
    assert reasons[0] == ""
    assert reasons[1].startswith("batch(4, seed) must return tensors of length 4")


def test_a_loss_that_runs_out_of_memory_or_is_refused_is_no_error_of_the_users(
    workplace, tmp_path, forked
):
    host, found = local_host(), {}
    stores = JobMaker(host, BatchStore(tmp_path / "batches"), memory_cap=4 * GIB)
    for name, loss in {
        "large": f"{MEAN} + torch.zeros(2**42).sum()",
        "refused": f"refuse() if model.training else {MEAN}",
    }.items():
        text = PAIR.replace("BATCH", PLAIN).replace("LOSS", loss)
        (workplace / f"{name}.py").write_text(REFUSE + text)
        suite = Words([f"./{name}.py:net"], batches=[4]).suite()
        user_models.describe(HERE, suite)
        (item,) = plan(suite, Board("here"))
        found[name] = host.run(stores.job(item.cell, "memory"), 60.0).reply
    assert found["large"].status == "oom"
    assert f"could not allocate {2**44 // MIB}.00 MiB" in found["large"].reason
    assert (found["refused"].status, found["refused"].reason) == ("skipped", "not this one")
