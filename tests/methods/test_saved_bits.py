"""`saved`: unbiased, exact where it must be, each storage once, and the bytes of the definition."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ondevice_bench.methods.packed_bits import BLOCK, PackedBits, packed_size
from ondevice_bench.methods.saved_bits import SavedBits
from ondevice_bench.methods.treatment import treat


def put(elements, numbers):
    elements.copy_(torch.from_numpy(numbers))


@given(st.integers(1, 8), st.sampled_from([1, 7, 8, 9, 1000, BLOCK + 5]), st.integers(0, 99))
def test_small_numbers_come_back(bits, count, seed):
    numbers = torch.randint(0, 2**bits, (count,), generator=torch.Generator().manual_seed(seed))
    kept = PackedBits.like(numbers, bits)
    one = torch.bool if bits == 1 else torch.uint8
    packed = kept.pack(numbers, lambda block: block.to(one).numpy())
    assert len(packed) == packed_size(count, bits) == -(-count * bits // 8)
    found = kept.unpack(packed, put, kept.empty(torch.int64))
    assert torch.equal(found, numbers)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_ten_thousand_draws_have_the_true_mean(bits):
    group = torch.randn(256, generator=torch.Generator().manual_seed(0))
    draws = 10_000
    packed = SavedBits(bits=bits).pack(group.repeat(draws))
    found = packed.unpack(packed.tensors).view(draws, 256).double()
    step = float(group.max() - group.min()) / (2**bits - 1)
    assert len(found[:, 3].unique()) == 2
    # one draw is off by half a step in standard deviation, at most
    assert (found.mean(0) - group).abs().max() < 5 * step / 2 / draws**0.5 + 1e-6


def test_a_group_of_equal_numbers_is_exact_and_the_bytes_are_those_of_the_definition():
    x = torch.randn(1030)
    x[256:512] = 3.3
    packed = SavedBits(bits=2).pack(x)
    assert torch.equal(packed.unpack(packed.tensors)[256:512], x[256:512])
    assert [each.nbytes for each in packed.tensors] == [packed_size(1030, 2), 5 * 2 * 4]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_no_number_is_off_by_more_than_a_step_of_its_group(dtype):
    x = torch.randn(BLOCK + 300).to(dtype)
    packed = SavedBits(bits=4).pack(x)
    found = packed.unpack(packed.tensors)
    assert found.dtype == dtype
    error = (found.double() - x.double()).abs().split(256)
    for part, error_of_part in zip(x.double().split(256), error, strict=True):
        rounding = 0.02 if dtype == torch.bfloat16 else 1e-6
        assert error_of_part.max() <= (part.max() - part.min()) / 15 * (1 + rounding) + rounding


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.q, self.k, self.v = (nn.Linear(64, 64) for _ in range(3))

    def forward(self, x, mask=None):
        y = self.q(x) * 2
        z = self.k(y) + self.v(y.view(-1, 64)).view(y.shape)
        return z if mask is None else z.masked_fill(mask, -torch.inf).softmax(-1)


def test_a_storage_is_packed_once_and_the_batch_and_small_tensors_stay():
    network = Branches()
    treatment = treat(network, "saved", bits=8)
    x = torch.randn(4, 32, 64)
    loss = network(x).square().mean()
    packed = list(treatment.packed_tensors())
    bytes_of_y = packed_size(4 * 32 * 64, 8) + 8 * 32
    numbers = [each for each in packed if each.dtype == torch.uint8]
    assert sum(each.nbytes for each in numbers) == 4 * 32 * 64  # y, for both of its views
    scales = [each for each in packed if each.shape == (32, 2)]
    assert numbers[0].nbytes + scales[0].nbytes == bytes_of_y
    assert x.untyped_storage()._cdata in {each.untyped_storage()._cdata for each in packed}
    loss.backward()
    assert list(treatment.packed_tensors()) == []


def test_eight_bits_train_nearly_as_plain_training():
    plain = Branches()
    network = copy.deepcopy(plain)
    treat(network, "saved", bits=8)
    x = torch.randn(4, 32, 64)
    for each in (plain, network, copy.deepcopy(network)):
        each.zero_grad()
        each(x).square().mean().backward()
        for p, q in zip(plain.parameters(), each.parameters(), strict=True):
            assert torch.allclose(p.grad, q.grad, rtol=0.05, atol=0.01 * float(p.grad.abs().max()))


def test_what_is_not_finite_stays_as_it_is():
    x = torch.randn(2048)
    for number in (torch.inf, -torch.inf, torch.nan):
        x[5] = number
        assert SavedBits(bits=2).pack(x) is None
    assert SavedBits(bits=2).pack(torch.arange(2048)) is None
    assert SavedBits(bits=2).pack(torch.randn(1023)) is None


def test_the_global_stream_of_random_numbers_is_left_alone():
    network = Branches()
    treat(network, "saved", bits=4)
    before = torch.get_rng_state()
    network(torch.randn(4, 32, 64, generator=torch.Generator().manual_seed(0))).sum().backward()
    assert torch.equal(before, torch.get_rng_state())


def test_two_methods_that_pack_are_refused():
    with pytest.raises(ValueError, match="two methods that pack saved tensors cannot be composed"):
        treat(nn.Linear(2, 2), [("saved", {"bits": 4}), ("saved_bf16", {})])


class ReadTwice(nn.Module):
    """It saves a tensor, and the same memory as integers."""

    def forward(self, x):
        y = x * 1
        return y * y + (x * y.detach().view(torch.int32)) * 1e-9


def test_one_storage_that_is_read_as_two_types_is_kept_as_two_tensors():
    x = torch.randn(64, 64)
    gradients = []
    for treated in (False, True):
        network = ReadTwice()
        if treated:
            treat(network, "saved", bits=8)
        given = x.clone().requires_grad_()
        network(given).sum().backward()
        gradients.append(given.grad)
    assert torch.allclose(*gradients, rtol=0.05, atol=0.1)


def test_on_a_device_without_values_functions_run_as_they_are():
    network = nn.Sequential(nn.ReLU(), nn.GELU())
    treat(network, [("lean", {}), ("fewbit", {"bits": 2})])
    network(torch.randn(3, device="meta", requires_grad=True)).sum().backward()
