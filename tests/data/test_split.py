"""Parts to learn from and to be tested on: apart, whole, the same everywhere."""

import pickle

import numpy
import pytest

from ondevice_bench.data import split, text
from ondevice_bench.data.batch import BatchStore, NoBatch, make
from ondevice_bench.specs.data import (
    ALL,
    HELD_OUT,
    HELD_OUT_EVERY,
    LEARN,
    TRAIN,
    VALIDATION,
    DataSource,
    parse,
)
from ondevice_bench.specs.inputs import Images, Tokens

SMALL = Images(channels=1, size=8, classes=10)
CIFAR = Images(channels=3, size=32, classes=10)


def test_the_parts_are_disjoint_and_together_everything():
    train, held_out = (set(split.rows(103, part)) for part in (TRAIN, HELD_OUT))
    assert not train & held_out
    assert train | held_out == set(split.rows(103, ALL)) == set(range(103))
    assert len(held_out) == 21


def test_what_is_not_held_out_is_to_learn_from_or_for_validation():
    learn, validation = (set(split.rows(103, part)) for part in (LEARN, VALIDATION))
    assert not learn & validation
    assert learn | validation == set(split.rows(103, TRAIN))
    assert len(validation) == 21


@pytest.mark.parametrize(
    ("count", "part"), [(0, HELD_OUT), (1, TRAIN), (1, VALIDATION), (2, LEARN)]
)
def test_too_few_examples_are_one_line(count, part):
    with pytest.raises(NoBatch, match=r"^data: there are too few examples: none is left for "):
        split.Draw(1, numpy.random.default_rng(0), part).chosen(count)


def write_cifar10(folder, name, first):
    """A file of CIFAR-10 in both formats."""
    rows = numpy.full((50, 3073), first, dtype=numpy.uint8)
    rows[:, 0] = numpy.arange(50) % 10
    rows[:, 1] = numpy.arange(50) + first
    (folder / f"{name}.bin").write_bytes(rows.tobytes())
    batch = {b"data": rows[:, 1:], b"labels": rows[:, 0].tolist()}
    (folder / name).write_bytes(pickle.dumps(batch))


def test_cifar10_has_a_test_set_and_validates_by_rows_of_the_others(tmp_path):
    write_cifar10(tmp_path, "data_batch_1", 0)
    write_cifar10(tmp_path, "test_batch", 100)
    source = parse(f"cifar10: {tmp_path}", tmp_path)
    learned, validated, tested = (
        unique(make(source, CIFAR, 50, part, part)) for part in (LEARN, VALIDATION, HELD_OUT)
    )
    assert (len(learned), len(validated), len(tested)) == (30, 10, 50)
    assert not learned & validated
    assert not (learned | validated) & tested


def test_a_split_of_cifar10_is_of_all_files(tmp_path):
    for number in (1, 2, 3):
        write_cifar10(tmp_path, f"data_batch_{number}", 60 * number)
    source = parse(f"cifar10: {tmp_path}", tmp_path)
    learned, validated = (make(source, CIFAR, 200, part, part) for part in (LEARN, VALIDATION))
    for found, count in ((learned, 90), (validated, 30)):
        assert len(found["inputs"]) == len(found["targets"]) == len(unique(found)) == count
    assert not unique(learned) & unique(validated)
    # more examples begin with the same ones
    for size in (30, 31):
        fewer = make(source, CIFAR, size, LEARN, LEARN)
        assert (fewer["inputs"] == learned["inputs"][:size]).all()
        assert len(fewer["inputs"]) == size


def test_nothing_is_drawn_twice_before_everything_was():
    places = split.rows(50, TRAIN)
    found = split.Draw(60, numpy.random.default_rng(0)).shuffled_of(places)
    assert set(found[:40]) == set(places)
    assert len(set(found[40:])) == 20
    assert set(found) <= set(places)
    part = split.Draw(60, numpy.random.default_rng(0), TRAIN).shuffled(50)
    assert sorted(part) == sorted(places)  # of a part no more than there are


def unique(arrays):
    return {row.tobytes() for row in arrays["inputs"]}


def test_digits_that_are_held_out_are_never_learned():
    pytest.importorskip("sklearn", reason="scikit-learn has the digits")
    source = DataSource("digits")
    learned = make(source, SMALL, 1400, "train 0", TRAIN)
    held_out = make(source, SMALL, 300, "held out 0", HELD_OUT)
    # a digit or two of the data set exist twice
    assert len(unique(learned) & unique(held_out)) <= 2
    assert len(unique(learned)) > 1390
    tested = make(source, SMALL, 360, "held out 0", HELD_OUT)["targets"]
    counts = numpy.bincount(tested, minlength=10)
    assert (counts.sum(), counts.min(), counts.max()) == (360, 26, 48)  # docs/learning.md


def test_rows_of_the_users_arrays(tmp_path):
    images = numpy.arange(100, dtype=numpy.uint8)[:, None, None, None] * numpy.ones(
        (1, 8, 8, 1), dtype=numpy.uint8
    )
    numpy.savez(tmp_path / "d.npz", images=images, labels=numpy.arange(100) % 10)
    source = parse(f"npz: {tmp_path / 'd.npz'}", tmp_path)
    learned, held_out = (make(source, SMALL, 200, part, part) for part in (TRAIN, HELD_OUT))
    assert len(unique(learned)) == 100 - 100 // HELD_OUT_EVERY
    assert len(unique(held_out)) == 100 // HELD_OUT_EVERY
    assert not unique(learned) & unique(held_out)


def test_windows_of_the_text_share_no_byte_between_the_parts():
    inputs = Tokens(length=16, vocabulary=256, classes=0)
    count = len(text.CORPUS.read_bytes())
    seen = {}
    for part in (TRAIN, HELD_OUT):
        draw = split.Draw(1, numpy.random.default_rng(0), part)
        starts = text._starts(count, inputs.length, draw)
        seen[part] = {place for start in starts for place in range(start, start + 17)}
    assert not seen[TRAIN] & seen[HELD_OUT]
    assert make(DataSource("text"), inputs, 30, "s", HELD_OUT)["inputs"].shape == (30, 16)
    with pytest.raises(NoBatch, match="too short for windows"):
        make(DataSource("text"), Tokens(2000, 256, 0), 1, "s", HELD_OUT)


def test_the_files_of_a_seed_are_written_once(tmp_path):
    pytest.importorskip("sklearn", reason="scikit-learn has the digits")
    store = BatchStore(tmp_path)
    one, again, other = (
        store.examples(DataSource("digits"), SMALL, 20, seed, TRAIN) for seed in (0, 0, 1)
    )
    assert one == again != other
    assert one.read_bytes() != other.read_bytes()


@pytest.mark.parametrize(
    ("kind", "has"), [("synthetic", False), ("photos", False), ("digits", True)]
)
def test_what_can_be_learned(kind, has):
    assert DataSource(kind).has_labels == has
