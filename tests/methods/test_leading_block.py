"""The block iteration of HOSVD: it finds the energy of the full solution, or says that it did not."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ondevice_bench.measure.flops import FlopCounter
from ondevice_bench.methods import leading_block
from ondevice_bench.methods.hosvd import Hosvd
from ondevice_bench.methods.leading_block import (
    TOLERANCE,
    leading_by_block,
    leading_vectors,
    takes_block,
)
from ondevice_bench.methods.ranks import RankChoice, Ranks
from ondevice_bench.methods.tensors import NotFiniteTensor, unfold
from tests.methods.conftest import randn

SPECTRA = {
    "decaying": lambda k: (k + 1) ** -0.5,
    "fast": lambda k: 0.7**k,
    "slow": lambda k: (k + 1) ** -0.1,
    "flat": torch.ones_like,
    "two levels": lambda k: torch.where(k < 7, 1.0, 0.9).to(k.dtype),
    "pairs": lambda k: 0.8 ** (k // 2),
    "a cliff": lambda k: torch.where(k < 3, 1.0, 1e-9).to(k.dtype),
    "of rank 2": lambda k: (k < 2).to(k.dtype),
}


def stream():
    return torch.Generator().manual_seed(3)


def matrix(spectrum, rows, columns, seed=0):
    """With these singular values, and random vectors."""
    size = min(rows, columns)
    left, right = (
        torch.linalg.qr(randn(n, size, seed=seed + at))[0] for at, n in enumerate((rows, columns))
    )
    return left * SPECTRA[spectrum](torch.arange(size, dtype=torch.float64)) @ right.T


def missing_energy(vectors, x, mode):
    """The share of the energy of the best vectors that these lack."""
    unfolded = unfold(x, mode)
    best = torch.linalg.svdvals(unfolded)[: vectors.shape[1]].square().sum()
    return 1 - float((vectors.T @ unfolded).square().sum() / best)


@pytest.mark.parametrize("spectrum", SPECTRA)
@given(
    rank=st.integers(1, 6),
    rows=st.integers(30, 60),
    columns=st.integers(30, 80),
    seed=st.integers(0, 99),
)
@settings(max_examples=10)
def test_what_is_found_has_the_energy_of_the_full_solution(spectrum, rank, rows, columns, seed):
    x = matrix(spectrum, rows, columns, seed)
    found = leading_by_block(x, 0, rank, stream())
    if spectrum in {"fast", "flat", "a cliff", "of rank 2"}:
        assert found is not None
    if found is not None:
        assert missing_energy(found, x, 0) <= TOLERANCE
        assert (found.T @ found - torch.eye(rank)).abs().max() <= 1e-12


@given(
    spectrum=st.sampled_from(sorted(SPECTRA)),
    shape=st.tuples(st.integers(2, 6), st.integers(30, 50), st.integers(10, 20)),
    rank=st.integers(1, 4),
    after=st.booleans(),
)
@settings(max_examples=10)
def test_vectors_of_a_middle_and_of_the_last_mode_are_leading_ones(spectrum, shape, rank, after):
    batch, size, others = shape
    x = matrix(spectrum, size, batch * others).view(size, batch, others)
    x, mode = (x.permute(1, 2, 0), 2) if after else (x.permute(1, 0, 2), 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leading_block, "takes_block", lambda *_: True)
        found = leading_vectors(x, mode, rank, stream())  # by the eigenproblem if it must
    assert missing_energy(found, x, mode) <= TOLERANCE


def test_a_spectrum_that_falls_too_slowly_is_left_to_the_eigenproblem():
    x = matrix("slow", 60, 80)
    assert leading_by_block(x, 0, 4, stream()) is None


def test_directions_that_no_batch_had_before_are_found_because_no_step_follows_another():
    first = torch.zeros(40, 60, dtype=torch.float64)
    second = first.clone()
    first[:20], second[20:] = matrix("fast", 20, 60), matrix("fast", 20, 60, seed=5)
    for x in (first, second, first):
        found = leading_by_block(x, 0, 3, stream())
        assert found is not None
        assert missing_energy(found, x, 0) <= TOLERANCE
    assert torch.equal(found, leading_by_block(first, 0, 3, stream()))


def test_in_float32_the_energy_is_right_too():
    x = matrix("decaying", 300, 400).float()
    found = leading_by_block(x, 0, 6, stream())
    assert found is not None
    assert missing_energy(found.double(), x.double(), 0) <= TOLERANCE


def test_what_is_not_finite_is_refused():
    x = torch.ones(40, 60)
    x[1, 1] = math.nan
    with pytest.raises(NotFiniteTensor):
        leading_by_block(x, 0, 2, stream())


def test_the_cheaper_way_is_taken_and_its_flops_are_declared():
    assert takes_block((128, 50, 3072), 2, 60)
    assert not takes_block((128, 50, 3072), 2, 700)
    assert not takes_block((128, 576, 14, 14), 1, 144)
    layer, shape, ranks = nn.Linear(600, 3), (6, 150, 600), (2, 3, 4)
    assert takes_block(shape, 2, 4)
    x = matrix("fast", 600, 900).float().T.reshape(shape)
    scheme = Hosvd().replace(layer, RankChoice("fc", ranks=Ranks(ranks)), "fc").scheme
    counter = FlopCounter()
    with counter.phase("store"):
        scheme.store(x, None)
    counted, declared = counter.of("store"), Hosvd().flops(layer, shape, Ranks(ranks))
    assert counted.flops == declared.decomposition
    assert counted.factorisation_flops == declared.factorisation
