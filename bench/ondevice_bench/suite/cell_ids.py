"""Cell ids: `mcunet/wasi(epsilon=0.8)+checkpoint/last:4/b128/s0`."""

from ondevice_bench.specs import composition, mix, registry
from ondevice_bench.specs.option import Option
from ondevice_bench.suite.cell import Options, Value


def id_without_seed(
    *,
    model: str,
    model_options: Options,
    method: str,
    method_options: Options,
    layers: str,
    batch: int,
    dtype: str,
    allocator: str = "",
    label: str = "",
) -> str:
    """The common part of the ids of cells that differ only in their seed.

    It names options and the type of numbers only if they are not default. It names the allocator if
    the suite or the profile does. A label stands for method and options.

    `model_options` may include the weights, if a model has several.
    """
    parts = [
        model + _label(model_options, registry.model(model).options),
        label or _method_label(method, method_options),
        layers,
        f"b{batch}",
        *([dtype] if dtype != "float32" else []),
        *([allocator] if allocator else []),
    ]
    return "/".join(parts)


def with_seed(common: str, seed: int) -> str:
    """The id of the cell with this seed."""
    return f"{common}/s{seed}"


def without_seed(cell_id: str) -> str:
    """The common part of an id, which cells of other seeds have, too."""
    return cell_id.rpartition("/")[0]


def _method_label(method: str, options: Options) -> str:
    """Each part of a method with its own options."""
    by_layers: dict[str, list[str]] = {}
    for part in composition.parts(method):
        own = tuple(part.own(options).items())
        text = part.spec.name + _label(own, part.spec.options)
        by_layers.setdefault(part.layers, []).append(text)
    if mix.is_mix(method):
        return mix.name_of(mix.Entry(layers, tuple(each)) for layers, each in by_layers.items())
    return "+".join(by_layers[""])


def _label(options: Options, specs: tuple[Option, ...]) -> str:
    labels = {spec.name: spec.label for spec in specs}
    pairs = ",".join(f"{labels.get(name, name)}={_text(value)}" for name, value in options)
    return f"({pairs})" if pairs else ""


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
