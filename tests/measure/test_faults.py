"""Minor page faults of a step, against steps that touch known numbers of fresh pages."""

import mmap
import os

import pytest
import torch

from ondevice_bench.measure import clock
from ondevice_bench.suite.suite import Sampling

PAGE = os.sysconf("SC_PAGE_SIZE")
FEW = 64  # pages that Python and the counters themselves may need
PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS


class Touches:
    """A step whose forward writes to so many pages that the process did not have before."""

    parts = 1

    def __init__(self, pages):
        self.pages = pages

    def forward(self, part=0):
        if self.pages:
            with mmap.mmap(-1, self.pages * PAGE, flags=PRIVATE) as area:
                area.madvise(mmap.MADV_NOHUGEPAGE)  # one fault could bring many pages
                for place in range(0, len(area), PAGE):
                    area[place] = 1
        return torch.zeros(())

    def backward(self, loss):
        pass

    def update(self):
        pass

    def infer(self):
        pass


@pytest.mark.parametrize("pages", [0, 500, 5000])
def test_each_fresh_page_of_a_step_is_one_fault(pages):
    timed = clock.time_steps(Touches(pages), Sampling(warmup=2, min_samples=6, max_samples=6))
    counts = clock.columns(timed.samples)["step_minor_faults"]
    assert len(counts) == len(timed.samples)
    assert all(pages <= count <= pages + FEW for count in counts)


def test_pages_that_the_process_keeps_are_no_faults():
    class Keeps(Touches):
        area = mmap.mmap(-1, 5000 * PAGE, flags=PRIVATE)

        def forward(self, part=0):
            for place in range(0, len(self.area), PAGE):
                self.area[place] = 1
            return torch.zeros(())

    sampling = Sampling(warmup=2, min_samples=6, max_samples=6)
    timed = clock.time_steps(Keeps(5000), sampling)
    assert all(step.step_minor_faults <= FEW for step in timed.samples)
