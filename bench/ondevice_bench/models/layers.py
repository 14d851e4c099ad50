"""The layers that a method replaces: the words of `layers`, resolved on a network.

`last:K`, `last:K of TEXT` and `last_blocks:K` also freeze all that comes before. The head trains,
but stays plain.
Methods treat linear layers and convolutions. Other modules with a matrix as weight are chosen too,
so that a message can name them as unchanged.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import takewhile

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ondevice_bench.errors import Refusal, suggestion
from ondevice_bench.specs.layout import ModelLayout

_COUNTED = (nn.Linear, nn.Conv2d)
_NO_PRODUCTS = (  # of an input and the weight
    nn.Embedding,
    nn.EmbeddingBag,
    nn.LayerNorm,
    nn.modules.batchnorm._NormBase,
)


class NoSuchLayers(ValueError):
    """The choice of layers matches no layer of this network."""


class NoSuchPart(NoSuchLayers, Refusal):
    """The network declares no such part: a suite skips the cell."""


def guessed_layout(model: nn.Module) -> ModelLayout:
    """A layout for a network without one: the last linear is the head, convolutions count."""
    linears = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    has_conv = any(isinstance(module, nn.Conv2d) for module in model.modules())
    return ModelLayout(
        head=linears[-1] if linears else "", counts="conv2d" if has_conv else "linear"
    )


def complete_layout(model: nn.Module, given: ModelLayout | None) -> ModelLayout:
    """The layout with a guess for `head` and `counts` if it names none."""
    guess = guessed_layout(model)
    if given is None:
        return guess
    names = [name for name, _ in (*model.named_modules(), *model.named_parameters())]
    others = (("auxiliary", name) for name in given.auxiliary.split("|"))
    for part, name in (("head", given.head), *others):
        is_optional = part == "auxiliary" and _is_left_out(model, name)
        if name and name not in names and not is_optional:
            near = suggestion(name, names)
            raise NoSuchPart(f"layout: {part}: the network has no module {name!r}{near}")
    is_single = sum(map(_has_matrix, model.modules())) == 1  # such a network has no head
    head = given.head or ("" if is_single else guess.head)
    return replace(given, head=head, counts=given.counts or guess.counts)


def _is_left_out(model: nn.Module, name: str) -> bool:
    """Whether the network has None in place of this module, as an option may ask for."""
    place: object = model
    for part in name.split("."):
        place = getattr(place, part, False)
        if place is None:
            return True
    return False


@dataclass(frozen=True)
class LayerSelection:
    """The names of the layers that a method may replace, and of the parameters to freeze.

    `others` are modules with a matrix as weight, of a kind that no method treats. `frozen_norms`
    are the batch-norms of the frozen part, with parameters or without. `also_frozen` are parameters
    of the other part that are shared with the frozen one, as that of a head with an embedding.
    """

    layers: tuple[str, ...]
    frozen: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    frozen_norms: tuple[str, ...] = ()
    also_frozen: tuple[str, ...] = ()


def select_layers(model: nn.Module, layers: str, layout: ModelLayout) -> LayerSelection:
    """The layers chosen by the words of `layers`."""
    names = [name for name, module in model.named_modules() if _has_matrix(module)]
    word, _, value = layers.partition(":")
    match word:
        case "all":
            return _by_kind(model, names)
        case "conv":
            kind = nn.modules.conv._ConvNd
            convs = [name for name in names if isinstance(model.get_submodule(name), kind)]
            return _by_kind(model, _some(convs, layers, "no convolutions"))
        case "pattern":
            return _by_kind(model, _matching(names, value, layers))
        case "last":
            count, _, pattern = value.partition(" of ")
            counted = counted_names(model, layout)
            if pattern:
                kinds = _by_kind(model, names).layers
                candidates = [name for name in kinds if not is_in_head(name, layout)]
                counted = _matching(candidates, pattern, layers)
            return _last(model, counted, layout, int(count), layers)
        case "last_blocks":
            return _last_blocks(model, names, layout, int(value), layers)
    parts = [name for name in names for part in layers.split("+") if _is_part(name, part, layout)]
    if not parts:
        raise NoSuchPart(f"layers: {layers!r}: this network declares no such part")
    return _by_kind(model, parts)


def kind_of(module: nn.Module) -> str:
    """The name of the module's class, and where it comes from if it is not torch's."""
    kind = type(module)
    is_torchs = kind.__module__.startswith("torch.nn.")
    return kind.__name__ if is_torchs else f"{kind.__name__} of {kind.__module__}"


def counted_names(model: nn.Module, layout: ModelLayout) -> tuple[str, ...]:
    """The layers that `last: K` counts, in order."""
    kind = nn.Conv2d if layout.counts == "conv2d" else nn.Linear
    names = (name for name, module in model.named_modules() if isinstance(module, kind))
    return tuple(name for name in names if not is_in_head(name, layout))


def block_names(model: nn.Module, layout: ModelLayout) -> tuple[str, ...]:
    """The network's blocks, in order."""
    return tuple(name for name, _ in model.named_modules() if _matches(name, layout.blocks))


def mlp_names(model: nn.Module, layout: ModelLayout) -> tuple[str, ...]:
    """The modules that are a complete MLP."""
    return _whole_modules(model, layout.mlp)


def attention_names(model: nn.Module, layout: ModelLayout) -> tuple[str, ...]:
    """The modules that are a complete attention. Without a pattern: those of torch."""
    if layout.attention:
        return _whole_modules(model, layout.attention)
    modules = model.named_modules()
    return tuple(name for name, module in modules if isinstance(module, nn.MultiheadAttention))


# how to find the modules that are a part of the layout as a whole
MODULES_OF = {"blocks": block_names, "mlp": mlp_names, "attention": attention_names}


def is_in_head(name: str, layout: ModelLayout) -> bool:
    """Whether a module or a parameter is a part of the head, or of an auxiliary classifier."""
    return is_in_one_of(name, layout.heads)


def is_in_one_of(name: str, modules: Iterable[str]) -> bool:
    """Whether a module or a parameter is one of these modules, or a part of it."""
    return any(f"{name}.".startswith(f"{each}.") for each in modules)


def _whole_modules(model: nn.Module, pattern: str) -> tuple[str, ...]:
    """The modules that a part of the layout names as a whole, `that.module.*`."""
    whole = [each.removesuffix(".*") for each in pattern.split("|") if each.endswith(".*")]
    names = [name for name, _ in model.named_modules()]
    return tuple(name for name in names if any(_matches(name, each) for each in whole))


def _has_matrix(module: nn.Module) -> bool:
    """Whether the module may multiply its input by a weight of two or more dimensions."""
    if isinstance(module, _COUNTED):
        return True
    if isinstance(module, _NO_PRODUCTS):
        return False
    is_quantized = callable(getattr(type(module), "weight", None))  # torch unpacks it in a function
    own = module.named_parameters(recurse=False)
    return is_quantized or any(
        "weight" in name and (is_lazy(parameter) or parameter.ndim > 1) for name, parameter in own
    )


def _by_kind(model: nn.Module, names: Sequence[str]) -> LayerSelection:
    """The selection of these names."""
    counted = tuple(name for name in names if isinstance(model.get_submodule(name), _COUNTED))
    others = tuple(name for name in names if name not in counted)
    return LayerSelection(counted, others=others)


def _is_part(name: str, part: str, layout: ModelLayout) -> bool:
    if part not in {"mlp", "attention"}:
        raise NoSuchLayers(f"layers: unknown part {part!r}")
    return _matches(name, layout.mlp if part == "mlp" else layout.attention)


def _matches(name: str, pattern: str) -> bool:
    """Match as a shell does, but a star stays within one level of names; `a|b` is either."""
    if "|" in pattern:
        return any(_matches(name, either) for either in pattern.split("|"))
    parts, wanted = name.split("."), pattern.split(".")
    return (
        bool(pattern)
        and len(parts) == len(wanted)
        and all(fnmatchcase(part, want) for part, want in zip(parts, wanted, strict=True))
    )


def _matching(names: Sequence[str], pattern: str, layers: str) -> tuple[str, ...]:
    """The names that match. A star also matches dots."""
    near = difflib.get_close_matches(pattern, names, n=3, cutoff=0.0)
    otherwise = f"near it: {', '.join(near)}" if near else "no layers"
    return _some([name for name in names if fnmatchcase(name, pattern)], layers, otherwise)


def _some(names: list[str], layers: str, otherwise: str) -> tuple[str, ...]:
    if not names:
        raise NoSuchLayers(f"layers: {layers!r} matches no layer; {otherwise}")
    return tuple(names)


def _last(
    model: nn.Module, counted: tuple[str, ...], layout: ModelLayout, count: int, layers: str
) -> LayerSelection:
    if count > len(counted):
        raise NoSuchLayers(
            f"layers: {layers!r}, but this network has only {len(counted)} of these layers"
        )
    last = counted[-count:]
    return _freezing(model, LayerSelection(last), last[0], layout)


def _last_blocks(
    model: nn.Module, names: list[str], layout: ModelLayout, count: int, layers: str
) -> LayerSelection:
    blocks = block_names(model, layout)
    if count > len(blocks):
        found = "one block" if len(blocks) == 1 else f"{len(blocks)} blocks"
        raise NoSuchLayers(f"layers: {layers!r}, but this network declares {found}")
    last = blocks[-count:]
    inside = [name for name in names if name.startswith(tuple(f"{block}." for block in last))]
    chosen = _some(inside, layers, "its blocks have none")
    return _freezing(model, _by_kind(model, chosen), last[0], layout)


def _freezing(
    model: nn.Module, chosen: LayerSelection, boundary: str, layout: ModelLayout
) -> LayerSelection:
    """The selection with what it freezes: all before the module `boundary`, except for the head."""
    before = takewhile(
        lambda pair: not f"{pair[0]}.".startswith(f"{boundary}."), model.named_modules()
    )
    earlier = {name: each for name, each in before if not is_in_head(name, layout)}
    owned = {id(p) for each in earlier.values() for p in each.parameters(recurse=False)}
    frozen = {
        name: id(parameter)
        for name, parameter in model.named_parameters()
        if id(parameter) in owned and not is_in_head(name, layout)
    }
    norms = (n for n, each in earlier.items() if isinstance(each, nn.modules.batchnorm._BatchNorm))
    shared = (
        f"{name}.{own}"
        for name, each in model.named_modules()
        if name not in earlier
        for own, parameter in each.named_parameters(recurse=False)
        if id(parameter) in frozen.values()
    )
    return replace(
        chosen,
        frozen=tuple(frozen),
        frozen_norms=tuple(norms),
        also_frozen=tuple(shared),
    )


def layer_input(inputs: tuple[Tensor, ...], named: Mapping[str, Tensor]) -> Tensor:
    """The input of a layer that was called with it, by position or by name."""
    return inputs[0] if inputs else named["input"]
