"""Hooks that stay for the time of a block."""

import pytest
import torch
from torch import nn

from ondevice_bench.measure.removable_hooks import hooked


@pytest.mark.parametrize("fails", [False, True])
def test_a_hook_is_there_in_the_block_and_nowhere_else(fails):
    layer, calls = nn.Linear(2, 2), []

    def call():
        layer(torch.zeros(1, 2))

    def block():
        with hooked(layer.register_forward_hook(lambda *_, n=n: calls.append(n)) for n in (1, 2)):
            call()
            if fails:
                raise ZeroDivisionError

    call()
    if fails:
        with pytest.raises(ZeroDivisionError):
            block()
    else:
        block()
    call()
    assert calls == [1, 2]
