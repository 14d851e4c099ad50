"""`bench check-method`: ours pass it, and it catches the mistakes it is made for."""

from pathlib import Path

import pytest
from torch import nn

from ondevice_bench.methods.conformance import CHECKS, cases, check

MINE = Path(__file__).parent / "samples" / "mine.py"
TOP_K = MINE.with_name("top_k.py")
BUILTIN = [
    ("svd", {"fraction": 0.5}),
    ("hosvd", {"rank": 3}),
    ("asi", {"fraction": 0.5}),
    ("asi", {"rank": 2, "sequential": True}),
    ("wsi", {"rank": 3}),
    ("wasi", {"fraction": 0.5}),
    ("wasi", {"rank": 3, "update": "factors"}),
    ("wasi", {"rank": 3, "every": 3}),
    ("lora", {"rank": 3}),
    ("lora", {"rank": 40}),
    ("lora_fa", {"rank": 3}),
    ("lora_fa", {"rank": 40}),
    ("lance", {"rank": 3}),
    ("wsi_svd", {"rank": 3}),
    ("gradient_filter", {"radius": 2}),
    ("gradient_filter", {"radius": 4, "scale": "published"}),
]


@pytest.fixture
def only(monkeypatch):
    """Check a method by one of the checks."""

    def one(name, method, options):
        monkeypatch.setattr("ondevice_bench.methods.conformance.CHECKS", {name: CHECKS[name]})
        return check(method, options)

    return one


@pytest.mark.parametrize(("method", "options"), BUILTIN)
def test_our_methods_conform(method, options):
    results = check(method, options)
    assert [r for r in results if r.passed is False] == []
    assert sum(r.passed is True for r in results) >= 3 * len(CHECKS)


def test_a_method_that_refuses_some_inputs_conforms_on_the_others():
    results = check("lbp_wht", {"patch": 2, "order": 2})
    assert [r for r in results if r.passed is False] == []
    refused = {r.case: r.message for r in results if r.check == "applies"}
    assert refused["linear 2-D"].startswith("lbp_wht: no layer of this network saw places")
    on_grids = [r for r in results if r.case not in refused]
    assert {r.case for r in on_grids} == {"linear 3-D", "linear 4-D", "1x1 convolution"}
    assert {r.check for r in on_grids if r.passed is None} == {"input gradient"}


def test_a_users_method_in_a_file_conforms():
    results = check(f"{MINE}:Mine", {})
    assert [r for r in results if r.passed is False] == []


@pytest.mark.parametrize(
    ("old", "new", "caught"),
    [
        ("return (shape[0] + 1) // 2", "return shape[0]", {"stored bytes"}),
        (
            "ctx.save_for_backward(x[::2].clone(), weight)",
            "ctx.kept = x.clone(); ctx.save_for_backward(x[::2].clone(), weight)",
            {"stored bytes"},
        ),
        ("return dy @ weight,", "return 2 * dy @ weight,", {"input gradient"}),
        (
            "dy.sum(tuple(range(dy.ndim - 1)))",
            "2 * dy.sum(tuple(range(dy.ndim - 1)))",
            {"bias gradient"},
        ),
        ("linear(x, weight, bias)", "linear(x, weight, bias) + bias", {"output"}),
        (
            "self.input_shape = tuple(input.shape)",
            "self.input_shape = tuple(input.shape); torch.rand(1)",
            {"randomness"},
        ),
    ],
)
def test_each_mistake_is_caught_by_its_check(tmp_path, old, new, caught):
    text = MINE.read_text()
    assert old in text
    wrong = tmp_path / "wrong.py"
    wrong.write_text(text.replace(old, new, 1))
    failed = {r.check for r in check(f"{wrong}:Mine", {}) if r.passed is False}
    assert failed == caught


@pytest.mark.parametrize(
    ("method", "options", "passed", "says"),
    [
        (f"{MINE}:Mine", {}, True, "the pass fidelity compares it, as that of weight"),
        (f"{MINE}:MineAround", {}, True, "the pass fidelity compares it, as that of base.weight"),
        ("wsi", {"rank": 3}, True, "the pass fidelity compares it, from the factors"),
        ("lora", {"rank": 3}, None, "cannot be compared, because the layer trains neither"),
    ],
)
def test_the_kit_says_whether_the_gradient_can_be_compared(only, method, options, passed, says):
    found = [r for r in only("gradient", method, options) if r.check == "gradient"]
    assert {(r.passed, r.message.startswith(says)) for r in found} == {(passed, True)}


def test_a_method_that_stores_integers_declares_their_type():
    results = check(f"{TOP_K}:TopK", {"keep": 0.1})
    assert [r for r in results if r.passed is False] == []
    (flat,) = (r for r in results if (r.check, r.case) == ("stored bytes", "linear 2-D"))
    # 6 of 60 entries: 4 or 8 bytes for a value, 8 for its place
    assert (
        flat.message == "72 B in float32, 96 B in float64: declared, by hooks and by the allocator"
    )


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ("count", "float32: declared 24 B, by hooks 72 B, by the allocator 72 B"),
        # right in float64 alone, in which an element has the size of an int64
        ("2 * count", "float32: declared 48 B, by hooks 72 B, by the allocator 72 B"),
        ("3 * count", "float64: declared 144 B, by hooks 96 B, by the allocator 96 B"),
        ("[1.5]", "BadInput: `stored` returned [1.5]: return the number of elements"),
    ],
)
def test_integers_that_are_declared_as_elements_are_caught(tmp_path, only, declared, says):
    text = TOP_K.read_text()
    wrong = tmp_path / "wrong.py"
    wrong.write_text(text.replace("[count, (count, torch.int64)]", declared))
    found = only("stored bytes", f"{wrong}:TopK", {"keep": 0.1})
    (flat,) = (r for r in found if (r.passed, r.case) == (False, "linear 2-D"))
    assert flat.message.startswith(says)


def test_the_kit_covers_what_layers_come_in():
    kinds = [case.layer for case in cases()]
    assert {type(layer) for layer in kinds} == {nn.Linear, nn.Conv2d}
    assert {case.x.ndim for case in cases()} == {2, 3, 4}
