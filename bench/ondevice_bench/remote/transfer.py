"""Files between a desk and a board, over a connection that answers questions, too."""

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from ondevice_bench.files import atomic_write
from ondevice_bench.protocol.frames import CHUNK_BYTES
from ondevice_bench.remote import answers
from ondevice_bench.remote.exchange import Refused, exchange, next_answer
from ondevice_bench.remote.link import Link
from ondevice_bench.remote.outbox import Parcel

MOST_MADE_BYTES = 4 << 30  # of a batch that the user's code makes


def send_files(link: Link, parcels: Iterable[Parcel], sent: set[tuple[str, str]]) -> None:
    """Send the files that the far side lacks; `sent` has the place and hash of those it has."""
    for parcel in parcels:
        if (parcel.place, parcel.sha256) not in sent:
            _send(link, parcel)
            sent.add((parcel.place, parcel.sha256))


def _send(link: Link, parcel: Parcel) -> None:
    """Send one file. If its content has changed meanwhile, the board refuses it."""
    left = parcel.size
    try:
        with parcel.path.open("rb") as file:
            link.send({"do": "put", "place": parcel.place, "size": left, "sha256": parcel.sha256})
            while left > 0:
                size = min(CHUNK_BYTES, left)
                chunk = _read(file, size) or bytes(size)
                link.send({}, chunk)
                left -= len(chunk)
        next_answer(link)
    except OSError as error:
        raise Refused(f"{parcel.path}: cannot be read: {error.strerror}") from None
    except Refused as error:
        raise Refused(f"{parcel.path.name}: {error}") from None


def _read(file: BinaryIO, size: int) -> bytes:
    """The next bytes; none if the file became shorter, or cannot be read any more.

    The board waits for as many bytes as it was promised. It refuses those that are not of the file.
    """
    try:
        return file.read(size)
    except OSError:
        return b""


def made_there(path: Path) -> str:
    """The place there of a file that the board makes for this side."""
    return f"made/{path.name}"


def fetch(link: Link, place: str, path: Path) -> None:
    """Bring a file here that the board has made."""
    left = answers.size(exchange(link, {"do": "fetch", "place": place}), MOST_MADE_BYTES)
    with atomic_write(path) as file:
        while left > 0:
            chunk = answers.chunk(next_answer(link), left)
            file.write(chunk)
            left -= len(chunk)
