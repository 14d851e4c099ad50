"""Weights from files and with a spectrum: what matches, what is refused, and what it says."""

import contextlib
import pickle
import random
from dataclasses import replace

import numpy
import pytest
import torch
from torch import nn

from ondevice_bench.data import tensorfile
from ondevice_bench.models import llama, loading
from ondevice_bench.models.families import family
from ondevice_bench.models.family import seeded
from ondevice_bench.models.spectrum import decaying, give_spectrum, rotation, turn
from ondevice_bench.specs.layout import ModelLayout
from ondevice_bench.specs.weights import WeightSource, parse
from ondevice_bench.worker.passes import trace
from ondevice_bench.worker.workload import build_model, initial_model
from tests.models.conftest import options_of

HEAD = ("fc",)
pytestmark = pytest.mark.full_size


def small_resnet(classes=10):
    module = family("ondevice_bench.models.resnet")
    model = module.construct(**options_of("resnet18", classes=classes))
    module.initialise(model, 0)
    return model


@pytest.fixture(scope="module")
def donor():
    return small_resnet()


@pytest.fixture
def saved(tmp_path, donor):
    """The donor's weights, changed by a function, in a file."""

    def save(name="w.pt", change=lambda state: state):
        path = tmp_path / name
        state = change(dict(donor.state_dict()))
        if name.endswith(".pt"):
            torch.save(state, path)
        else:
            tensorfile.write(path, {key: value.numpy() for key, value in state.items()})
        return path

    return save


def with_more(state):
    return {**state, "extra": torch.zeros(1)}


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_all_tensors_are_taken(saved, donor, name):
    model = small_resnet()
    nn.init.zeros_(model.conv1.weight)
    loaded = loading.load(model, saved(name), HEAD)
    assert str(loaded) == f"{len(donor.state_dict())} tensors loaded"
    for key, value in donor.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key


def test_a_new_head_is_fine_and_said(saved):
    model = small_resnet(classes=3)
    before = model.fc.weight.clone()
    loaded = loading.load(model, saved(), HEAD)
    assert loaded.new == ("fc.weight", "fc.bias")
    assert torch.equal(model.fc.weight, before)
    without = saved(change=lambda s: {k: v for k, v in s.items() if not k.startswith("fc.")})
    assert loading.load(model, without, HEAD).new == ("fc.weight", "fc.bias")


@pytest.mark.parametrize("kept", ["embed", "head"])
def test_a_shared_weight_may_have_one_of_its_names_in_the_file(tmp_path, kept):
    def tied():
        model = nn.ModuleDict({"embed": nn.Embedding(5, 4), "head": nn.Linear(4, 5, bias=False)})
        model["head"].weight = model["embed"].weight
        return model

    path, model, weight = tmp_path / "w.safetensors", tied(), torch.randn(5, 4)
    tensorfile.write(path, {f"{kept}.weight": weight.numpy()})
    assert loading.load(model, path, ("head",)).whole
    assert torch.equal(model["head"].weight, weight)
    assert torch.equal(model["embed"].weight, weight)


def test_every_head_may_be_new(tmp_path):
    model = nn.ModuleDict({name: nn.Linear(2, 3) for name in ("trunk", "head", "other")})
    torch.save({"trunk.weight": torch.ones(3, 2), "trunk.bias": torch.ones(3)}, tmp_path / "w.pt")
    loaded = loading.load(
        model, tmp_path / "w.pt", ModelLayout(head="head", auxiliary="other").heads
    )
    assert loaded.new == ("head.weight", "head.bias", "other.weight", "other.bias")


def test_what_the_network_lacks_is_left_over_and_said(saved):
    more = saved(change=lambda s: {**s, "extra.weight": torch.zeros(1)})
    assert loading.load(small_resnet(), more, HEAD).unused == ("extra.weight",)
    assert "extra.weight of the file unused" in str(loading.load(small_resnet(), more, HEAD))


@pytest.mark.parametrize("wrap", ["module.", "state_dict", "model"])
def test_what_a_network_was_wrapped_in_is_seen_through(saved, donor, wrap):
    def change(state):
        if wrap.endswith("."):
            return {wrap + key: value for key, value in state.items()}
        return {wrap: state, "epoch": 7}

    loaded = loading.load(small_resnet(), saved(change=change), HEAD)
    assert loaded.loaded == len(donor.state_dict())


def test_a_missing_block_is_an_error(saved):
    path = saved(change=lambda s: {k: v for k, v in s.items() if not k.startswith("layer4.1.")})
    with pytest.raises(loading.BadWeights) as error:
        loading.load(small_resnet(), path, HEAD)
    said = str(error.value)
    assert said.startswith(f"{path}: has no layer4.1.conv1.weight; layer4.1.bn1.weight")
    assert said.endswith(" more")


def test_another_shape_outside_the_head_is_an_error(saved):
    path = saved(change=lambda s: {**s, "conv1.weight": torch.zeros(64, 3, 3, 3)})
    with pytest.raises(loading.BadWeights) as error:
        loading.load(small_resnet(), path, HEAD)
    assert str(error.value) == (
        f"{path}: has another shape of conv1.weight: (64, 3, 3, 3), the network's is (64, 3, 7, 7)"
    )


class Evil:
    def __reduce__(self):
        return (print, ("code was run",))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("text.pt", b"these are no weights", "is not a file of weights"),
        ("empty.pt", b"", "is not a file of weights"),
        ("evil.pt", pickle.dumps({"w": Evil()}), "holds more than tensors, so it is not loaded"),
        ("text.safetensors", b"these are no weights", "is not a safetensors file"),
        ("short.safetensors", b"\x08\0\0\0\0\0\0\0{", "is not a safetensors file, or is cut short"),
        ("list.safetensors", b"\x02\0\0\0\0\0\0\0[]", "is not a safetensors file"),
        (
            "outside.safetensors",
            b'\x40\0\0\0\0\0\0\0{"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}   ',
            "tensor a is cut short",
        ),
    ],
)
def test_what_is_no_file_of_weights_is_refused(tmp_path, capsys, name, content, says):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(loading.BadWeights) as error:
        loading.read(path)
    assert says in str(error.value)
    assert str(path) in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert "code was run" not in capsys.readouterr().out


def test_a_damaged_file_of_torch_is_named_whatever_is_damaged(tmp_path):
    path = tmp_path / "damaged.pt"
    torch.save({"w": torch.ones(4), "b": torch.zeros(2)}, path)
    whole = path.read_bytes()
    stream = random.Random(0)
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(stream.choice([1, 3, 30])):
            damaged[stream.randrange(2, len(damaged))] = stream.randrange(256)
        path.write_bytes(damaged)
        with contextlib.suppress(loading.BadWeights):
            loading.read(path)


@pytest.mark.parametrize(
    "error", [TypeError("x"), IndexError(), UnicodeDecodeError("a", b"", 0, 1, "b")]
)
def test_any_error_of_torch_names_the_file(tmp_path, monkeypatch, error):
    path = tmp_path / "damaged.pt"
    torch.save({"w": torch.ones(4)}, path)

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(loading.BadWeights, match=r"damaged\.pt: is not a file of weights"):
        loading.read(path)


def test_a_pickled_object_is_refused_without_running_it(tmp_path, capsys):
    path = tmp_path / "evil.pt"
    torch.save({"w": Evil()}, path)
    with pytest.raises(loading.BadWeights, match="holds more than tensors"):
        loading.read(path)
    assert "code was run" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [1, 2]])
def test_a_file_without_named_tensors_is_refused(tmp_path, content):
    path = tmp_path / "w.pt"
    torch.save(content, path)
    with pytest.raises(loading.BadWeights, match="holds no"):
        loading.read(path)


@pytest.mark.parametrize("shape", [(20, 50), (50, 20), (7, 7)])
@pytest.mark.parametrize("decay", [0.5, 1.5])
def test_singular_values_fall_as_they_should(shape, decay):
    weight = torch.randn(shape, dtype=torch.float64)
    found = decaying(weight, decay, torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(found)
    expected = torch.arange(1, min(shape) + 1, dtype=torch.float64) ** -decay
    assert torch.allclose(values / values[0], expected, rtol=1e-10)
    assert torch.isclose(torch.linalg.norm(found), torch.linalg.norm(weight))


@pytest.mark.parametrize("shape", [(300, 1000), (1000, 130)])
def test_directions_are_as_random_as_dense_ones(shape):
    """Fourth moments: of a direction 3, of a matrix what its singular values say."""
    stream = torch.Generator().manual_seed(0)
    found = decaying(torch.randn(shape, generator=stream, dtype=torch.float64), 0.75, stream)
    squares = torch.arange(1, min(shape) + 1, dtype=torch.float64) ** -1.5
    expected = 3 + 6 * squares.square().sum() / squares.sum() ** 2
    assert fourth_moment(found.flatten()) == pytest.approx(float(expected), rel=0.1)
    left, _, right = torch.linalg.svd(found, full_matrices=False)
    for vectors in (left, right.T):
        moments = torch.tensor([fourth_moment(vector) for vector in vectors.T])
        assert moments.mean() == pytest.approx(3, rel=0.1)
        assert moments.max() < 6


def fourth_moment(x):
    return float((x / x.square().mean().sqrt()).pow(4).mean())


def test_rotations_are_orthogonal_and_have_no_side_of_their_own():
    stream = torch.Generator().manual_seed(0)
    drawn = [rotation(7, torch.float64, stream) for _ in range(2000)]
    assert torch.allclose(drawn[0] @ drawn[0].T, torch.eye(7, dtype=torch.float64))
    assert torch.stack(drawn).mean(0).abs().max() < 0.05
    whole = torch.eye(300, dtype=torch.float64)
    turn(whole, stream)
    assert torch.allclose(whole @ whole.T, torch.eye(300, dtype=torch.float64))
    assert whole.count_nonzero() == 300 * 300


@pytest.mark.usefixtures("narrow_networks")
def test_a_network_of_ours_draws_no_weights_but_those_of_its_initialisation():
    options = {"layers": 1, "length": 4, "attention": "fused"}
    ours = family("ondevice_bench.models.llama")
    model, plain = seeded(ours.construct, options, 0), llama.construct(**options)
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Embedding)):
            assert module.weight.isnan().all()
    for one in (model, plain):
        ours.initialise(one, 0)
    for key, value in plain.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key


@pytest.mark.usefixtures("narrow_networks")
def test_every_layer_gets_its_spectrum_from_the_seed():
    models = [small_resnet() for _ in range(3)]
    for model, seed in zip(models, (0, 0, 1), strict=True):
        give_spectrum(model, 0.75, seed)
    one, same, other = (model.layer4[1].conv2.weight for model in models)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    values = torch.linalg.svdvals(one.detach().double().flatten(1))
    assert torch.isclose(values[9] / values[0], torch.tensor(10**-0.75).double(), rtol=1e-3)


def test_a_cell_trains_from_the_weights_that_it_names(make_job, saved, donor):
    source = parse(str(saved("mine.safetensors")), saved().parent)
    assert source.name.startswith("mine.safetensors@")
    job = make_job("time", "resnet18", weights={source.name: source}, named=source.name)
    for key, value in initial_model(job)[0].state_dict().items():
        assert torch.equal(value, donor.state_dict()[key]), key
    assert job.cell.fingerprint != replace(job.cell, weights="random").fingerprint


def test_a_record_says_what_a_file_of_weights_left_open(make_job, saved):
    sources = {
        path.name: parse(str(path), path.parent) for path in (saved(), saved("all.pt", with_more))
    }
    for name, notes in (
        ("w.pt", []),
        ("all.pt", ["weights: 122 tensors loaded, extra of the file unused"]),
    ):
        source = sources[name]
        job = make_job("trace", "resnet18", weights={source.name: source}, named=source.name)
        details = trace.measure(job).details
        assert details["notes"] == notes
        assert details["weights"].startswith("122 tensors loaded")


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("random", "random"),
        ({"spectrum": 0.75}, "spectrum(0.75)"),
        ("pretrained", "pretrained"),
    ],
)
def test_names_of_weights(tmp_path, said, name):
    assert parse(said, tmp_path).name == name


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (
            "rondom",
            "must be random, pretrained, {pretrained: FILE}, {spectrum: A}, or the path of a",
        ),
        ("missing.pt", "missing.pt: cannot be read: No such file or directory"),
        ({"spectrum": 0}, "spectrum must be in (0, 10], got 0"),
        ({"spektrum": 1}, "must be random"),
        (3, "must be random"),
    ],
)
def test_what_weights_cannot_be(tmp_path, said, says):
    with pytest.raises(ValueError) as error:
        parse(said, tmp_path)
    assert str(error.value).startswith(says)


def test_a_users_file_can_be_the_pretrained_weights_of_any_model(tmp_path):
    (tmp_path / "w.pt").write_bytes(b"weights")
    plain, called = parse("w.pt", tmp_path), parse({"pretrained": "w.pt"}, tmp_path)
    assert called.name == f"pretrained:{plain.name}"
    assert called.file(None) == tmp_path / "w.pt"
    assert called.refuses("mcunet", None, ()) == ""
    with pytest.raises(ValueError, match="cannot be read"):
        parse({"pretrained": "none.pt"}, tmp_path)


def test_pretrained_weights_are_refused_where_none_are_known():
    source = WeightSource("pretrained")
    said = source.refuses("mcunet", None, ("minilm",))
    assert said == "weights: there are no pretrained ones for mcunet (there are for: minilm)"


def test_weights_of_every_kind_are_rounded_to_the_cells_type(make_job):
    source = WeightSource("spectrum", decay=1.0)
    job = make_job(
        "time",
        "mcunet",
        dtype="bfloat16",
        weights={source.name: source},
        named=source.name,
    )
    model = build_model(job).module
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert numpy.isfinite(float(model.classifier.linear.weight.detach().float().sum()))
