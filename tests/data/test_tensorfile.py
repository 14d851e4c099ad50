import json

import numpy
import pytest
import torch

from ondevice_bench.data import nested, tensorfile
from ondevice_bench.data.batch import BatchStore
from ondevice_bench.errors import BadInput
from ondevice_bench.specs.data import DataSource
from ondevice_bench.specs.inputs import Images

INPUTS = Images(channels=3, size=8, classes=5)


def test_tensors_survive_the_way_through_a_file(tmp_path):
    arrays = {
        "images": numpy.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32"),
        "labels": numpy.array([1, -(2**40)], dtype="int64"),
    }
    path = tmp_path / "x.safetensors"
    tensorfile.write(path, arrays)
    found = tensorfile.read(path)
    assert list(found) == ["images", "labels"]
    for name, array in arrays.items():
        assert torch.equal(found[name], torch.from_numpy(array))


def test_the_layout_is_that_of_safetensors(tmp_path):
    path = tmp_path / "x.safetensors"
    tensorfile.write(path, {"a": numpy.array([[1, 2]], dtype="float32")})
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    assert length % 8 == 0
    assert json.loads(raw[8 : 8 + length]) == {
        "a": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}
    }
    assert raw[8 + length :] == numpy.array([1, 2], dtype="<f4").tobytes()


def test_a_file_that_is_cut_short_is_noticed(tmp_path):
    path = tmp_path / "x.safetensors"
    tensorfile.write(path, {"a": numpy.zeros(100, dtype="float32")})
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(tensorfile.NoTensorFile, match="tensor a is cut short"):
        tensorfile.read(path)


def test_a_batch_depends_on_its_seed_alone(tmp_path):
    batches = [BatchStore(tmp_path / name) for name in ("one", "two")]
    first, again = (
        tensorfile.read(store.batch(DataSource(), INPUTS, 16, seed=0)) for store in batches
    )
    other = tensorfile.read(batches[0].batch(DataSource(), INPUTS, 16, seed=1))
    assert torch.equal(first["inputs"], again["inputs"])
    assert torch.equal(first["targets"], again["targets"])
    assert not torch.equal(first["inputs"], other["inputs"])


def test_a_batch_is_standard_normal_with_labels_of_every_class(tmp_path):
    found = tensorfile.read(BatchStore(tmp_path).batch(DataSource(), INPUTS, 500, seed=0))
    assert found["inputs"].shape == (500, 3, 8, 8)
    assert abs(found["inputs"].mean()) < 0.02
    assert abs(found["inputs"].std() - 1) < 0.02
    assert set(found["targets"].tolist()) == set(range(5))


def test_a_batch_is_written_once(tmp_path):
    store = BatchStore(tmp_path)
    path = store.batch(DataSource(), INPUTS, 4, seed=0)
    written = path.stat().st_mtime_ns
    assert store.batch(DataSource(), INPUTS, 4, seed=0) == path
    assert path.stat().st_mtime_ns == written
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match="cannot be written"):
        BatchStore(tmp_path / "file").batch(DataSource(), INPUTS, 1, seed=0)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (
            {
                "a": {"dtype": "U8", "shape": [64], "data_offsets": [0, 64]},
                "b": {"dtype": "U8", "shape": [64], "data_offsets": [0, 64]},
            },
            "tensor b overlaps another",
        ),
        (
            {"a": {"dtype": "U8", "shape": [-8, -8], "data_offsets": [0, 64]}},
            "tensor a has a shape that no tensor can have",
        ),
        (
            {"a": {"dtype": "U8", "shape": [0, 1 << 70], "data_offsets": [0, 0]}},
            "tensor a has a shape that no tensor can have",
        ),
    ],
)
def test_tensors_that_would_take_more_memory_than_their_file_are_refused(tmp_path, header, says):
    path = tmp_path / "x.safetensors"
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(64))
    with pytest.raises(tensorfile.NoTensorFile, match=says):
        tensorfile.read(path)


def test_a_header_that_is_long_or_deep_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "x.safetensors"
    for text in (b" " * ((8 << 20) + 1), b"[" * 100_000):
        path.write_bytes(len(text).to_bytes(8, "little") + text)
        with pytest.raises(tensorfile.NoTensorFile, match="is not a safetensors file"):
            tensorfile.read(path)


def test_a_batch_keeps_its_structure_and_numbers_of_bfloat16_become_float32(tmp_path):
    batch = {"x": torch.tensor([1.5, 2.0], dtype=torch.bfloat16), "more": [torch.ones(2) > 0]}
    nested.write(tmp_path / "batch", batch)
    found = nested.read(tmp_path / "batch")
    assert found["x"].dtype == torch.float32
    assert found["x"].tolist() == [1.5, 2.0]
    assert found["more"][0].tolist() == [True, True]


def test_a_batch_of_a_type_that_no_file_can_have_is_refused(tmp_path):
    with pytest.raises(ValueError, match="a batch cannot have tensors of the type complex64"):
        nested.write(tmp_path / "batch", torch.zeros(2, dtype=torch.complex64))
