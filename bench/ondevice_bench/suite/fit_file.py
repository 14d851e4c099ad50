"""A file that `bench fit --json` wrote: what fits a board."""

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from ondevice_bench.declare.check import check
from ondevice_bench.declare.document import read
from ondevice_bench.declare.schema import StrictSchema, schema_of
from ondevice_bench.suite.fit import BoardFits, Fit, MemoryLimit


def _ascending(points: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    if any(low >= high for (low, _), (high, _) in pairwise(points)):
        raise ValueError("the batches of the points must be ascending")
    return points


_Bytes = Annotated[int, Field(gt=0)]
_Count = Annotated[int, Field(ge=1)]
_Point = Annotated[tuple[_Count, _Bytes], Field(strict=False)]
_Points = Annotated[tuple[_Point, ...], Field(strict=False), AfterValidator(_ascending)]


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

    @model_validator(mode="after")
    def _reserve_is_a_part(self) -> "_File":
        if self.memory_bytes - self.reserve_bytes != self.usable_bytes:
            raise ValueError("usable_bytes must be memory_bytes without reserve_bytes")
        return self


def read_fits(path: Path) -> BoardFits:
    """What fits a board, as the file says; BadInput if it is not such a file."""
    file = check(_File, read(path))
    limit = MemoryLimit(file.memory_bytes, file.reserve_bytes)
    rows: tuple[Any, ...] = file.fits
    fits = tuple(Fit(**row.model_dump(exclude={"of_the_board"})) for row in rows)
    return BoardFits(file.board, limit, file.batch, fits)
