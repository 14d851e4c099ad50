"""A file that `bench fit --json` wrote: what fits a board."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from ondevice_bench.declare.check import check
from ondevice_bench.declare.document import read
from ondevice_bench.declare.schema import StrictSchema, schema_of
from ondevice_bench.suite.fit import BoardFits, Fit, MemoryLimit

_Bytes = Annotated[int, Field(gt=0)]
_Point = Annotated[tuple[int, int], Field(strict=False)]
_Points = Annotated[tuple[_Point, ...], Field(strict=False)]


class _Row(StrictSchema):
    of_the_board: float | None = None


_Fit = schema_of(Fit, _Row, points=_Points, confirmed=dict[str, str] | None)


class _File(StrictSchema):
    board: str
    memory_bytes: _Bytes
    reserve_bytes: Annotated[int, Field(ge=0)]
    usable_bytes: _Bytes
    peaks: str
    batch: int | None
    fits: Annotated[tuple[_Fit, ...], Field(strict=False)]  # type: ignore[valid-type]  # a schema that is made at run time


def read_fits(path: Path) -> BoardFits:
    """What fits a board, as the file says; BadInput if it is not such a file."""
    file = check(_File, read(path))
    limit = MemoryLimit(file.memory_bytes, file.reserve_bytes)
    rows: tuple[Any, ...] = file.fits
    fits = tuple(Fit(**row.model_dump(exclude={"of_the_board"})) for row in rows)
    return BoardFits(file.board, limit, file.batch, fits)
