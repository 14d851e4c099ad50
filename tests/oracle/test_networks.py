"""Forward and gradients in float64 equal those of the public libraries, from one state_dict."""

import importlib
import json

import pytest
import torch
from torch import nn

from ondevice_bench.errors import UserModelError
from ondevice_bench.models import bert, llama
from ondevice_bench.models.user_models import family
from ondevice_bench.specs import registry
from ondevice_bench.specs.inputs import Tokens

BOUND = 1e-9


def ours(name, **options):
    spec = registry.model(name)
    given = {**{option.name: option.default for option in spec.options}, **options}
    module = importlib.import_module(spec.implementation)
    model = module.construct(**(spec.fixed or {}), **given)
    module.initialise(model, 0)
    return model


def shaken(model):
    """Weights under which no part of the network is silent or symmetric."""
    stream = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=stream))
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.1, generator=stream)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5, generator=stream)
    return model.double()


def agree(mine, theirs, inputs, rename=lambda name: name):
    """Both networks have the same weights: outputs and all gradients must be equal."""
    outputs = [getattr(out, "logits", out) for out in (mine(inputs), theirs(inputs))]
    scale = outputs[1].abs().max()
    assert (outputs[0] - outputs[1]).abs().max() / scale < BOUND
    weight = torch.randn(outputs[0].shape, generator=torch.Generator().manual_seed(2)).double()
    for output in outputs:
        (output * weight).sum().backward()
    reference = {name: p.grad for name, p in theirs.named_parameters()}
    found = fused({name: p.grad for name, p in mine.named_parameters()})
    for name, grad in found.items():
        expected = reference[rename(name)]
        # a shift of every key alike changes no attention: its gradient is zero but for rounding
        close = BOUND * max(expected.abs().max(), scale)
        assert (grad - expected).abs().max() <= close, name


def fused(gradients):
    """q, k and v under the name of the one layer that they are in public networks."""
    found = {}
    for name, grad in gradients.items():
        prefix, _, last = name.rpartition(".")
        owner, _, part = prefix.rpartition(".")
        if part not in {"q", "k", "v"}:
            found[name] = grad
        elif part == "q":
            whole = torch.cat([gradients[f"{owner}.{each}.{last}"] for each in "qkv"])
            inner = "qkv." if owner.endswith("attn") else "in_proj_"
            found[f"{owner}.{inner}{last}"] = whole
    return found


@pytest.mark.parametrize("attention", ["fused", "explicit"])
@pytest.mark.parametrize(
    ("name", "size", "train"),
    [
        ("resnet18", 64, True),
        ("resnet34", 64, True),
        ("mobilenet_v2", 64, False),  # dropout: in evaluation
        ("vit_b_32", 64, True),
        ("swin_t", 64, False),  # theirs drops whole paths in training
        ("swin_t", 224, False),
    ],
)
def test_torchvision(torchvision, name, size, train, attention):
    options = {"image_size": size, "classes": 10}
    if "attention" in {option.name for option in registry.model(name).options}:
        options["attention"] = attention
    elif attention == "explicit":
        pytest.skip("has no attention")
    more = {"image_size": size} if name.startswith("vit") else {}
    mine = shaken(ours(name, **options))
    theirs = torchvision.get_model(name, num_classes=10, **more).double()
    missing = theirs.load_state_dict(mine.state_dict())
    assert not missing.missing_keys
    assert not missing.unexpected_keys
    mine.train(train)
    theirs.train(train)
    images = torch.randn(2, 3, size, size, dtype=torch.float64)
    agree(mine, theirs, images)
    for key, value in theirs.state_dict().items():
        assert torch.allclose(value.double(), mine.state_dict()[key].double(), atol=1e-12), key


@pytest.mark.parametrize("attention", ["fused", "explicit"])
def test_llama(transformers, attention, monkeypatch):
    for name, value in {
        "WIDTH": 64, "MLP": 96, "VOCABULARY": 50, "HEADS": 8, "KEY_VALUE_HEADS": 2, "HEAD_WIDTH": 8
    }.items():  # fmt: skip
        monkeypatch.setattr(llama, name, value)
    mine = shaken(ours("tinyllama", layers=3, length=12, attention=attention))
    config = transformers.LlamaConfig(
        vocab_size=50, hidden_size=64, intermediate_size=96, num_hidden_layers=3,
        num_attention_heads=8, num_key_value_heads=2, rms_norm_eps=1e-5, rope_theta=10000.0,
        tie_word_embeddings=False, max_position_embeddings=64,
    )  # fmt: skip
    theirs = transformers.LlamaForCausalLM(config).double()

    def norm(self, x):
        """Theirs goes through float32, which the bound of this test would see."""
        return self.weight * x * (x.square().mean(-1, keepdim=True) + 1e-5).rsqrt()

    monkeypatch.setattr(type(theirs.model.norm), "forward", norm)
    theirs.load_state_dict(mine.state_dict())
    agree(mine, theirs, torch.randint(50, (2, 12)))


@pytest.mark.parametrize("attention", ["fused", "explicit"])
def test_bert(transformers, attention):
    mine = shaken(ours("minilm", layers=2, length=9, classes=3, attention=attention))
    config = transformers.BertConfig(
        vocab_size=bert.VOCABULARY, hidden_size=384, num_hidden_layers=2, num_attention_heads=12,
        intermediate_size=1536, max_position_embeddings=512, num_labels=3,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    theirs = transformers.BertForSequenceClassification(config).double()

    def rename(name):
        return name if name.startswith("classifier") else f"bert.{name}"

    theirs.load_state_dict({rename(name): value for name, value in mine.state_dict().items()})
    agree(mine, theirs, torch.randint(1000, (2, 9)), rename)


def test_torchvisions_networks_can_be_measured_by_name(torchvision):
    made = family("torchvision:resnet18")
    model = made.construct(classes=7)
    assert isinstance(model, nn.Module)
    assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 7)


def test_a_config_of_transformers_can_be_measured(transformers, bench, workplace):
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 50,
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 16,
    }  # fmt: skip
    (workplace / "config.json").write_text(json.dumps(config))
    ended = bench(
        "run", "--model", "transformers:config.json", "--method", "wasi", "--fraction", "0.25",
        "--layers", "pattern: *mlp*", "--batch", "2", "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    (cell,) = ended.json()["cells"]
    assert cell["status"] == "ok"
    assert cell["cell"].startswith("transformers:config.json@")


def test_an_option_changes_the_config_of_transformers_or_is_refused(transformers, tmp_path):
    config = {
        "architectures": ["BertForSequenceClassification"], "model_type": "bert",
        "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
        "num_attention_heads": 1, "vocab_size": 50, "max_position_embeddings": 16,
    }  # fmt: skip
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    network = family(f"transformers:{path}")
    options = {"num_labels": 7, "length": 4, "vocab_size": 20}
    model = network.construct(**options)
    assert isinstance(model, nn.Module)
    assert network.expects(options) == Tokens(length=4, vocabulary=20)
    assert model(torch.full((1, 4), 19)).logits.shape == (1, 7)
    with pytest.raises(UserModelError, match="no key 'hidden_layers'; did you mean"):
        network.construct(hidden_layers=2)


def test_a_network_of_torchvision_can_be_measured(torchvision, bench):
    ended = bench(
        "run", "--model", "torchvision:squeezenet1_1", "--option", "image_size=64",
        "--option", "classes=10", "--method", "asi", "--rank", "4", "--batch", "2", "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    (cell,) = ended.json()["cells"]
    assert cell["status"] == "ok"
    wrong = bench("run", "--model", "torchvision:resnet81")
    assert wrong.code == 2
    assert "torchvision has no 'resnet81'; near it: resnet" in wrong.err
