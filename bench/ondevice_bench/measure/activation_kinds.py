"""Activation bytes by class: the kind of work that saved each tensor."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from torch import nn

from ondevice_bench.measure.activations import HIDDEN, SavedStorage, SaveSite

TREATED, OTHER_LAYERS = "treated_layers", "other_layers"
ATTENTION, NORMALISATION, FUNCTIONS = "attention", "normalisation", "activation_functions"
LOSS, OTHER = "loss", "other"
CLASSES = (TREATED, OTHER_LAYERS, ATTENTION, NORMALISATION, FUNCTIONS, LOSS, OTHER)

_ATTENTION = frozenset({"scaled_dot_product_attention", "multi_head_attention_forward"})
_NORMALISATION = frozenset(
    {"batch_norm", "group_norm", "instance_norm", "layer_norm", "local_response_norm", "rms_norm"}
)
_FUNCTIONS = frozenset(
    """
    celu elu gelu glu hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish prelu relu relu6
    rrelu selu sigmoid silu softplus softsign tanh threshold
    """.split()  # noqa: SIM905  # a list of words reads best as words
)


def by_class(
    saved: Iterable[SavedStorage], model: nn.Module, treated: Collection[str]
) -> Mapping[str, int]:
    """Bytes of every class."""
    sizes = dict.fromkeys(CLASSES, 0)
    for storage in saved:
        sizes[_class(storage.site, model, treated)] += storage.size
    return sizes


@dataclass(frozen=True)
class ModuleBytes:
    """Bytes that a module saved for backward, and the class of most of them."""

    bytes: int
    kind: str


def by_module(
    saved: Iterable[SavedStorage], model: nn.Module, treated: Collection[str]
) -> Mapping[str, ModuleBytes]:
    """Bytes of every module that saved something. What was saved outside has an empty name."""
    kinds: dict[str, dict[str, int]] = {}
    for storage in saved:
        of_module = kinds.setdefault(storage.site.module or "", {})
        kind = _class(storage.site, model, treated)
        of_module[kind] = of_module.get(kind, 0) + storage.size
    return {
        name: ModuleBytes(sum(sizes.values()), max(sizes, key=sizes.__getitem__))
        for name, sizes in kinds.items()
    }


def _class(site: SaveSite, model: nn.Module, treated: Collection[str]) -> str:
    if site == HIDDEN:
        return OTHER
    if site.module is None:
        return LOSS
    if any(site.module == name or site.module.startswith(f"{name}.") for name in treated):
        return TREATED
    module = model.get_submodule(site.module)
    kind, function = type(module).__name__, site.function.rstrip("_")
    if isinstance(module, (nn.Linear, nn.Embedding, nn.modules.conv._ConvNd)):
        return OTHER_LAYERS
    if function in _ATTENTION or "Attention" in kind:
        return ATTENTION
    if function in _NORMALISATION or "Norm" in kind:
        return NORMALISATION
    if function in _FUNCTIONS or type(module).__module__ == "torch.nn.modules.activation":
        return FUNCTIONS
    return OTHER
