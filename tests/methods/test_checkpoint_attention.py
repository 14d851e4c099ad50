"""Checkpointed attention: exact, with the input of the norm before it as all that it stores."""

import copy
import pickle

import pytest
import torch
from torch import nn

from ondevice_bench import treat
from ondevice_bench.errors import Refusal
from ondevice_bench.measure.activations import saved_bytes
from ondevice_bench.measure.allocations import record_allocations
from ondevice_bench.models import vit
from ondevice_bench.models.layers import NoSuchPart
from ondevice_bench.specs.layout import ModelLayout
from tests.methods.conftest import difference, randn
from tests.methods.test_checkpoint import GENERATOR, Cache, gradients, same
from tests.methods.test_rivals import LAYOUT, Step, small_vit

BATCH, TOKENS, WIDTH, DEPTH = 3, 5, 8, 2


class Attention(nn.Module):
    """One head."""

    def __init__(self):
        super().__init__()
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.dropout = nn.Dropout(0.2)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.proj(self.dropout((q @ k.transpose(1, 2)).softmax(-1)) @ v)


class Network(nn.Module):
    """Layers of attention with a residual. `Norm` stands before each attention."""

    def __init__(self, norm=nn.LayerNorm, hook=None):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(WIDTH, WIDTH)
        self.norms = nn.ModuleList(norm(WIDTH) for _ in range(DEPTH))
        self.attention = nn.ModuleList(Attention() for _ in range(DEPTH))
        if hook is not None:
            self.norms[0].register_forward_hook(hook)
        self.double()

    def forward(self, x):
        x = self.first(x)
        for norm, attention in zip(self.norms, self.attention, strict=True):
            x = x + attention(norm(x))
        return x


def checkpointed(network, pattern="attention.*.*"):
    layout = ModelLayout(attention=pattern)
    return treat(network, "checkpoint", layout=layout, scope="attention")


def runs_of(network, kind):
    """The modules of this kind, each time one runs forward."""
    runs = []
    for module in network.modules():
        if isinstance(module, kind):
            module.register_forward_hook(lambda module, *_: runs.append(module))
    return runs


def test_the_gradients_are_equal_to_the_last_bit_and_each_attention_runs_twice():
    plain = Network()
    ours, x = copy.deepcopy(plain), randn(BATCH, TOKENS, WIDTH)
    treatment = checkpointed(ours)
    projections = runs_of(ours, nn.Dropout)
    same(gradients(ours, x), gradients(plain, x))
    assert len(projections) == 2 * DEPTH
    same(gradients(treatment.merge(), x), gradients(plain, x))
    assert len(projections) == 3 * DEPTH
    assert [type(each) for each in ours.norms] == [nn.LayerNorm] * DEPTH


def test_all_that_is_stored_is_what_the_norms_store_by_both_sources():
    treatment = checkpointed(Network())
    step = Step(treatment, randn(BATCH, TOKENS, WIDTH))
    tensor, row = 8 * BATCH * TOKENS * WIDTH, 8 * BATCH * TOKENS
    # of each norm its input, mean and deviation; the output of the network, which is squared
    expected = DEPTH * (tensor + 2 * row + GENERATOR) + tensor
    assert saved_bytes(step) == expected
    with record_allocations() as allocations:
        loss = step.forward()
    assert allocations.net_bytes - loss.nbytes == expected


def doubled(module, inputs, output):
    return 2 * output


def doubled_in_place(module, inputs, output):
    return output.mul_(2)


class Twice(nn.LayerNorm):
    """A norm whose output has another user than the attention."""

    def forward(self, x):
        y = super().forward(x)
        self.seen = y.square().mean()
        return y


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"norm": nn.RMSNorm}, 2 * DEPTH),  # its input before and after the scale
        ({"norm": Twice}, None),
        ({"norm": lambda width: nn.Identity()}, DEPTH),
        ({"hook": doubled}, DEPTH + 1),  # the output of the hook is no output of a norm
        ({"hook": doubled_in_place}, None),
        ({"norm": lambda width: nn.BatchNorm1d(TOKENS)}, 2 * DEPTH),
    ],
)
def test_the_output_of_a_norm_is_stored_where_the_norm_would_not_make_it_again(options, kept):
    plain = Network(**options)
    ours, x = copy.deepcopy(plain), randn(BATCH, TOKENS, WIDTH)
    treatment = checkpointed(ours)

    def loss(y):
        return y.square().mean()

    same(gradients(ours, x, loss), gradients(plain, x, loss))
    if kept is not None:
        tensors = {}

        def pack(tensor):
            if tensor.shape == x.shape and tensor is not x:
                tensors[tensor.untyped_storage()._cdata] = tensor
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            treatment.module(x)
        assert len(tensors) == kept


@pytest.mark.parametrize("norm_first", [True, False])
def test_torchs_own_attention_needs_no_layout_and_is_exact_with_masks(norm_first):
    layer = nn.TransformerEncoderLayer(
        WIDTH, 2, 16, dropout=0.3, batch_first=True, norm_first=norm_first
    )
    plain = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).double()
    ours = copy.deepcopy(plain)
    treat(ours, "checkpoint", scope="attention")
    runs = runs_of(ours, nn.MultiheadAttention)
    hidden = torch.zeros(BATCH, TOKENS, dtype=torch.bool)
    hidden[:, 4] = True
    x = randn(BATCH, TOKENS, WIDTH)
    results = []
    for network in (plain, ours):
        torch.manual_seed(3)
        network(x, src_key_padding_mask=hidden).square().mean().backward()
        results.append({name: p.grad for name, p in network.named_parameters()})
    same(results[1], results[0])
    assert len(runs) == 2  # hooks of the module itself are called once
    with torch.no_grad():
        assert difference(ours.eval()(x), plain.eval()(x)) <= 1e-12


def test_autocast_reaches_norm_and_attention_in_their_second_run():
    plain = Network().float()
    ours, x = copy.deepcopy(plain), torch.ones(BATCH, TOKENS, WIDTH)
    checkpointed(ours)
    results = []
    for network in (plain, ours):
        torch.manual_seed(3)
        with torch.autocast("cpu", torch.bfloat16):
            loss = network(x).float().square().mean()
        loss.backward()
        results.append({name: p.grad for name, p in network.named_parameters()})
    same(results[1], results[0])


@pytest.mark.parametrize("way", ["pickle", "deepcopy"])
def test_a_copy_is_checkpointed_too(way):
    plain = Network()
    ours, x = copy.deepcopy(plain), randn(BATCH, TOKENS, WIDTH)
    checkpointed(ours)
    twin = copy.deepcopy(ours) if way == "deepcopy" else pickle.loads(pickle.dumps(ours))
    runs = runs_of(twin, nn.Dropout)
    same(gradients(twin, x), gradients(plain, x))
    assert len(runs) == 2 * DEPTH


@pytest.mark.filterwarnings("ignore")  # torch._dynamo hides warnings of its own by a filter
def test_a_compiled_network_is_exact():
    torch._dynamo.reset()
    plain = Network().eval()
    ours, x = copy.deepcopy(plain), randn(BATCH, TOKENS, WIDTH)
    checkpointed(ours)
    torch.compile(ours, backend="eager")(x).square().mean().backward()
    expected = gradients(plain, x)
    assert all(difference(p.grad, expected[name]) <= 1e-12 for name, p in ours.named_parameters())


def test_a_network_without_attention_is_told():
    with pytest.raises(NoSuchPart, match="checkpoint: this network declares no attention"):
        treat(nn.Sequential(nn.Linear(2, 2)), "checkpoint", scope="attention")


def test_attention_with_a_cache_is_refused_in_its_first_forward():
    class Caching(Attention):
        def forward(self, x):
            cache.kept["keys"].append(x)
            return super().forward(x)

    class Asking(Attention):
        def __init__(self):
            super().__init__()
            self.inside = Caching()

        def forward(self, x, cache=None):
            return self.inside(x)

    cache = Cache()
    network = nn.Module()
    network.attention = Asking()
    network.forward = lambda x: network.attention(x, cache=cache)
    checkpointed(network, "attention.*")
    with pytest.raises(Refusal) as caught:
        network(torch.ones(BATCH, TOKENS, WIDTH))
    assert str(caught.value) == (
        "attention: checkpoint cannot run this attention again, because the attention changes the "
        "Cache that it is given: call the network without it (a network of transformers: with "
        "`use_cache=False`)"
    )


def test_beside_wasi_and_few_bits_a_transformer_stores_norms_bits_and_thin_factors(monkeypatch):
    """Every byte by a closed formula, against the hooks and the allocator."""
    batch, tokens, width, hidden = 3, 5, 24, 48
    for name, value in {"WIDTH": width, "HEADS": 2, "MLP": hidden}.items():
        monkeypatch.setattr(vit, name, value)
    model, x = small_vit(DEPTH).float(), randn(3, 3, 64, 64, dtype=torch.float32)
    parts = [
        ("wasi", {"rank": 2}),
        ("fewbit", {"bits": 2}),
        ("checkpoint", {"scope": "attention"}),
    ]
    treatment = treat(model, parts, "mlp", layout=LAYOUT)
    step, optimizer = Step(treatment, x), treatment.optimizer(lr=0.1)
    saved_bytes(step)  # after the first step the state of the layers stays
    optimizer.zero_grad()
    tensor, row = 4 * batch * tokens * width, 4 * batch * tokens
    norms = (2 * DEPTH + 1) * (tensor + 2 * row)
    bits = DEPTH * batch * tokens * hidden * 2 // 8
    thin = sum(layer.stored_bytes for layer in treatment.report())
    head = tensor + 4 * batch * 10  # its input is a part of the last norm's output
    expected = norms + DEPTH * GENERATOR + bits + thin + head
    assert len(treatment.report()) == 2 * DEPTH
    assert saved_bytes(step) == expected
    optimizer.zero_grad()
    with record_allocations() as allocations:
        loss = step.forward()
    assert allocations.net_bytes - loss.nbytes == expected
