"""`DistributedDataParallel` of one process: as without it, or refused."""

import pytest
import torch
from torch import nn

from ondevice_bench.errors import Refusal
from tests.methods.loops import FACTORED, FULL, RATE, batches, loss, same, train, treated


@pytest.fixture
def one_process(tmp_path):
    distributed = torch.distributed
    store = distributed.FileStore(str(tmp_path / "store"), 1)
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def wrapped(module):
    return nn.parallel.DistributedDataParallel(module, find_unused_parameters=True)


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("method", ["asi", "lora", "update_in_backward", "galore"])
def test_data_parallel_of_one_process_is_as_without_it(method):
    options = {"asi": FULL, "galore": {"rank": 2}}.get(method, {})
    found, expected = treated(method, **options), treated(method, **options)
    settings = {"lr": RATE, "weight_decay": 0.1, "momentum": 0.9}
    train(expected.module, expected.optimizer(**settings))
    optimizer = found.optimizer(**settings)
    train(wrapped(found.module), optimizer)
    assert same(found.module, expected.module)


@pytest.mark.usefixtures("one_process")
@FACTORED
def test_data_parallel_of_one_process_is_refused_where_gradients_are_no_parameters(method):
    treatment = treated(method, **FULL)
    train(treatment.module, treatment.optimizer(lr=RATE))
    with pytest.raises(Refusal, match="cannot be averaged over processes"):
        wrapped(treatment.module)(batches()[0][0])


@pytest.mark.usefixtures("one_process")
def test_data_parallel_hides_no_gradient_that_backward_has_applied():
    treatment = treated("update_in_backward")
    treatment.optimizer(lr=RATE)
    network = wrapped(treatment.module)
    loss(network, batches()[0]).backward()
    with pytest.raises(Refusal, match="code cannot read or change them"):
        treatment.module[2].bias.grad.mul_(0.5)
