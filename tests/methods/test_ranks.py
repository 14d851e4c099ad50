"""Rank rules: by definition, and the budget against every combination."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.ranks import (
    GRID,
    NotCalibrated,
    RankCandidate,
    RankChoice,
    RankRule,
    RankRules,
    Ranks,
    by_epsilon,
    by_fraction,
    within_budget,
    within_perplexity,
)
from ondevice_bench.methods.treatment import treat
from tests.methods.conftest import randn
from tests.methods.test_compressed_input import decaying

MIB = 1 << 20
ONE_EACH = "or one for each mode such as 8x16x32"


@given(st.lists(st.floats(0, 100), min_size=1, max_size=8), st.floats(0.01, 0.99))
def test_epsilon_takes_the_fewest_values_that_hold_the_share(values, epsilon):
    energy = torch.tensor(sorted(values, reverse=True), dtype=torch.float64)
    rank = by_epsilon(epsilon, energy, len(values))
    total = energy.sum()
    if total == 0:
        assert rank == 1
        return
    assert energy[:rank].sum() >= epsilon * total * (1 - 1e-12)
    assert rank == 1 or energy[: rank - 1].sum() < epsilon * total * (1 + 1e-12)


def test_epsilon_one_is_full_rank_by_definition():
    assert by_epsilon(1.0, torch.tensor([1.0, 1e-30, 0.0]).double(), 3) == 3


@pytest.mark.parametrize(("fraction", "largest", "rank"), [(0.5, 5, 3), (0.01, 5, 1), (1, 5, 5)])
def test_a_fraction_is_of_what_the_mode_allows(fraction, largest, rank):
    assert by_fraction(fraction, largest) == rank


OFFERS = st.lists(
    st.lists(
        st.builds(
            RankCandidate,
            st.just((1,)),
            st.integers(0, 40).map(lambda n: n * 1000),
            st.floats(0, 10),
        ),
        min_size=1,
        max_size=4,
    ),
    min_size=1,
    max_size=4,
)


@given(OFFERS, st.floats(0.01, 1))
@settings(max_examples=200)
def test_the_budget_is_solved_exactly(offers, share):
    every = list(itertools.product(*(range(len(layer)) for layer in offers)))

    def sums(choice):
        picked = [layer[i] for layer, i in zip(offers, choice, strict=True)]
        return sum(o.bytes for o in picked), sum(o.perplexity for o in picked)

    budget = max(1, share * max(sums(c)[0] for c in every)) / MIB
    fits = [c for c in every if sums(c)[0] <= math.floor(budget * MIB)]
    if not fits:
        with pytest.raises(ValueError, match="below the least possible"):
            within_budget(offers, budget)
    else:
        chosen = sums(within_budget(offers, budget))
        assert chosen[0] <= budget * MIB
        assert chosen[1] == pytest.approx(min(sums(c)[1] for c in fits))
    bound = share * max(sums(c)[1] for c in every) + 1e-9
    fits = [c for c in every if sums(c)[1] <= bound * (1 - 1e-12)]
    if fits:
        chosen = sums(within_perplexity(offers, bound))
        assert chosen[0] <= min(sums(c)[0] for c in fits)
        assert chosen[1] <= bound


@pytest.mark.parametrize(
    ("kind", "value", "says"),
    [
        ("rank", 0, f"an integer of at least 1, {ONE_EACH}, got 0"),
        ("rank", "8xq", f"an integer of at least 1, {ONE_EACH}, got '8xq'"),
        ("epsilon", 0, r"in \(0, 1\], got 0"),
        ("epsilon", 1.5, r"in \(0, 1\], got 1.5"),
        ("epsilon", "high", r"in \(0, 1\], got 'high'"),
        ("trained", 0.3, "one of 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, got 0.3"),
        ("budget_mib", 0, "a number above 0, got 0"),
    ],
)
def test_a_rule_that_makes_no_sense_is_one_sentence(kind, value, says):
    with pytest.raises(ValueError, match=f"^asi: {kind} must be {says}$"):
        treat(nn.Sequential(nn.Linear(4, 4)), "asi", **{kind: value})


def test_a_rank_list_of_the_wrong_length_names_the_layer_and_its_modes():
    model = nn.Sequential(nn.Linear(4, 4))
    treat(model, "hosvd", rank="2x3")
    with pytest.raises(ValueError, match=r"^0: rank 2x3 names 2 modes; this layer has 3$"):
        model(torch.ones(2, 3, 4))


@pytest.mark.parametrize("method", ["svd", "hosvd", "asi", "wasi"])
@pytest.mark.parametrize("rule", [{"epsilon": 0.9}, {"budget_mib": 1.0}])
def test_a_rule_that_needs_data_says_so_until_it_has_some(method, rule):
    if method == "wasi" and "budget_mib" in rule:
        rule = rule | {"weight_rank": 2}
    model = nn.Sequential(nn.Linear(4, 4))
    treat(model, method, **rule)
    with pytest.raises(NotCalibrated, match=r"^0: ranks by \w+ need a batch: call Treatment"):
        model(torch.ones(2, 3, 4))


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, 1, 1),
        nn.Flatten(),
        nn.Linear(128, 5),
    ).double()


BATCH = (decaying(6, 3, 8, 8), torch.arange(6) % 5)


def test_epsilon_holds_the_share_of_every_mode_of_the_calibration_batch():
    model = network()
    ranks = treat(model, "hosvd", epsilon=0.8).calibrate(BATCH[0])
    x = BATCH[0]
    assert set(ranks) == {"0", "2", "4"}
    for mode, rank in enumerate(ranks["0"].activation):
        energy = torch.linalg.svdvals(x.movedim(mode, 0).reshape(x.shape[mode], -1)).square()
        assert energy[:rank].sum() >= 0.8 * energy.sum()
        assert rank == 1 or energy[: rank - 1].sum() < 0.8 * energy.sum()


@pytest.mark.parametrize("method", ["svd", "hosvd", "asi", "wasi"])
def test_a_budget_is_kept_and_the_least_possible_is_named(method):
    more = {"weight_rank": 3} if method == "wasi" else {}
    model = network()
    treatment = treat(model, method, budget_mib=0.005, **more)
    treatment.calibrate(BATCH)
    assert all(p.grad is None for p in model.parameters())
    model(BATCH[0])
    assert sum(r.elements for r in treatment.report()) * 8 <= 0.005 * MIB
    with pytest.raises(ValueError, match=r"budget_mib 1e-05 is below the least possible .* 0.0"):
        treat(network(), method, budget_mib=1e-5, **more).calibrate(BATCH)


@pytest.mark.parametrize("rule", [{"budget_mib": 1e-5}, {"perplexity": 1e-9}])
def test_a_budget_that_cannot_be_met_takes_the_least_of_the_grid_with_a_note(rule):
    method, more = ("hosvd", {}) if "perplexity" in rule else ("wasi", {"weight_rank": 3})
    treatment = treat(network(), method, **rule, **more, least=True)
    ranks = treatment.calibrate(BATCH)
    least = 0.9 if "perplexity" in rule else 0.4
    assert ranks == treat(network(), method, epsilon=least, **more).calibrate(BATCH)
    (note,) = treatment.rank_notes
    assert "is below the least possible for these layers" in note
    assert note.endswith(": the least possible was taken")
    assert treatment.notes()[0] == note
    met = treat(network(), method, budget_mib=0.1, **more, least=True)
    met.calibrate(BATCH)
    assert met.rank_notes == []


def test_a_budget_needs_no_gradients_of_the_loop():
    expected = treat(network(), "asi", budget_mib=0.005).calibrate(BATCH)
    with torch.no_grad():
        assert treat(network(), "asi", budget_mib=0.005).calibrate(BATCH) == expected


def test_a_budget_is_not_for_a_layer_that_is_called_several_times():
    layer = nn.Linear(4, 4)
    treatment = treat(nn.Sequential(layer, nn.ReLU(), layer), "asi", budget_mib=1.0)
    with pytest.raises(Refusal, match=r"^0: budget_mib is for layers that are called once"):
        treatment.calibrate((torch.ones(2, 4), torch.zeros(2, dtype=torch.int64)))


def test_a_larger_budget_is_never_more_wrong():
    def perplexity(budget):
        treatment = treat(network(), "hosvd", budget_mib=budget)
        treatment.calibrate(BATCH)
        exact, ours = network(), treatment.module
        for model in (exact, ours):
            nn.functional.cross_entropy(model(BATCH[0]), BATCH[1]).backward()
        pairs = zip((exact[i] for i in (0, 2, 4)), (ours[i] for i in (0, 2, 4)), strict=True)
        return sum((a.weight.grad - b.weight.grad).norm().item() for a, b in pairs)

    small, large = perplexity(0.005), perplexity(0.2)
    assert large < small
    bound = perplexity(0.005)
    treatment = treat(network(), "hosvd", perplexity=bound * 1.0001)
    treatment.calibrate(BATCH)
    treatment.module(BATCH[0])
    assert sum(r.elements for r in treatment.report()) * 8 <= 0.005 * MIB


def test_calibration_leaves_the_network_and_the_global_generator_alone():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(), nn.Linear(144, 3)
    )
    before = {name: value.clone() for name, value in model.state_dict().items()}
    treatment = treat(model, "asi", epsilon=0.5)
    drawn = torch.get_rng_state()
    treatment.calibrate(torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(drawn, torch.get_rng_state())
    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_given_ranks_are_used_as_they_are():
    from ondevice_bench.methods.ranks import Ranks

    model = network()
    given = {"0": Ranks((2, 3, 4, 5)), "2": Ranks((1, 1, 1, 1)), "4": Ranks((3, 3))}
    treatment = treat(model, "asi", epsilon=0.9, ranks=given)
    model(BATCH[0])
    assert treatment.ranks() == given


def test_the_grid_is_the_definitions():
    assert GRID == (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    assert RankChoice("x", RankRules(RankRule("rank", (9,)))).of_activation((4, 20)) == (4, 9)


@given(st.integers(1, 500), st.integers(1, 500), st.integers(2, 64))
def test_a_rounded_rank_is_the_next_multiple_that_the_layer_allows(rank, largest, multiple):
    found = RankRules(multiple=multiple).rounded(rank, largest)
    if rank <= multiple:
        assert found == min(rank, largest)
    else:
        assert found == largest or (found % multiple == 0 and rank <= found < rank + multiple)
    assert RankRules(multiple=multiple).rounded(found, largest) == found


def test_ranks_of_weights_and_of_inputs_are_rounded_and_a_budget_holds():
    model = nn.Sequential(nn.Linear(40, 30))
    treatment = treat(model, "wasi", fraction=0.5, multiple=8)
    model(randn(20, 40).float())
    assert treatment.ranks()["0"] == Ranks((16, 16), 16)
    model = nn.Sequential(nn.Linear(40, 30))
    treatment = treat(model, "asi", epsilon=0.5, multiple=8)
    x = randn(20, 40).float()
    ranks = treatment.calibrate((x, torch.zeros(20, dtype=torch.int64)))["0"].activation
    assert all(rank <= 8 or rank % 8 == 0 for rank in ranks)
