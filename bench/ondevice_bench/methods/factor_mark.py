"""A mark of two factors. It shows that other code has averaged or changed them one by one.

`mean(L) mean(R)` is not the mean of `L R`. The mark is two whole numbers in a small tensor beside
the factors. What averages networks, or changes all their parameters, changes the mark, too.
"""

import itertools
import zlib

import torch
from torch import Tensor

from ondevice_bench.methods.tensors import has_content, working

_MARKS = 251  # a prime below 256: each floating-point type holds these whole numbers exactly
_updates = itertools.count(1)  # of factors, in this process


class FactorMark:
    """The first number of the mark. `beside` is the tensor beside the factors.

    In a `state_dict` the second number follows from the first one, but not linearly. So an average
    of files is seen.
    """

    def __init__(self) -> None:
        self._number: int | None = 0  # None: the factors are those of a file that is an average

    def is_in(self, beside: Tensor) -> bool:
        """Whether the tensor still has the mark of the factors."""
        first = beside.detach()[0]
        number = self._number
        return number is not None and torch.equal(first, first.new_tensor(float(number)))

    def renew(self, beside: Tensor) -> None:
        """Note that the factors have new values."""
        self._number = next(_updates) % _MARKS
        beside.data.fill_(self._number)

    def save(self, beside: Tensor, *factors: Tensor) -> None:
        """Before the factors are saved: renew the mark, so that an average of files is seen."""
        if not has_content() or not self.is_in(beside):
            return
        found = 0
        for each in factors:
            found = zlib.crc32(working(each.detach()).cpu().numpy().tobytes(), found)
        self._number = found % _MARKS
        with torch.no_grad():
            beside.copy_(beside.new_tensor(_saved(self._number)))

    def load(self, beside: Tensor, found: Tensor) -> None:
        """Take the mark of a `state_dict`."""
        with torch.no_grad():
            beside.copy_(found)
        first, second = found.tolist()
        is_own = first in range(_MARKS) and _saved(int(first)) == (first, second)
        self._number = int(first) if is_own else None


def _saved(number: int) -> tuple[float, float]:
    """The mark as a `state_dict` has it. A mean of two is almost never one."""
    return float(number), float(number * number % _MARKS)
