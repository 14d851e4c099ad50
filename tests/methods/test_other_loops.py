"""Loops of other people that differ from a plain step: exact, or refused before they train wrong."""

import copy
import io
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import prune

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.optimizer_guard import WrongOptimizer
from ondevice_bench.methods.subspace import ProductsGradient
from ondevice_bench.methods.treatment import treat
from ondevice_bench.specs.layout import ModelLayout

RATE = 0.1
FULL = {"fraction": 1.0}
FACTORED = pytest.mark.parametrize("method", ["wsi", "wasi", "wsi_svd"])
IN_PLACE = "modified by an inplace operation|changed in place|same weights"


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Sequential(nn.Linear(6, 9), nn.GELU()), nn.Sequential(nn.Linear(9, 9)), nn.Linear(9, 3)
    ).double()


def batches(count=3, examples=8):
    stream = torch.Generator().manual_seed(1)
    return [
        (
            torch.randn(examples, 6, dtype=torch.float64, generator=stream),
            torch.randint(0, 3, (examples,), generator=stream),
        )
        for _ in range(count)
    ]


def loss(module, batch):
    x, classes = batch
    return F.cross_entropy(module(x), classes)


def treated(method, module=None, **options):
    layout = ModelLayout(blocks="0|1", head="2")
    return treat(module or network(), method, layout=layout, **options)


def train(module, optimizer, count=3):
    for batch in batches(count):
        loss(module, batch).backward()
        optimizer.step()
        optimizer.zero_grad()


def plainly(loop, **options):
    module = network()
    loop(module, torch.optim.SGD(module.parameters(), lr=RATE, **options))
    return module


def weights(module):
    """Copies of the parameters, without the marks of factors."""
    named = module.named_parameters()
    return {name: each.detach().clone() for name, each in named if "pending" not in name}


def same(found, expected, tolerance=1e-12):
    ours, theirs = weights(found), weights(expected)
    assert ours.keys() == theirs.keys()
    return all((ours[name] - theirs[name]).abs().max() < tolerance for name in ours)


def unchanged(module, before):
    return all(torch.equal(each, before[name]) for name, each in weights(module).items())


# the optimizer of the treatment


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
@pytest.mark.parametrize(
    "method", ["vanilla", "update_in_backward", [("galore", {"rank": 2}), ("asi", FULL)]]
)
def test_hooks_of_a_step_run_once_in_a_step(method, kind):
    parameter = nn.Parameter(torch.zeros(1))
    torch.optim.SGD([parameter], lr=RATE)  # from now on, torch's own steps call hooks, too
    torch.optim.AdamW([parameter], lr=RATE)
    treatment = treated(method)
    optimizer, calls = treatment.optimizer(lr=RATE, kind=kind), []
    optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    train(treatment.module, optimizer, 2)
    assert calls == ["before", "after"] * 2


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("vanilla", {"momentum": 0.9}),
        ("vanilla", {"kind": "adamw"}),
        ("galore", {"kind": "adamw"}),
        ("wsi", {}),
        ("update_in_backward", {"clip": None}),
    ],
)
def test_a_copy_of_network_and_optimizer_trains_as_the_original(method, options):
    own = {"wsi": FULL, "galore": {"rank": 2, "every": 2}}.get(method, {})
    treatment = treated(method, **own)
    optimizer = treatment.optimizer(lr=RATE, **{"clip": 0.1, **options})
    train(treatment.module, optimizer, 1)
    twin, other = copy.deepcopy((treatment.module, optimizer))
    train(treatment.module, optimizer, 2)
    train(twin, other, 2)
    assert same(twin, treatment.module, 1e-14)


@FACTORED
def test_a_schedule_that_sets_momentum_is_refused_before_a_step(method):
    treatment = treated(method, **FULL)
    optimizer = treatment.optimizer(lr=RATE)
    torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, 10)
    before = weights(treatment.module)
    loss(treatment.module, batches()[0]).backward()
    with pytest.raises(ValueError, match=r"momentum needs a state.*cycle_momentum=False"):
        optimizer.step()
    assert unchanged(treatment.module, before)


@FACTORED
def test_each_factored_layer_has_the_options_of_its_group(method):
    def grouped(module, optimizer):
        (group,) = optimizer.param_groups
        slow = {id(each) for each in module[2].parameters()}
        first = [each for each in group["params"] if id(each) not in slow]
        rest = [each for each in group["params"] if id(each) in slow]
        optimizer.param_groups = [
            {**group, "params": first},
            {**group, "params": rest, "lr": RATE / 10, "weight_decay": 0.1},
        ]
        train(module, optimizer)

    treatment = treated(method, **FULL)
    grouped(treatment.module, treatment.optimizer(lr=RATE))
    assert same(treatment.merge(), plainly(grouped))


@FACTORED
def test_factors_are_updated_in_place(method):
    treatment = treated(method, **FULL)
    places = [each.data_ptr() for each in treatment.module.parameters()]
    train(treatment.module, treatment.optimizer(lr=RATE))
    assert [each.data_ptr() for each in treatment.module.parameters()] == places


@FACTORED
def test_a_penalty_on_all_parameters_is_refused_before_a_step(method):
    treatment = treated(method, **FULL)
    module, optimizer = treatment.module, treatment.optimizer(lr=RATE)
    before = weights(module)
    penalty = sum(each.square().sum() for each in module.parameters())
    (loss(module, batches()[0]) + 0.1 * penalty).backward()
    with pytest.raises(Refusal, match=r"^0\.0: something else gave the factors a gradient"):
        optimizer.step()
    assert unchanged(module, before)


def test_clearing_between_forward_and_backward_leaves_a_thin_gradient():
    treatment = treated("wsi", **FULL)
    module, optimizer = treatment.module, treatment.optimizer(lr=RATE)
    for batch in batches():
        value = loss(module, batch)
        optimizer.zero_grad()
        value.backward()
        assert isinstance(module[2].gradient, ProductsGradient)
        optimizer.step()
    assert same(treatment.merge(), plainly(train))


def test_a_gradient_by_the_input_leaves_a_thin_gradient_for_the_step():
    treatment = treated("wsi", **FULL)
    module, optimizer = treatment.module, treatment.optimizer(lr=RATE)
    for batch in batches():
        x = batch[0].clone().requires_grad_()
        torch.autograd.grad(loss(module, (x, batch[1])), x)
        loss(module, batch).backward()
        assert isinstance(module[2].gradient, ProductsGradient)
        optimizer.step()
        optimizer.zero_grad()
    assert same(treatment.merge(), plainly(train))


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("vanilla", {}),
        ("asi", FULL),
        ("wsi", FULL),
        ("wasi", FULL),
        ("lora", {}),
        ("checkpoint", {}),
        ("saved", {"bits": 8}),
        ("saved_bf16", {}),
        ("lean", {}),
        ("galore", {"rank": 2}),
    ],
)
def test_a_step_between_forward_and_backward_is_refused_as_in_plain_training(method, options):
    treatment = treated(method, **options)
    module, optimizer = treatment.module, treatment.optimizer(lr=RATE)
    first, second, _ = batches()
    early = loss(module, first)
    loss(module, second).backward()
    optimizer.step()
    with pytest.raises((RuntimeError, Refusal), match=IN_PLACE):
        early.backward()


def test_a_block_that_would_run_again_with_other_weights_is_refused():
    module = treated("checkpoint").module
    early = loss(module, batches()[0])
    loss(module, batches()[1]).backward()
    torch.optim.SGD(module[0].parameters(), lr=RATE).step()
    with pytest.raises(Refusal, match=r"^0: checkpoint runs this block again in backward"):
        early.backward()


# averages of factors


def by_state(average, module):
    now = module.state_dict()
    for name, tensor in average.state_dict().items():
        tensor.mul_(0.9).add_(now[name], alpha=0.1)


@FACTORED
def test_an_average_in_the_place_of_a_state_dict_is_refused_when_it_computes(method):
    treatment = treated(method, **FULL)
    average = copy.deepcopy(treatment.module).eval()
    optimizer = treatment.optimizer(lr=RATE)
    for _ in range(3):
        train(treatment.module, optimizer, 1)
        by_state(average, treatment.module)
    average.state_dict()  # as a loop that saves it
    with pytest.raises(Refusal, match=r"^0\.0: other code has averaged, copied or changed"):
        average(batches()[0][0])


@FACTORED
def test_an_average_of_files_is_refused_when_it_computes_and_each_file_is_not(method):
    treatment = treated(method, **FULL)
    optimizer, files = treatment.optimizer(lr=RATE), []
    for _ in range(4):
        train(treatment.module, optimizer, 1)
        files.append(copy.deepcopy(treatment.module.state_dict()))
    average = {
        name: sum(file[name] for file in files) / len(files)
        for name in files[0]
        if "basis_" not in name
    }
    other = treated(method, **FULL).module
    x = batches()[0][0]
    for file in files:
        other.load_state_dict(file)
        other(x)
    assert torch.equal(other(x), treatment.module(x))
    other.load_state_dict(average)
    with pytest.raises(Refusal, match=r"^0\.0: other code has averaged, copied or changed"):
        other(x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_factors_that_change_their_type_or_come_from_an_earlier_version_compute(dtype):
    treatment = treated("wsi", **FULL)
    train(treatment.module, treatment.optimizer(lr=RATE))
    file = {name: each.to(dtype) for name, each in treatment.module.state_dict().items()}
    other = treated("wsi", **FULL).module
    other.load_state_dict(file)
    other(batches()[0][0])
    other.load_state_dict({name: each for name, each in file.items() if "norm" not in name})
    other.to(dtype)(batches()[0][0].to(dtype))
    other.double()(batches()[0][0])


@pytest.mark.parametrize("method", ["asi", "wasi"])
def test_code_that_pairs_the_entries_of_two_networks_in_order_pairs_the_right_ones(method):
    treatment = treated(method, **FULL)
    early = copy.deepcopy(treatment.module)
    train(treatment.module, treatment.optimizer(lr=RATE))
    names = list(treatment.module.state_dict())
    assert len(names) > len(early.state_dict())
    assert all(a == b for a, b in zip(names, early.state_dict(), strict=False))
    treatment.merge()
    assert not treatment.module._state_dict_hooks


# weights in other places


def fast_weights(module):
    return {
        name: each.detach().clone().requires_grad_() for name, each in module.named_parameters()
    }


@pytest.mark.parametrize("method", ["lora", "lora_fa"])
def test_a_network_that_gets_its_weights_in_the_call_has_their_gradients(method):
    treatment = treated(method)
    module, (first, *_) = treatment.module, batches()
    loss(module, first).backward()
    held = fast_weights(module)
    loss(lambda x: torch.func.functional_call(module, held, x), first).backward()
    for name, parameter in module.named_parameters():
        if parameter.grad is not None:
            assert torch.allclose(held[name].grad, parameter.grad, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("method", "says"),
    [
        ("wsi", r"^0\.0: .*cannot reach factors that are no parameters"),
        ("wasi", r"^0\.0: .*cannot reach factors that are no parameters"),
        ("checkpoint", r"^0: .*must find the same weights"),
    ],
)
def test_weights_that_the_method_could_not_train_are_refused_in_the_call(method, says):
    module = treated(method, **(FULL if "w" in method else {})).module
    with pytest.raises(Refusal, match=says):
        torch.func.functional_call(module, fast_weights(module), batches()[0][0])


@pytest.mark.parametrize("method", ["saved_bf16", "checkpoint", "lora", "lora_fa", "bias_only"])
def test_transforms_of_torch_func_run_without_what_only_saves_memory(method):
    module = treated(method).module
    held = {name: each.detach() for name, each in module.named_parameters()}
    plain = copy.deepcopy(module)
    first = batches()[0]

    def value(held, module):
        return loss(lambda x: torch.func.functional_call(module, held, x), first)

    if method == "checkpoint":
        module, held = module[0], {k[2:]: v for k, v in held.items() if k[:2] == "0."}
        found = torch.func.grad(lambda x: module(x).square().sum())(first[0])
        x = first[0].clone().requires_grad_()
        (expected,) = torch.autograd.grad(plain[0](x).square().sum(), x)
        assert torch.allclose(found, expected, rtol=1e-12, atol=1e-14)
        return
    found = torch.func.grad(value)(held, module)
    loss(plain, first).backward()
    rough = (
        {"rtol": 0.05, "atol": 1e-3} if method == "saved_bf16" else {"rtol": 1e-12, "atol": 1e-14}
    )
    for name, parameter in plain.named_parameters():
        if parameter.grad is not None:
            assert torch.allclose(found[name], parameter.grad, **rough)


@pytest.mark.parametrize("method", ["asi", "hosvd", "wsi"])
def test_transforms_of_torch_func_are_refused_where_the_method_has_none(method):
    module = treated(method, **FULL).module
    with pytest.raises(Refusal, match=r"^0\.0: the method cannot run within a transform"):
        torch.func.grad(lambda x: module(x).sum())(batches()[0][0])


def test_a_copy_of_a_network_with_projected_gradients_is_guarded_too():
    treatment = treated("galore", rank=2)
    twin = copy.deepcopy(treatment.module)
    before = weights(twin)
    with pytest.raises(WrongOptimizer, match="galore: this optimizer does not know"):
        train(twin, torch.optim.SGD(twin.parameters(), lr=RATE))
    assert unchanged(twin, before)


def test_weights_that_a_file_has_brought_are_projected():
    module = network()
    file = copy.deepcopy(module.state_dict())
    expected = treated("galore", rank=2)
    train(expected.module, expected.optimizer(lr=RATE))
    treatment = treated("galore", module, rank=2)
    module.load_state_dict(file, assign=True)
    train(module, treatment.optimizer(lr=RATE))
    assert same(module, expected.module, 1e-14)


def test_parameters_that_an_optimizer_gets_later_are_checked_too():
    treatment = treated("galore", rank=2)
    module = treatment.module
    biases = [each for each in module.parameters() if each.ndim == 1]
    optimizer = torch.optim.SGD(biases, lr=RATE)
    train(module, optimizer, 1)
    optimizer.add_param_group({"params": [module[2].weight]})
    with pytest.raises(WrongOptimizer, match="galore: this optimizer does not know"):
        train(module, optimizer, 1)


@pytest.mark.parametrize("method", ["lora", "lora_fa"])
def test_a_frozen_weight_stays_frozen_if_a_loop_lets_all_parameters_train(method):
    treatments = [treated(method), treated(method)]
    for treatment in treatments:
        optimizer = treatment.optimizer(lr=RATE)
        for batch in batches():
            if treatment is treatments[1] and method == "lora":
                treatment.module.requires_grad_(True)  # as loops of GANs do
            loss(treatment.module, batch).backward()
            nn.utils.clip_grad_norm_(treatment.module.parameters(), 0.01)
            optimizer.step()
            optimizer.zero_grad()
    assert all(map(torch.equal, *(weights(each.module).values() for each in treatments)))


def test_parameters_that_bias_only_has_frozen_are_not_let_train_by_other_code():
    treatment = treated("bias_only")
    treatment.module.requires_grad_(True)
    with pytest.raises(Refusal, match="bias_only: other code lets parameters train that the meth"):
        loss(treatment.module, batches()[0])
    treatment.merge()
    train(treatment.module, torch.optim.SGD(treatment.module.parameters(), lr=RATE))


def test_what_a_choice_of_last_layers_has_frozen_trains_after_merge():
    module = network()
    loss(module, batches()[0]).backward()
    optimizer = torch.optim.SGD(module.parameters(), lr=RATE)
    before = weights(module)
    treatment = treat(module, "vanilla", "last:1")
    optimizer.step()  # with gradients of an earlier step
    assert not module[0][0].weight.requires_grad
    assert torch.equal(module[0][0].weight, before["0.0.weight"])
    assert all(each.requires_grad for each in treatment.merge().parameters())


def test_a_projected_gradient_that_is_not_finite_is_named():
    treatment = treated("galore", rank=2)
    optimizer = treatment.optimizer(lr=RATE)
    (math.nan * loss(treatment.module, batches()[0])).backward()
    with pytest.raises(ValueError, match=r"^the gradient of a projected weight holds NaN"):
        optimizer.step()


# after `merge`, and a second `treat`


@pytest.mark.parametrize(("method", "options"), [("wsi", FULL), ("lora", {}), ("lora_fa", {})])
def test_an_optimizer_with_parameters_that_merge_has_taken_away_is_refused(method, options):
    treatment = treated(method, **options)
    optimizer = treatment.optimizer(lr=RATE)
    train(treatment.module, optimizer)
    copy.deepcopy(treatment).merge()
    train(treatment.module, optimizer)
    plain = treatment.merge()
    with pytest.raises(WrongOptimizer, match=r"merge\(\) has taken away.* after merge\(\)$"):
        train(plain, optimizer)
    train(plain, torch.optim.SGD(plain.parameters(), lr=RATE))


def test_a_layer_that_is_pruned_after_treat_is_exact_and_merge_says_what_to_do():
    def pruned(module, optimizer):
        prune.l1_unstructured(module[2], "weight", 0.5)
        train(module, optimizer)

    module = network()
    treatment = treated("asi", module, **FULL)
    prune.l1_unstructured(module[2], "weight", 0.5)
    train(module, treatment.optimizer(lr=RATE))
    expected = network()
    prune.l1_unstructured(expected[2], "weight", 0.5)
    train(expected, torch.optim.SGD(expected.parameters(), lr=RATE))
    with pytest.raises(Refusal, match=r"^2: since treat\(\), other code makes its weight"):
        treatment.merge()
    for each in (module, expected):
        prune.remove(each[2], "weight")
    assert same(treatment.merge(), expected)


def test_a_part_of_a_replaced_layer_is_no_layer_of_a_second_method():
    module = treated("lora").module
    with pytest.raises(Refusal, match=r"0\.0\.base is a part of a layer that treat\(\) has repl"):
        treat(module, "asi", rank=2)


EXACT = pytest.mark.parametrize(
    ("method", "options"),
    [
        ("svd", FULL),
        ("hosvd", FULL),
        ("asi", FULL),
        ("wsi", FULL),
        ("wasi", FULL),
        ("wsi_svd", FULL),
        ("lean", {}),
        ("update_in_backward", {}),
        ("galore", {"rank": 100, "scale": 1.0}),
    ],
)


@EXACT
def test_a_network_is_treated_again_after_merge(method, options):
    module = network()
    for _ in range(2):
        treatment = treated(method, module, **options)
        train(module, treatment.optimizer(lr=RATE), 2)
        module = treatment.merge()
        assert treatment.merge() is module
    expected = network()
    for _ in range(2):
        train(expected, torch.optim.SGD(expected.parameters(), lr=RATE), 2)
    assert same(module, expected)


@pytest.mark.parametrize("method", ["bias_only", "update_in_backward", "galore", "asi", "lean"])
def test_a_merged_copy_is_a_plain_network(method):
    options = {"galore": {"rank": 2}, "asi": FULL}.get(method, {})
    treatment = treated(method, **options)
    train(treatment.module, treatment.optimizer(lr=RATE), 1)
    plain = copy.deepcopy(treatment).merge()
    hooks = (plain._forward_hooks, plain._forward_pre_hooks, plain._state_dict_hooks)
    assert not any(hooks)
    train(plain, torch.optim.SGD(plain.parameters(), lr=RATE))
    train(treatment.module, treatment.optimizer(lr=RATE))


@EXACT
def test_a_layer_that_the_loop_puts_in_the_place_of_another_trains_plainly(method, options):
    head = nn.Linear(9, 3).double()
    treatment = treated(method, **options)
    treatment.module[2] = copy.deepcopy(head)
    train(treatment.module, treatment.optimizer(lr=RATE))
    expected = network()
    expected[2] = head
    train(expected, torch.optim.SGD(expected.parameters(), lr=RATE))
    assert same(treatment.merge(), expected)


@EXACT
def test_a_rate_that_begins_at_zero_is_exact(method, options):
    def warmed(module, optimizer):
        for rate in (0.0, RATE):
            optimizer.param_groups[0]["lr"] = rate
            train(module, optimizer, 1)

    treatment = treated(method, **options)
    warmed(treatment.module, treatment.optimizer(lr=RATE))
    assert same(treatment.merge(), plainly(warmed))


# inputs


@EXACT
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 4), (4, 1), (1, 1), (4, 5)])
@pytest.mark.parametrize("examples", [1, 3])
def test_layers_and_batches_of_one_are_exact(method, options, inputs, outputs, examples):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(inputs, 6), nn.Tanh(), nn.Linear(6, outputs)).double()
    treatment = treat(copy.deepcopy(plain), method, **options)
    module, optimizer = treatment.module, treatment.optimizer(lr=RATE)
    other = torch.optim.SGD(plain.parameters(), lr=RATE)
    for _ in range(3):
        x = torch.randn(examples, inputs, dtype=torch.float64)
        for each, stepping in ((module, optimizer), (plain, other)):
            each(x).square().mean().backward()
            stepping.step()
            stepping.zero_grad()
    assert same(treatment.merge(), plain, 1e-11)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("svd", FULL),
        ("hosvd", FULL),
        ("asi", FULL),
        ("wsi", FULL),
        ("wasi", FULL),
        ("wsi_svd", FULL),
        ("lean", {}),
        ("gradient_filter", {"radius": 2}),
        ("lora_fa", {}),
        ("bias_only", {}),
        ("fewbit", {"bits": 2}),
        ("checkpoint", {}),
        ("saved_bf16", {}),
    ],
)
def test_images_in_another_order_of_memory_and_transposed_gradients_change_nothing(method, options):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 5, 3, stride=2)
            self.norm = nn.BatchNorm2d(4)
            self.head = nn.Linear(5, 2)

        def forward(self, x):
            x = self.second(F.gelu(F.max_pool2d(F.relu(self.norm(self.first(x))), 2)))
            return self.head(x.flatten(2).transpose(1, 2)).transpose(1, 2)

    torch.manual_seed(0)
    networks = [Net().double()]
    networks.append(copy.deepcopy(networks[0]).to(memory_format=torch.channels_last))
    x = torch.randn(4, 3, 10, 12, dtype=torch.float64)
    layout, merged = ModelLayout(blocks="first", head="head"), []
    for module, order in zip(networks, (torch.contiguous_format, torch.channels_last), strict=True):
        treatment = treat(module, method, layout=layout, **options)
        optimizer = treatment.optimizer(lr=RATE)
        for _ in range(2):
            y = module(x.contiguous(memory_format=order))
            (y * torch.arange(2)[:, None]).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
        merged.append(treatment.merge())
    assert same(*merged, 1e-10)


def test_lean_computes_a_relu_in_place_of_a_part_of_a_tensor():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(6, 6)

        def forward(self, x):
            y = self.linear(x)
            y[:, :3].relu_()
            return y

    module = Net()
    twin = copy.deepcopy(module)
    treat(module, "lean")
    x = torch.randn(8, 6)
    for each in (module, twin):
        each(x).square().sum().backward()
    assert torch.equal(module.linear.weight.grad, twin.linear.weight.grad)


@pytest.mark.parametrize("method", ["asi", "hosvd", "wasi"])
def test_inputs_with_other_dimensions_are_refused_in_one_sentence(method):
    layer = treat(nn.Linear(6, 4), method, rank=2).module
    layer(torch.randn(8, 6)).sum().backward()
    layer.zero_grad()
    with pytest.raises(Refusal, match=r"^the layer: the input has 3 modes with a rank, but"):
        layer(torch.randn(8, 5, 6))


def test_svd_takes_inputs_of_any_dimensions():
    layer = treat(nn.Linear(6, 4), "svd", rank=2).module
    layer(torch.randn(8, 6)).sum().backward()
    layer(torch.randn(8, 5, 6)).sum().backward()


@pytest.mark.parametrize("method", ["svd", "hosvd", "asi"])
def test_a_share_of_the_largest_rank_follows_a_larger_input(method):
    treatment = treat(nn.Linear(6, 4).double(), method, **FULL)
    layer, plain = treatment.module, nn.Linear(6, 4).double()
    plain.load_state_dict(layer.state_dict())
    for shape in ((2, 3, 6), (8, 10, 6), (4, 12, 6)):
        x = torch.randn(shape, dtype=torch.float64)
        for each in (layer, plain):
            each.zero_grad()
            each(x).square().sum().backward()
        assert torch.allclose(layer.weight.grad, plain.weight.grad, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("method", ["saved", "saved_bf16"])
def test_a_sparse_tensor_that_is_saved_stays_as_it_is(method):
    class Graph(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("edges", torch.eye(8).to_sparse())
            self.linear = nn.Linear(6, 3)

        def forward(self, x):
            return torch.sparse.mm(self.edges, self.linear(x))

    module = Graph()
    twin = copy.deepcopy(module)
    treat(module, method, **({"bits": 8} if method == "saved" else {}))
    x = torch.ones(8, 6)
    for each in (module, twin):
        each(x).sum().backward()
    assert torch.equal(module.linear.bias.grad, twin.linear.bias.grad)


@pytest.mark.parametrize("method", ["saved", "saved_bf16", "lean", "checkpoint"])
def test_statistics_that_move_between_two_forwards_are_no_change_of_a_saved_tensor(method):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Sequential(nn.Linear(6, 9), nn.BatchNorm1d(9)), nn.Linear(9, 3))
    treatment = treat(
        module,
        method,
        layout=ModelLayout(blocks="0", head="1"),
        **({"bits": 8} if method == "saved" else {}),
    )
    optimizer = treatment.optimizer(lr=RATE)
    for _ in range(2):
        (module(torch.randn(8, 6)) + module(torch.randn(8, 6))).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()


# methods without effect

IN_TRAINING = pytest.mark.parametrize(
    ("method", "options"),
    [
        ("asi", FULL),
        ("svd", FULL),
        ("lbp_wht", {"patch": 2, "order": 3}),
        ("saved", {"bits": 8}),
        ("saved_bf16", {}),
        ("lean", {}),
        ("fewbit", {"bits": 4}),
        ("microbatch", {"slices": 2}),
    ],
)


@IN_TRAINING
def test_training_in_evaluation_mode_is_refused_before_a_step(method, options):
    treatment = treated(method, **options)
    module = treatment.module.eval()  # as networks of transformers come
    optimizer = torch.optim.SGD(module.parameters(), lr=RATE)
    before = weights(module)
    with pytest.raises(Refusal, match=r"has no effect: call train\(\) on the network"):
        train(module, optimizer)
    assert unchanged(module, before)
    treatment.merge()
    train(module, optimizer)


@IN_TRAINING
def test_evaluation_with_gradients_before_training_is_not_refused(method, options):
    if method == "lbp_wht":
        pytest.skip("this network has no grid")
    treatment = treated(method, **options)
    module, (batch, *_) = treatment.module, batches()
    optimizer = treatment.optimizer(lr=RATE)
    optimizer.step()
    module.eval()
    loss(module, batch).backward()  # a map of the inputs that matter
    module.zero_grad()
    module.train()
    treatment.backward(batch)
    optimizer.step()


def test_a_loop_that_calls_only_parts_of_the_network_is_refused():
    treatment = treated("lean")
    module = treatment.module
    optimizer = treatment.optimizer(lr=RATE)
    module[2](module[1](module[0](batches()[0][0]))).sum().backward()
    with pytest.raises(Refusal, match="call the network itself, not only parts of it"):
        optimizer.step()
    treatment = treated("asi", **FULL)  # its layers do the work
    module = treatment.module
    module[2](module[1](module[0](batches()[0][0]))).sum().backward()
    treatment.optimizer(lr=RATE).step()


def test_frozen_weights_train_their_biases_in_evaluation_mode():
    treatment = treated("asi", **FULL)
    module = treatment.module.eval()
    for parameter in module.parameters():
        parameter.requires_grad_(parameter.ndim == 1)
    train(module, treatment.optimizer(lr=RATE))


# updates in backward


def test_options_that_change_between_backward_and_step_are_refused():
    treatment = treated("update_in_backward")
    optimizer = treatment.optimizer(lr=RATE)
    loss(treatment.module, batches()[0]).backward()
    optimizer.param_groups[0]["lr"] = RATE / 2
    with pytest.raises(Refusal, match=r"options of the optimizer .* changed between"):
        optimizer.step()


@pytest.mark.parametrize("is_alone", [True, False])
def test_two_backward_passes_through_one_graph_are_refused(is_alone):
    other = treated("update_in_backward")
    other.optimizer(lr=RATE)
    if not is_alone:  # it waits for its step()
        loss(other.module, batches()[0]).backward()
    treatment = treated("update_in_backward")
    treatment.optimizer(lr=RATE)
    value = loss(treatment.module, batches()[0])
    value.backward(retain_graph=True)
    with pytest.raises(Refusal, match="a second gradient arrived for weights that are updated"):
        value.backward()


def test_a_network_with_outputs_of_several_depths_is_exact():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.third = (nn.Linear(6, 6) for _ in range(3))

        def forward(self, x):
            early = self.first(x)
            middle = self.second(torch.tanh(early))
            return {"early": early, "others": (middle, self.third(torch.tanh(middle)))}

    torch.manual_seed(0)
    networks = [Two().double()]
    networks.append(copy.deepcopy(networks[0]))
    for method, module in zip(("update_in_backward", "vanilla"), networks, strict=True):
        optimizer = treat(module, method).optimizer(lr=RATE)
        for x, _ in batches():
            found = module(x)
            tensors = (found["early"], *found["others"])
            sum(each.square().mean() for each in tensors).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert all(map(torch.equal, *(weights(each).values() for each in networks)))


def test_gradients_that_are_applied_are_not_clipped_by_a_norm_that_the_loop_has():
    treatment = treated("update_in_backward")
    treatment.optimizer(lr=RATE)
    loss(treatment.module, batches()[0]).backward()
    parameters = list(treatment.module.parameters())
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    with pytest.raises(Refusal, match="has applied the gradients already"):
        nn.utils.clip_grads_with_norm_(parameters, 0.1, norm)


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


@FACTORED
def test_a_whole_network_in_a_file_goes_on_with_the_optimizer_beside_it(method):
    treatment = treated(method, **FULL)
    optimizer = treatment.optimizer(lr=RATE)
    train(treatment.module, optimizer, 2)
    file = io.BytesIO()
    torch.save((treatment.module, optimizer), file)
    file.seek(0)
    twin, other = torch.load(file, weights_only=False)
    train(treatment.module, optimizer, 2)
    train(twin, other, 2)
    assert same(twin, treatment.module, 1e-14)
