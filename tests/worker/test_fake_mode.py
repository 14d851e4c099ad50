"""The operators that our mode for fake tensors knows, against torch's own decompositions."""

import itertools

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

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


class Sizes(TorchDispatchMode):
    """Runs each operator on real and on fake tensors, and notes where the bytes of results differ."""

    def __init__(self):
        super().__init__()
        self.mode, self.called, self.differing = QuickFakeMode(), set(), {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = tree_map_only(Tensor, Tensor.detach, (args, kwargs or {}))
        fakes = tree_map_only(Tensor, self.mode.from_tensor, given)
        with self.mode:
            once, again = (func(*fakes[0], **fakes[1]) for _ in range(2))
        result = func(*args, **(kwargs or {}))
        real, *fake = ([*map(size_of, listed(each))] for each in (result, once, again))
        if fake != [real, real]:
            self.differing[str(func)] = (real, *fake)
        self.called.add(func.overloadpacket.__name__)
        return result


def listed(results):
    return results if isinstance(results, (tuple, list)) else [results]


def size_of(value):
    return value.untyped_storage().nbytes() if isinstance(value, Tensor) else value


class Unfolded(nn.Module):
    def forward(self, x):
        return nn.functional.unfold(x, 3).mean(2)


SIZED = {  # by operator: a network that calls it, and its input
    "native_batch_norm_backward": (nn.BatchNorm2d(3), torch.ones(2, 3, 4, 4)),
    "mkldnn_rnn_layer": (nn.LSTM(8, 12, 2), torch.ones(5, 3, 8)),
    "col2im": (nn.Sequential(nn.Conv2d(3, 3, 1), Unfolded()), torch.ones(2, 3, 8, 8)),
}


@pytest.mark.parametrize("operator", SIZED)
def test_results_have_the_bytes_that_the_kernels_give_them(operator):
    network, x = SIZED[operator]
    with Sizes() as sizes:
        output, *_ = listed(network(x))
        nn.functional.smooth_l1_loss(output, torch.ones_like(output)).backward()
    assert {operator, "smooth_l1_loss"} <= sizes.called
    assert sizes.differing == {}


def test_the_memory_of_an_lstm_grows_with_a_batch_that_nobody_computes():
    layer = nn.LSTM(8, 12)
    real, *_ = layer(torch.ones(100, 256, 8))
    held = real.grad_fn._saved_result3.untyped_storage().nbytes()
    with QuickFakeMode():
        sized = [
            nn.LSTM(8, 12)(torch.ones(100, batch, 8))[0].grad_fn._saved_result3.numel()
            for batch in (256, 1 << 16)
        ]
    assert sized == pytest.approx([held, 256 * held], rel=0.01)
