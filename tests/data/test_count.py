"""The number of examples in the user's own data."""

import numpy
import pytest
from PIL import Image

from ondevice_bench.data import texts
from ondevice_bench.data.batch import make
from ondevice_bench.data.classes import only_class
from ondevice_bench.data.count import examples_of, fewest_examples_of
from ondevice_bench.data.split import rows
from ondevice_bench.specs.data import LEARN, DataSource, parse
from ondevice_bench.specs.inputs import Images, Tokens


def test_a_folder_has_as_many_examples_as_images_in_its_classes(tmp_path):
    for name in ("a/1.jpg", "a/deep/2.PNG", "b/3.webp", "b/notes.txt", "outside.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert examples_of(DataSource("folder", path=tmp_path)) == 3


def test_a_folder_with_the_name_of_an_image_is_no_example_but_may_hold_some(tmp_path):
    """The count, the classes, the batch and the hash of the data all mean the same files."""
    for name in ("a/1.png", "a/album.jpg/2.png", "b/3.png/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40)).save(tmp_path / name, "png")
    source = parse({"folder": "."}, tmp_path)
    assert examples_of(source) == 2
    assert only_class(source) == "a"
    assert len(make(source, Images(3, 32, 2), 2, "seed")["inputs"]) == 2


def test_a_folder_with_the_name_of_a_text_is_no_example(tmp_path):
    for name in ("a/1.txt", "a/2.txt", "b/notes.txt/3.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("some text")
    source = parse({"texts": "."}, tmp_path)
    assert examples_of(source) == 2
    assert only_class(source) == "a"
    assert [label for label, _ in texts.labelled(tmp_path)] == ["a", "a"]


@pytest.mark.parametrize("save", [numpy.savez, numpy.savez_compressed])
@pytest.mark.parametrize("name", ["images", "tokens"])
def test_arrays_have_as_many_examples_as_rows(tmp_path, save, name):
    arrays = {"labels": numpy.zeros(7, "int64"), name: numpy.zeros((7, 4), "uint8")}
    save(tmp_path / "x.npz", **arrays)
    assert examples_of(parse("npz: x.npz", tmp_path)) == 7


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(18)])
def test_a_damaged_file_has_no_number(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    assert examples_of(parse("npz: x.npz", tmp_path)) is None


@pytest.mark.parametrize("kind", ["synthetic", "photos", "digits", "text"])
def test_sources_of_ours_are_not_counted(kind):
    assert examples_of(DataSource(kind)) is None


@pytest.mark.parametrize("length", [16, 64, 223])
def test_our_text_has_at_least_the_windows_that_are_counted(length):
    source = DataSource("text")
    count = rows(fewest_examples_of(source), LEARN).size
    inputs = Tokens(length=length, vocabulary=256, classes=2)
    assert len(make(source, inputs, 100_000, "0", LEARN)["inputs"]) >= count > 1000


def test_the_sentences_of_a_package_are_counted(monkeypatch):
    monkeypatch.setattr(texts, "sentences", lambda: [("da", "en to tre"), ("de", "eins zwei drei")])
    assert fewest_examples_of(DataSource("languages", digest="0")) == 2
