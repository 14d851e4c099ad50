"""The user's arrays: what they hold, and files that lie."""

import hashlib
import tracemalloc
import zipfile

import numpy
import pytest

from ondevice_bench.data import packed_arrays
from ondevice_bench.data.batch import NoBatch, make
from ondevice_bench.specs.data import parse
from tests.data.test_sources import IMAGES, NEXT, PLACES


def _array_of(header: str) -> bytes:
    """An array of three bytes that says this of itself."""
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + b"abc"


class TestNpz:
    def source(self, tmp_path, **arrays):
        numpy.savez(tmp_path / "x.npz", **arrays)
        return parse("npz: x.npz", tmp_path)

    def test_images(self, tmp_path):
        pictures = numpy.arange(3, dtype=numpy.uint8)[:, None, None, None] * 100
        source = self.source(
            tmp_path, images=numpy.broadcast_to(pictures, (3, 16, 16, 1)), labels=numpy.arange(3)
        )
        found = make(source, IMAGES, 9, "batch 0")
        order = found["inputs"].mean((1, 2, 3)).argsort()
        assert numpy.all(numpy.diff(found["targets"][order]) >= 0)

    def test_tokens(self, tmp_path):
        source = self.source(tmp_path, tokens=numpy.arange(40).reshape(4, 10))
        found = make(source, NEXT, 3, "batch 0")
        assert numpy.array_equal(found["targets"], found["inputs"] + 1)

    @pytest.mark.parametrize(
        ("arrays", "inputs", "says"),
        [
            ({"labels": [0]}, IMAGES, r"has no array 'images' \(it has: labels\)"),
            (
                {"images": numpy.zeros((2, 4, 4, 3)), "labels": [0, 1]},
                IMAGES,
                "images must be bytes",
            ),
            (
                {"images": numpy.zeros((2, 4, 4, 3), "uint8"), "labels": [0]},
                IMAGES,
                r"labels must be integers of shape \(2,\)",
            ),
            (
                {"images": numpy.zeros((1, 4, 4, 3), "uint8"), "labels": [12]},
                IMAGES,
                "has 13 classes; the model has 10",
            ),
            ({"tokens": [[1, 2]]}, NEXT, r"integers of shape \(N, 10 or more\)"),
            ({"tokens": numpy.full((1, 10), 300)}, NEXT, r"tokens must be in 0 … 299"),
        ],
    )
    def test_what_it_cannot_hold(self, tmp_path, arrays, inputs, says):
        source = self.source(tmp_path, **{k: numpy.asarray(v) for k, v in arrays.items()})
        with pytest.raises(NoBatch, match=says):
            make(source, inputs, 2, "batch 0")

    def test_rows_are_read_in_parts(self, tmp_path, monkeypatch):
        draw = numpy.random.default_rng(0)
        pictures = draw.integers(0, 256, (50, 16, 16, 3), dtype=numpy.uint8)
        labels = draw.integers(0, 4, (50, 16, 16))
        source = self.source(tmp_path, images=pictures, labels=labels)
        whole = make(source, PLACES, 20, "batch 0")
        monkeypatch.setattr(packed_arrays, "_CHUNK", 5_000)
        parts = make(source, PLACES, 20, "batch 0")
        seed = numpy.frombuffer(hashlib.sha256(b"batch 0").digest(), dtype=numpy.uint32)
        places = numpy.random.default_rng(seed).integers(0, 50, 20)
        assert numpy.array_equal(whole["targets"], labels[places])
        assert all(numpy.array_equal(whole[name], parts[name]) for name in whole)

    def test_arrays_in_the_order_of_fortran(self, tmp_path):
        tokens = numpy.arange(40).reshape(4, 10)
        plain = make(self.source(tmp_path, tokens=tokens), NEXT, 3, "batch 0")
        turned = make(
            self.source(tmp_path, tokens=numpy.asfortranarray(tokens)), NEXT, 3, "batch 0"
        )
        assert numpy.array_equal(plain["inputs"], turned["inputs"])

    def test_arrays_that_take_much_memory_are_refused_before_they_are_unpacked(
        self, tmp_path, monkeypatch
    ):
        monkeypatch.setattr(packed_arrays, "MAX_UNPACKED", 10 << 20)
        numpy.savez_compressed(tmp_path / "x.npz", more=numpy.zeros(11 << 20, "uint8"))
        with pytest.raises(NoBatch, match=r"x\.npz: its arrays take 11\.\d+ MiB, more than"):
            make(parse("npz: x.npz", tmp_path), IMAGES, 2, "batch 0")

    @pytest.mark.parametrize(
        "arrays",
        [
            {"images": numpy.zeros((1, 2_000, 2_000, 3), "uint8"), "labels": [0]},
            {"images": numpy.zeros((3_000_000, 1, 2, 1), "uint8"), "labels": [0] * 3_000_000},
        ],
        ids=["a large image", "many images"],
    )
    def test_a_batch_takes_little_memory(self, tmp_path, arrays):
        pairs = {name: numpy.asarray(array, "uint8") for name, array in arrays.items()}
        numpy.savez_compressed(tmp_path / "x.npz", **pairs)
        source = parse("npz: x.npz", tmp_path)
        make(source, IMAGES, 1, "batch 0")  # what is imported counts for nobody
        tracemalloc.start()
        make(source, IMAGES, 64, "batch 0")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 40 << 20  # 64 copies of the large image take 732 MiB

    @pytest.mark.parametrize(
        ("name", "shape", "says"),
        [
            ("MAX_ROW", (2, 4, 4, 3), "a row of images takes 48 bytes, more than"),
            ("MAX_ROWS", (21, 4, 1, 1), "images has 21 rows, more than 20"),
        ],
    )
    def test_what_is_too_large(self, tmp_path, monkeypatch, name, shape, says):
        monkeypatch.setattr(packed_arrays, name, 20)
        source = self.source(tmp_path, images=numpy.zeros(shape, "uint8"))
        with pytest.raises(NoBatch, match=says):
            make(source, IMAGES, 2, "batch 0")

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (
                _array_of("{'descr': '|u1', 'fortran_order': False, 'shape': (9999999999,1,1,3)}"),
                "images should have 29,999,999,997 bytes, but the file has 3",
            ),
            (
                _array_of("{'descr': '|u1', 'fortran_order': False, 'shape': (1<<40,0,1,3)}"),
                "header that cannot be read",
            ),
            (
                _array_of("{'descr': '|u1', 'fortran_order': False, 'shape': (1,0,1,3)}"),
                "images is empty",
            ),
            (
                _array_of("{'descr': '|u1', 'fortran_order': False, 'shape': (-1,1,1,-3)}"),
                "images is empty",
            ),
            (
                _array_of("{'descr': '|V0', 'fortran_order': False, 'shape': (3,)}"),
                "not a type of numbers",
            ),
            (
                _array_of("{'descr': '|O', 'fortran_order': False, 'shape': (3,)}"),
                "images holds object, which is not a type of numbers",
            ),
            (_array_of("(" * 9_000), "header that cannot be read"),
            (_array_of("{'descr': ("), "header that cannot be read"),
            (b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + bytes(99), "takes 2,147,483,647 bytes"),
            (b"\x93NUMPY\x01\x00\xff\x00{", "a header is cut short"),
            (b"\x93NUMPY\x09\x00", "something else than arrays of numpy"),
            (b"no array", "something else than arrays of numpy"),
            (b"", "something else than arrays of numpy"),
        ],
    )
    def test_headers_that_lie(self, tmp_path, content, says):
        with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("images.npy", content)
            packed.writestr("labels.npy", content)
        with pytest.raises(NoBatch, match=says):
            make(parse("npz: x.npz", tmp_path), IMAGES, 2, "batch 0")

    def test_a_packing_that_could_unpack_to_gigabytes_at_once(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_LZMA) as packed:
            packed.writestr("images.npy", bytes(1 << 20))
            packed.writestr("labels.npy", b"")
        with pytest.raises(NoBatch, match="images is packed in a way that numpy does not use"):
            make(parse("npz: x.npz", tmp_path), IMAGES, 2, "batch 0")

    def test_many_members(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "x.npz", "w") as packed:
            for number in range(30):
                packed.writestr(f"{number}{'-' * 60_000}.npy", b"")
        with pytest.raises(NoBatch, match="its list of members is too long"):
            make(parse("npz: x.npz", tmp_path), IMAGES, 2, "batch 0")

    def test_a_pickle_is_never_loaded(self, tmp_path, capsys):
        class Evil:
            def __reduce__(self):
                return (print, ("code was run",))

        evil = numpy.array([Evil()], dtype=object)
        source = self.source(tmp_path, images=evil, labels=evil, other=evil)
        with pytest.raises(NoBatch, match="images holds object, which is not a type of numbers"):
            make(source, IMAGES, 2, "batch 0")
        assert "code was run" not in capsys.readouterr().out

    def test_a_file_that_ends_too_early_is_refused(self, tmp_path):
        numpy.savez(tmp_path / "x.npz", images=numpy.zeros((2, 2), "uint8"))
        data = bytearray((tmp_path / "x.npz").read_bytes())
        at = data.index(b"PK\x01\x02")  # in the list of members: where the member begins
        data[at + 42 : at + 46] = (at - 30).to_bytes(4, "little")
        (tmp_path / "x.npz").write_bytes(data)
        with pytest.raises(NoBatch, match=r"is not a file of plain arrays: ."):
            make(parse("npz: x.npz", tmp_path), IMAGES, 2, "batch 0")
