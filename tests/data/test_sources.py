"""What batches are made from: spectra by definition, readers of the user's data, refusals."""

import hashlib
import pickle

import numpy
import pytest
from PIL import Image

from ondevice_bench.data import synthetic
from ondevice_bench.data.batch import BatchStore, NoBatch, make
from ondevice_bench.data.text import CORPUS
from ondevice_bench.specs.data import TEXT_DIGEST, DataSource, parse
from ondevice_bench.specs.inputs import Images, OwnBatch, Tokens, from_dict, to_dict

IMAGES = Images(channels=3, size=16, classes=10)
PLACES = Images(channels=3, size=16, classes=4, dense=True)
SENTENCES = Tokens(length=9, vocabulary=300, classes=3)
NEXT = Tokens(length=9, vocabulary=300)
KINDS = [IMAGES, PLACES, SENTENCES, NEXT]


@pytest.mark.parametrize("inputs", [*KINDS, OwnBatch()])
def test_inputs_survive_the_way_to_a_worker(inputs):
    assert from_dict(to_dict(inputs)) == inputs


def test_a_batch_that_does_not_fit_into_the_memory_is_refused(monkeypatch):
    def ask_for_too_much(*_):
        raise MemoryError

    monkeypatch.setattr(synthetic, "synthetic", ask_for_too_much)
    with pytest.raises(NoBatch, match="1,000 examples do not fit into the memory of this machine"):
        make(DataSource("synthetic"), IMAGES, 1000, "batch 0")


@pytest.mark.parametrize("kind", ["synthetic", "photos", "digits", "text"])
@pytest.mark.parametrize("inputs", KINDS)
def test_every_source_feeds_the_networks_that_it_can(kind, inputs):
    source = DataSource(kind)
    if source.refuses(inputs):
        with pytest.raises(NoBatch):
            make(source, inputs, 4, "batch 0")
        return
    found, again, other = (make(source, inputs, 4, f"batch {seed}") for seed in (0, 0, 1))
    x, y = found["inputs"], found["targets"]
    assert numpy.array_equal(x, again["inputs"])
    assert numpy.array_equal(y, again["targets"])
    assert not numpy.array_equal(x, other["inputs"])
    assert y.dtype == numpy.int64
    if isinstance(inputs, Images):
        assert x.dtype == numpy.float32
        assert x.shape == (4, 3, 16, 16)
        assert y.shape == ((4, 16, 16) if inputs.dense else (4,))
        assert 0.1 < x.std() < 3
    else:
        assert x.shape == (4, 9)
        assert x.max() < inputs.vocabulary
        assert y.shape == ((4,) if inputs.classes else (4, 9))
    if not isinstance(inputs, Tokens) or inputs.classes:
        assert 0 <= y.min() <= y.max() < inputs.classes


@pytest.mark.parametrize("kind", ["synthetic", "text"])
def test_without_classes_the_target_is_the_next_token(kind):
    found = make(DataSource(kind), NEXT, 4, "batch 0")
    assert numpy.array_equal(found["inputs"][:, 1:], found["targets"][:, :-1])


@pytest.mark.parametrize("decay", [0.5, 1.0])
def test_a_decaying_spectrum_decays_along_every_mode(decay):
    images = make(DataSource("synthetic", decay=decay), Images(8, 24, 10), 16, "batch 0")[
        "inputs"
    ].astype(numpy.float64)
    assert abs(images.std() - 1) < 1e-6
    for mode, length in enumerate(images.shape):
        unfolded = numpy.moveaxis(images, mode, 0).reshape(length, -1)
        values = numpy.linalg.svd(unfolded, compute_uv=False)
        expected = numpy.arange(1, length + 1) ** -decay
        # the core is random: its slices have equal norms only on average
        assert numpy.abs(numpy.log(values / values[0] / expected)).max() < 0.7
        slope = numpy.polyfit(numpy.log(numpy.arange(1, length + 1)), numpy.log(values), 1)[0]
        assert abs(slope + decay) < 0.25


def test_photographs_have_the_spectrum_that_noise_lacks():
    def share(kind):
        x = make(DataSource(kind), Images(3, 64, 10), 8, "batch 0")["inputs"]
        values = numpy.linalg.svd(x.transpose(2, 0, 1, 3).reshape(64, -1), compute_uv=False) ** 2
        return values[:16].sum() / values.sum()

    assert share("photos") > 0.9
    assert share("synthetic") < 0.5


def test_digits_are_what_they_are_labelled():
    from sklearn.datasets import load_digits

    known = load_digits()
    found = make(DataSource("digits"), Images(1, 8, 10), 1797, "batch 0")
    pixels = ((found["inputs"][:, 0] + 1) * 8).round().reshape(1797, -1)
    ours = sorted(map(tuple, numpy.c_[pixels, found["targets"]].tolist()))
    theirs = sorted(map(tuple, numpy.c_[known.images.reshape(1797, -1), known.target].tolist()))
    assert ours == theirs


def test_a_batch_for_another_use_is_another_batch(tmp_path):
    store = BatchStore(tmp_path)
    paths = {store.batch(DataSource("photos"), IMAGES, 2, 0, use) for use in ("batch", "calibrate")}
    paths.add(store.batch(DataSource("synthetic"), IMAGES, 2, 0))
    assert len(paths) == 3


class TestFolder:
    @pytest.fixture
    def root(self, tmp_path):
        for label, colour in (("cat", 250), ("dog", 10)):
            (tmp_path / label).mkdir()
            for index in range(3):
                picture = numpy.full((20 + index, 30, 3), colour, dtype=numpy.uint8)
                Image.fromarray(picture).save(tmp_path / label / f"{index}.png")
        return tmp_path

    def test_labels_are_the_folders_in_their_order(self, root):
        found = make(parse({"folder": str(root)}, root), IMAGES, 16, "batch 0")
        bright = found["inputs"].mean((1, 2, 3)) > 0
        assert numpy.array_equal(bright, found["targets"] == 0)
        assert set(found["targets"]) == {0, 1}

    def test_its_name_stands_for_its_content(self, root):
        first = parse({"folder": str(root)}, root).name
        assert first.startswith(f"folder:{root.name}@")
        assert parse(f"folder: {root}", root).name == first
        named = parse({"folder": str(root), "name": "pets"}, root).name
        assert named == first.replace("folder:", "pets:")
        (root / "cat" / "more.png").write_bytes(b"x")
        assert parse({"folder": str(root)}, root).name != first

    def test_a_broken_image_is_named(self, root):
        for file in root.glob("*/*.png"):
            file.write_text("no image")
        with pytest.raises(NoBatch, match=r"\.png: is not an image that can be read"):
            make(parse({"folder": str(root)}, root), IMAGES, 4, "batch 0")

    @pytest.mark.parametrize(("suffix", "kind"), [("png", "<u2"), ("tif", ">u2")])
    def test_an_image_of_16_bits_is_as_the_same_one_of_8_bits(self, root, suffix, kind):
        gray = numpy.arange(400, dtype=numpy.uint8).reshape(20, 20)
        batches = []
        for pixels in (gray, (gray.astype(kind) * 257).astype(kind)):
            for file in root.glob("*/*.*"):
                file.unlink()
            for label in ("cat", "dog"):
                Image.fromarray(pixels).save(root / label / f"0.{suffix}")
            batches.append(make(parse({"folder": str(root)}, root), IMAGES, 2, "batch 0"))
        assert numpy.array_equal(batches[0]["inputs"], batches[1]["inputs"])

    @pytest.mark.parametrize("kind", [numpy.float32, numpy.int32])
    def test_an_image_without_a_known_white_is_named(self, root, kind):
        for file in root.glob("*/*.png"):
            file.unlink()
            Image.fromarray(numpy.ones((9, 9), dtype=kind)).save(file.with_suffix(".tif"))
        with pytest.raises(
            NoBatch, match=r"\.tif: is not an image that can be read: its pixels are"
        ):
            make(parse({"folder": str(root)}, root), IMAGES, 4, "batch 0")

    @pytest.mark.parametrize(("width", "height"), [(20_000, 20_000), (10_001, 10_000)])
    def test_an_image_that_takes_much_memory_is_named(self, root, width, height):
        for file in root.glob("*/*.png"):
            file.unlink()
            file.with_suffix(".ppm").write_bytes(f"P6 {width} {height} 255\n".encode())
        with pytest.raises(
            NoBatch, match=r"\.ppm: is too large an image: Image size \(\d+ pixels\)"
        ):
            make(parse({"folder": str(root)}, root), IMAGES, 4, "batch 0")

    def test_more_classes_than_the_model_has(self, root):
        narrow = Images(channels=3, size=16, classes=1)
        with pytest.raises(NoBatch, match="has 2 classes; the model has 1: set classes: 2"):
            make(parse({"folder": str(root)}, root), narrow, 4, "batch 0")

    def test_an_empty_folder(self, tmp_path):
        with pytest.raises(NoBatch, match="holds no images in folders, one for each class"):
            make(parse({"folder": str(tmp_path)}, tmp_path), IMAGES, 4, "batch 0")


class TestCifar10:
    rows = numpy.random.default_rng(0).integers(0, 256, (5, 3072), dtype=numpy.uint8)
    labels = numpy.array([3, 1, 4, 1, 5])

    def expect(self, source, root):
        found = make(source, Images(3, 32, 10), 12, "batch 0")
        pictures = self.rows.reshape(5, 3, 32, 32).astype(numpy.float32) / 255
        mean, deviation = numpy.array([0.485, 0.456, 0.406]), numpy.array([0.229, 0.224, 0.225])
        scaled = (pictures - mean[:, None, None]) / deviation[:, None, None]
        for image, label in zip(found["inputs"], found["targets"], strict=True):
            near = numpy.abs(scaled - image).max((1, 2, 3)).argmin()
            assert numpy.abs(scaled[near] - image).max() < 1e-5
            assert self.labels[near] == label

    def test_the_binary_files(self, tmp_path):
        raw = numpy.c_[self.labels.astype(numpy.uint8), self.rows]
        (tmp_path / "data_batch_1.bin").write_bytes(raw.tobytes())
        self.expect(parse({"cifar10": str(tmp_path)}, tmp_path), tmp_path)

    def test_its_name_stands_for_the_content_of_the_files_that_are_read(self, tmp_path):
        """Every file of CIFAR-10 has the same size, so other labels do not change it."""
        names = []
        for labels in (self.labels, self.labels[::-1]):
            raw = numpy.c_[labels.astype(numpy.uint8), self.rows]
            (tmp_path / "data_batch_1.bin").write_bytes(raw.tobytes())
            names.append(parse({"cifar10": str(tmp_path)}, tmp_path).name)
        (tmp_path / "readme.html").write_text("CIFAR-10")
        names.append(parse({"cifar10": str(tmp_path)}, tmp_path).name)
        assert names[0] != names[1] == names[2]

    def test_the_python_files(self, tmp_path):
        batch = {b"data": self.rows, b"labels": self.labels.tolist()}
        (tmp_path / "data_batch_1").write_bytes(pickle.dumps(batch))
        self.expect(parse({"cifar10": str(tmp_path)}, tmp_path), tmp_path)

    def test_code_inside_is_refused_and_not_run(self, tmp_path, capsys):
        class Evil:
            def __reduce__(self):
                return (print, ("code was run",))

        (tmp_path / "data_batch_1").write_bytes(pickle.dumps({b"data": Evil()}))
        source = parse({"cifar10": str(tmp_path)}, tmp_path)
        with pytest.raises(NoBatch, match=r"holds code beside arrays \(builtins.print\): refused"):
            make(source, Images(3, 32, 10), 2, "batch 0")
        assert "code was run" not in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b"\x80\x02Kar\xff\xff\xff\x7f.", "has more than 1,000,000 places"),
            (b"\x80\x02}" + b")" + b"\x85" * 300_000 + b"Kas.", "has more than 1,000 tuples"),
        ],
        ids=["a place beyond all", "tuples in tuples as a key"],
    )
    def test_a_pickle_that_would_end_python_is_refused(self, tmp_path, content, says):
        (tmp_path / "data_batch_1").write_bytes(content)
        with pytest.raises(NoBatch, match=says):
            make(parse({"cifar10": str(tmp_path)}, tmp_path), Images(3, 32, 10), 2, "batch 0")

    def test_a_file_that_is_too_large(self, tmp_path):
        with (tmp_path / "data_batch_1").open("wb") as file:
            file.truncate(65 << 20)
        source = DataSource("cifar10", path=tmp_path)
        with pytest.raises(NoBatch, match=r"takes 65.00 MiB, more than any file of CIFAR-10"):
            make(source, Images(3, 32, 10), 2, "batch 0")

    @pytest.mark.parametrize("name", ["data_batch_1", "data_batch_1.bin"])
    def test_another_file_is_refused(self, tmp_path, name):
        (tmp_path / name).write_bytes(b"something else")
        with pytest.raises(NoBatch, match="is not a batch of CIFAR-10"):
            make(parse({"cifar10": str(tmp_path)}, tmp_path), Images(3, 32, 10), 2, "batch 0")


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("synthetic", "synthetic"),
        ({"synthetic": "noise"}, "synthetic"),
        ({"synthetic": {"decay": 1}}, "synthetic(decay=1)"),
        ("photos", "photos"),
        ("text", f"text@{TEXT_DIGEST}"),
    ],
)
def test_names_of_data(tmp_path, said, name):
    assert parse(said, tmp_path).name == name


def test_a_class_whose_folder_is_a_link_counts_in_the_hash_of_the_folder(tmp_path):
    kept, data = tmp_path / "kept", tmp_path / "pets"
    for folder in (kept, data / "cat"):
        folder.mkdir(parents=True)
    (data / "dog").symlink_to(kept)
    names = set()
    for content in ("", "a", "ab"):
        (kept / "1.png").write_text(content)
        names.add(parse({"folder": str(data)}, tmp_path).name)
    assert len(names) == 3


def test_the_name_of_the_text_stands_for_its_bytes():
    assert hashlib.sha256(CORPUS.read_bytes()).hexdigest().startswith(TEXT_DIGEST)
    assert CORPUS.read_bytes().isascii()


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ("fotos", "must be synthetic, {synthetic: {decay: A}}, photos"),
        ({"synthetic": {"decay": -1}}, "decay must be in (0, 10], got -1"),
        ({"synthetic": {"dekay": 1}}, "must be synthetic"),
        ({"folder": 3}, "folder must be a path, got 3"),
        ({"folder": ".", "name": "my pets"}, "name must be a word such as pets, got 'my pets'"),
        ({"photos": None, "name": "pets"}, "must be synthetic"),
        ("folder: nowhere", "nowhere: no such folder"),
        ("npz: nothing.npz", "nothing.npz: no such file"),
        (["photos"], "must be synthetic"),
    ],
)
def test_what_data_cannot_be(tmp_path, said, says):
    with pytest.raises(ValueError) as error:
        parse(said, tmp_path)
    assert str(error.value).startswith(says)


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("ondevice_bench.specs.data.find_spec", lambda name: None)
    with pytest.raises(ValueError) as error:
        parse("photos", tmp_path)
    assert str(error.value) == (
        "photos needs scikit-learn and Pillow: pip install 'ondevice-bench[data]'"
    )
