"""A mark of two factors. It shows that other code has averaged or changed them one by one.

`mean(L) mean(R)` is not the mean of `L R`. The mark is two whole numbers in a small tensor beside
the factors. What averages networks, or changes all their parameters, changes the mark, too.
"""

import secrets
import zlib

import torch
from torch import Tensor
from torch.nn import functional as F

from ondevice_bench.methods.tensors import has_content, working

_MARKS = 251  # a prime below 256: each floating-point type holds these whole numbers exactly
_LARGEST = _MARKS - 1
SHAPE = (2, 2)  # of the tensor beside the factors: the mark is its second row


class FactorMark:
    """The two numbers of the mark. `beside` is the tensor beside the factors.

    In training they are 0 and a random number that is not 0. So two networks that were trained
    apart have different marks, also in two processes. In a `state_dict` the second number follows
    from the first one, but not linearly. So an average of files is seen.
    """

    def __init__(self) -> None:
        # None: the factors are those of a file that is an average
        self._numbers: tuple[float, float] | None = (0.0, 1.0)

    def take_over(self, beside: Tensor) -> None:
        """If it comes from a pickle of an earlier version: write its number as a mark of today."""
        found = beside.data.flatten()
        if beside.shape != SHAPE:
            beside.data = _in_second_row(found)
        if "_numbers" in vars(self):
            return
        number = vars(self).pop("_number")
        is_own = number is not None and bool(found[0] == number)
        self._numbers = (0.0, 1.0) if is_own else None
        if is_own:
            self.write(beside)

    def is_in(self, beside: Tensor) -> bool:
        """Whether the tensor still has the mark of the factors."""
        if self._numbers is None:
            return False
        rows: list[list[float]] = beside.tolist()
        return rows == [[0.0, 0.0], [*self._numbers]]

    def write(self, beside: Tensor) -> None:
        """Write the numbers into the tensor."""
        assert self._numbers is not None
        beside.data.copy_(beside.new_tensor(((0.0, 0.0), self._numbers)))

    def renew(self, beside: Tensor) -> None:
        """Note that the factors have new values."""
        last = 0 if self._numbers is None else int(self._numbers[1])
        step = 1 + secrets.randbelow(_LARGEST - 1)  # never back to the last number
        self._numbers = 0.0, float((last - 1 + step) % _LARGEST + 1)
        self.write(beside)

    def save(self, beside: Tensor, *factors: Tensor) -> None:
        """Before the factors are saved: renew the mark, so that an average of files is seen."""
        if not has_content() or not self.is_in(beside):
            return
        found = 0
        for each in factors:
            found = zlib.crc32(working(each.detach()).cpu().numpy().tobytes(), found)
        self._numbers = _saved(found % _LARGEST + 1)
        self.write(beside)

    def load(self, beside: Tensor, found: Tensor) -> None:
        """Take the mark of a `state_dict`. In files of earlier versions it is the row alone."""
        with torch.no_grad():
            beside.copy_(_in_second_row(found.flatten()))
        first, second = found.flatten()[-2:].tolist()
        is_own = first in range(_MARKS) and _saved(int(first)) == (first, second)
        self._numbers = (first, second) if is_own else None


def _in_second_row(numbers: Tensor) -> Tensor:
    """The tensor with this mark. In its first row are zeros."""
    return F.pad(numbers, (SHAPE[0] * SHAPE[1] - len(numbers), 0)).view(SHAPE)


def _saved(number: int) -> tuple[float, float]:
    """The mark as a `state_dict` has it. A mean of two is almost never one."""
    return float(number), float(number * number % _MARKS)
