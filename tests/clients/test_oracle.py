"""The oracle itself: it sees what is wrong, and what is said too late or by others."""

import copy

import pytest
import torch
from torch import nn

from ondevice_bench import treat
from ondevice_bench.methods import Refusal
from tests.clients import loops, oracle
from tests.clients.methods import METHODS
from tests.clients.oracle import APPROXIMATE, EXACT, REFUSED, WRONG, Client
from tests.clients.torch_clients import LOOPS, NETWORKS
from tests.clients.training import Treated

BY_NAME = {method.name: method for method in METHODS}
PLAIN = LOOPS[0]


def changed(loop, method="asi"):
    """The outcome of a client like the first one, with another loop."""
    client = Client("changed", PLAIN.network, PLAIN.batches, PLAIN.loss, loop, PLAIN.blocks)
    return oracle.outcome(client, BY_NAME[method])


def a_bias(network):
    """One that trains under every method."""
    return next(p for p in network.parameters() if p.ndim == 1 and p.requires_grad)


def with_treated(act):
    """A loop that does something to a treated network after its training."""

    def loop(training, batches, loss):
        loops.plain(training, batches, loss)
        if isinstance(training, Treated):
            with torch.no_grad():
                act(training.network)

    return loop


@pytest.mark.parametrize("method", ["asi", "gradient_filter", "lora"])
def test_a_weight_that_is_wrong_by_a_millionth_of_itself_is_seen(method):
    found = changed(with_treated(lambda network: a_bias(network).mul_(1 + 1e-6)), method)
    assert found.kind == WRONG
    assert found.note.startswith("the update is wrong by")


def test_rounding_is_no_error():
    found = changed(with_treated(lambda network: a_bias(network).mul_(1 + 1e-13)))
    assert found.kind == EXACT


def test_other_parameters_that_train_are_seen():
    found = changed(with_treated(lambda network: a_bias(network).requires_grad_(False)))
    assert found.note == "after `merge` other parameters train than before"


def raising(error, after):
    def loop(training, batches, loss):
        rate = 0.2 if isinstance(training, Treated) else 0.1
        loops.plain(training, batches[:after], loss, rate=rate)
        if isinstance(training, Treated):
            error(training)

    return loop


def ours(training):
    treat(training.network, "gradient_filter", "pattern:head")


def theirs(training):
    raise Refusal("not raised by the package")


def test_a_refusal_counts_only_if_the_package_says_it():
    assert changed(raising(ours, 0)).kind == REFUSED
    assert changed(raising(theirs, 0)).kind == WRONG
    assert changed(raising(lambda _: torch.zeros(2) @ torch.zeros(3), 0)).kind == WRONG


def test_a_refusal_after_a_wrong_step_is_wrong():
    found = changed(raising(ours, 1))
    assert found.kind == WRONG
    assert found.note.startswith("refuses after a wrong step")


def test_a_reason_is_stored_once_and_without_the_names_of_layers():
    (gru,) = (client for client in NETWORKS if "GRU" in client.name)
    found = oracle.outcome(gru, BY_NAME["gradient_filter"])
    assert found.note.count("LAYER is a Linear, not a Conv2d") == 1
    assert "head" not in found.note


@pytest.mark.parametrize("radius", [1, 2, 3])
def test_gradient_filter_by_definition_keeps_the_output_and_filters_the_gradient(radius):
    from tests.clients import definitions

    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(2, 3, 1)).double()
    filtered = copy.deepcopy(plain)
    definitions.gradient_filter(radius)(filtered, {"0": {}})
    x = torch.randn(2, 2, 6, 6, dtype=torch.float64)
    constant = torch.ones(2, 3, 6, 6, dtype=torch.float64)
    for network in (plain, filtered):
        network(x).backward(constant)
    # a filter changes nothing where the output gradient is constant and the kernel a point
    assert torch.allclose(plain[0].weight.grad, filtered[0].weight.grad)
    assert torch.equal(plain(x), filtered(x))


def test_outcomes_are_approximate_only_by_a_definition():
    kinds = {method.name: oracle.outcome(PLAIN, method).kind for method in METHODS}
    declared = {name for name, kind in kinds.items() if kind == APPROXIMATE}
    assert declared <= {method.name for method in METHODS if method.definition is not None}
