"""The operators that our mode for fake tensors knows, against torch's own decompositions."""

import itertools

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from ondevice_bench.worker.fake_mode import QuickFakeMode

aten = torch.ops.aten
SHAPE = (2, 3, 4, 5)
LAYOUTS = {
    "plain": lambda x: x,
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "a part": lambda x: torch.cat([x, x], 2)[:, :, 1:5],
    "repeated": lambda x: x[:1].expand(SHAPE),
}


def described(value):
    """All that the size of a fake tensor depends on."""
    if not isinstance(value, Tensor):
        return value
    storage = value.untyped_storage()
    place = (tuple(value.shape), value.stride(), value.storage_offset())
    return (*place, value.dtype, value.device, storage.nbytes(), value.requires_grad)


def results(mode, func, arguments):
    """What the operator gives, and how many storages, on fake tensors of the mode."""
    FakeTensorMode.cache_clear()
    with mode:
        given = arguments()
        found = func(*given)
        found = found if isinstance(found, tuple) else (found,)
        storages = {
            value.untyped_storage()._cdata
            for value in (*given, *found)
            if isinstance(value, Tensor)
        }
        return [*map(described, found), len(storages)]


def assert_equal(func, arguments):
    ours, theirs = (results(mode(), func, arguments) for mode in (QuickFakeMode, FakeTensorMode))
    assert ours == theirs


def image(layout, dtype):
    return LAYOUTS[layout](torch.empty(SHAPE, dtype=dtype))


def channels(dtype):
    return torch.empty(SHAPE[1], dtype=dtype)


def norm(layout, dtype, of_channels, training, has_weight):
    x, each = image(layout, dtype), [channels(of_channels) for _ in range(4)]
    return (x, *(each[:2] if has_weight else (None, None)), *each[2:], training, 0.1, 1e-5)


def norm_backward(layout, dtype, of_channels, training, has_weight):
    each = [channels(of_channels) for _ in range(3)]
    saved = [torch.empty(SHAPE[1] if training else 0, dtype=dtype) for _ in range(2)]
    weight = each[0] if has_weight else None
    wanted = [True, has_weight, has_weight]
    pair = (image("plain", dtype), image(layout, dtype))
    return (*pair, weight, *each[1:], *saved, training, 1e-5, wanted)


ALL = tuple(itertools.product((False, True), (False, True)))
PLAIN = torch.float32
HALF = torch.bfloat16
NORMS = (
    *(("plain", dtype, dtype, *each) for dtype in (PLAIN, HALF) for each in ALL),
    *((layout, PLAIN, PLAIN, False, True) for layout in LAYOUTS),
    ("plain", HALF, PLAIN, True, True),
)


@pytest.mark.parametrize("kind", NORMS, ids=str)
def test_batch_norm_gives_what_torch_gives(kind):
    """The layout, the types of input and channels, whether it trains, whether it has a weight."""
    assert_equal(aten.native_batch_norm.default, lambda: norm(*kind))
    assert_equal(aten.native_batch_norm_backward.default, lambda: norm_backward(*kind))


@pytest.mark.parametrize("one", LAYOUTS)
def test_the_backward_of_an_activation_gives_what_torch_gives(one):
    def pair(dtype, other):
        return lambda: (image("plain", dtype), image(other, PLAIN), 0.0, 6.0)

    assert_equal(aten.hardtanh_backward.default, pair(PLAIN, one))
    assert_equal(aten.hardtanh_backward.default, pair(HALF, one))


def test_torch_decomposes_none_of_them(monkeypatch):
    asked = []
    dispatch = FakeTensorMode._dispatch_impl

    def listed(self, func, *rest):
        asked.append(func.overloadpacket.__name__)
        return dispatch(self, func, *rest)

    monkeypatch.setattr(FakeTensorMode, "_dispatch_impl", listed)
    FakeTensorMode.cache_clear()
    with QuickFakeMode():
        layer = torch.nn.Sequential(torch.nn.BatchNorm2d(3).eval(), torch.nn.ReLU6())
        layer(torch.zeros(2, 3, 4, 4, requires_grad=True)).exp().sum().backward()
    assert "exp" in asked
    assert not {"native_batch_norm", "native_batch_norm_backward", "hardtanh_backward"} & {*asked}
