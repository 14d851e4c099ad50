"""Whether the user's own data has one class only."""

import numpy
import pytest

from ondevice_bench.data.classes import only_class
from ondevice_bench.specs.data import DataSource, parse


@pytest.mark.parametrize(("names", "only"), [(("a", "a"), "a"), (("a", "b"), None), ((), None)])
def test_a_class_of_a_folder_is_a_folder_with_images(tmp_path, names, only):
    (tmp_path / "empty").mkdir()
    for number, name in enumerate(names):
        (tmp_path / name / "deep").mkdir(parents=True, exist_ok=True)
        (tmp_path / name / "deep" / f"{number}.PNG").write_bytes(b"")
    assert only_class(DataSource("folder", path=tmp_path)) == only


@pytest.mark.parametrize(("labels", "only"), [("aa", "a"), ("ab", None)])
def test_a_class_of_texts_is_a_label_or_a_folder(tmp_path, labels, only):
    lines = [f"{label}\tsome text {number}\n" for number, label in enumerate(labels)]
    (tmp_path / "x.tsv").write_text("".join(lines))
    for number, label in enumerate(labels):
        (tmp_path / "texts" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "texts" / label / f"{number}.txt").write_text("some text")
    assert only_class(DataSource("texts", path=tmp_path / "x.tsv")) == only
    assert only_class(DataSource("texts", path=tmp_path / "texts")) == only


@pytest.mark.parametrize(("labels", "only"), [([3, 3, 3], "3"), ([3, 3, 4], None)])
def test_a_class_of_arrays_is_a_number_in_labels(tmp_path, labels, only):
    images = numpy.zeros((3, 4, 4, 3), "uint8")
    numpy.savez(tmp_path / "x.npz", images=images, labels=numpy.array(labels))
    assert only_class(parse("npz: x.npz", tmp_path)) == only


def test_arrays_without_labels_have_no_class(tmp_path):
    numpy.savez(tmp_path / "x.npz", tokens=numpy.zeros((3, 4), "int64"))
    assert only_class(parse("npz: x.npz", tmp_path)) is None


@pytest.mark.parametrize("kind", ["npz", "texts"])
def test_what_cannot_be_read_is_no_class(tmp_path, kind):
    (tmp_path / "x").write_bytes(b"\xff no archive, no text")
    assert only_class(DataSource(kind, path=tmp_path / "x")) is None


@pytest.mark.parametrize("kind", ["synthetic", "digits", "text"])
def test_sources_of_ours_are_not_looked_at(kind):
    assert only_class(DataSource(kind)) is None
