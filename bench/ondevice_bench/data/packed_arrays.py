"""Arrays of an npz file from an unknown source, read some rows at a time.

A small file can unpack to gigabytes. So the header of an array is checked before anything of the
array is read, and no more than some rows are in memory at once. Nothing is ever unpickled.
"""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

import numpy
from numpy.lib import format as npy

from ondevice_bench.files import open_zip
from ondevice_bench.units import GIB, MIB, mib

if TYPE_CHECKING:
    Array: TypeAlias = numpy.ndarray[Any, Any]

MAX_UNPACKED = GIB  # bytes of all arrays of a file
MAX_ROW = 64 * MIB  # bytes
MAX_ROWS = 10_000_000
MAX_FORTRAN = 256 * MIB  # bytes of an array whose rows do not follow each other
_CHUNK = 4 * MIB
_PIECE = MIB
_LONGEST_HEADER = 10_000  # bytes, as in numpy
_MAGIC = len(npy.magic(1, 0))
# by version: the bytes of the header's length, and numpy's reader
_HEADERS: dict[tuple[int, int], tuple[int, Any]] = {
    (1, 0): (2, npy.read_array_header_1_0),
    (2, 0): (4, npy.read_array_header_2_0),
}


class NoArray(ValueError):
    """The file or one of its arrays is not read here. The text has the reason."""


@dataclass(frozen=True)
class ArrayHeader:
    """What an array is, before any of it is read."""

    dtype: "numpy.dtype[Any]"
    shape: tuple[int, ...]
    is_fortran: bool

    @property
    def bytes(self) -> int:
        """The bytes of the whole array."""
        return self.dtype.itemsize * prod(self.shape)


class PackedArrays:
    """The arrays of an npz file. No array is loaded as a whole."""

    def __init__(self, packed: zipfile.ZipFile) -> None:
        self._packed = packed
        members = packed.infolist()
        self._members = {each.filename.removesuffix(".npy"): each for each in members}
        unpacked = sum(each.file_size for each in members)
        if unpacked > MAX_UNPACKED:
            raise NoArray(
                f"its arrays take {mib(unpacked)}, more than {mib(MAX_UNPACKED)}: keep fewer rows"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the arrays."""
        return tuple(self._members)

    def header(self, name: str) -> ArrayHeader:
        """The header of an array; NoArray if numpy writes no such header."""
        with self._opened(name) as file:
            return self._checked(name, file)

    def rows(self, name: str) -> "Iterator[Array]":
        """The array in parts: some rows after the other."""
        with self._opened(name) as file:
            header = self._checked(name, file)
            if header.is_fortran:
                whole = numpy.frombuffer(_exactly(file, header.bytes, name), header.dtype)
                yield whole.reshape(header.shape, order="F")
                return
            count, rest = header.shape[0], header.shape[1:]
            row = header.bytes // count
            some = max(1, _CHUNK // row)
            for first in range(0, count, some):
                data = _exactly(file, min(some, count - first) * row, name)
                yield numpy.frombuffer(data, header.dtype).reshape(-1, *rest)

    @contextmanager
    def _opened(self, name: str) -> Iterator[IO[bytes]]:
        member = self._members[name]
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise NoArray(f"{name} is packed in a way that numpy does not use")
        with self._packed.open(member) as file:
            yield file

    def _checked(self, name: str, file: IO[bytes]) -> ArrayHeader:
        """The header that the file begins with. It leaves the file at the first row."""
        header, length = read_header(file)
        if header.dtype.hasobject or header.dtype.itemsize == 0:
            raise NoArray(f"{name} holds {header.dtype}, which is not a type of numbers")
        if any(size < 1 for size in header.shape) or not header.shape:
            raise NoArray(f"{name} is empty: its shape is {header.shape}")
        held = self._members[name].file_size - length
        if header.bytes != held:
            raise NoArray(f"{name} should have {header.bytes:,} bytes, but the file has {held:,}")
        if header.shape[0] > MAX_ROWS:
            raise NoArray(f"{name} has {header.shape[0]:,} rows, more than {MAX_ROWS:,}")
        row = header.bytes // header.shape[0]
        if row > MAX_ROW:
            raise NoArray(f"a row of {name} takes {mib(row)}, more than {mib(MAX_ROW)}")
        if header.is_fortran and header.bytes > MAX_FORTRAN:
            raise NoArray(
                f"{name} takes {mib(header.bytes)}, and its rows do not follow each other: "
                "save `numpy.ascontiguousarray` of it"
            )
        return header


@contextmanager
def packed_arrays(path: Path) -> Iterator[PackedArrays]:
    """The arrays of an npz file; NoArray, or an error of `zipfile`, if it is another file."""
    with open_zip(path) as packed:
        yield PackedArrays(packed)


def read_header(file: IO[bytes]) -> tuple[ArrayHeader, int]:
    """The header of an array, and the bytes that it takes; NoArray if it is not an array."""
    magic = file.read(_MAGIC)
    version = tuple(magic[-2:])
    if len(magic) < _MAGIC or magic[:-2] != npy.MAGIC_PREFIX or version not in _HEADERS:
        raise NoArray("holds something else than arrays of numpy")
    bytes_of_length, read = _HEADERS[version]
    start = _exactly(file, bytes_of_length, "a header")
    length = int.from_bytes(start, "little")
    if length > _LONGEST_HEADER:
        raise NoArray(f"a header takes {length:,} bytes, more than {_LONGEST_HEADER:,}")
    text = start + _exactly(file, length, "a header")
    try:
        shape, is_fortran, dtype = read(io.BytesIO(text))
    except Exception as error:  # Python's own parser reads it, which can fail in many ways
        raise NoArray(f"has a header that cannot be read: {type(error).__name__}") from None
    return ArrayHeader(dtype, shape, is_fortran), _MAGIC + len(text)


def _exactly(file: IO[bytes], count: int, what: str) -> bytearray:
    data = bytearray(count)
    view = memoryview(data)
    while view:
        piece = file.read(min(len(view), _PIECE))
        if not piece:
            raise NoArray(f"{what} is cut short")
        view[: len(piece)] = piece
        view = view[len(piece) :]
    return data
