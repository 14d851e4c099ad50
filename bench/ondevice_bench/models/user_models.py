"""Networks of the user: from a factory in a file or module, from torchvision, or from a config.

Only processes that run the user's code import this module. The user's code may import anything.
"""

import inspect
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from ondevice_bench.data import nested
from ondevice_bench.errors import Refusal, UserModelError, not_allowed, suggestion
from ondevice_bench.models.family import Family, cross_entropy
from ondevice_bench.specs.implementation import in_one_line, load_module
from ondevice_bench.specs.inputs import Images, Tokens
from ondevice_bench.specs.layout import ModelLayout

DEFAULT_SIZE, DEFAULT_LENGTH = 224, 128
_ON_THE_CPU = "bench measures on the CPU, so leave the network there"


def family(implementation: str) -> Family:
    """The network behind `FILE.py:NAME`, `module:NAME`, `torchvision:NAME`, `transformers:FILE`."""
    where, _, name = implementation.rpartition(":")
    match where:
        case "torchvision":
            return _torchvision(name)
        case "transformers":
            return _transformers(Path(name))
    return _factory(where, name)


def _images(factory: Callable[..., Any] | None) -> Callable[[Mapping[str, Any]], Images]:
    """Images of the size `image_size`: the option, or the factory's default, or 224."""

    def expected(options: Mapping[str, Any]) -> Images:
        size = options.get("image_size", _default_size(factory))
        if not isinstance(size, int) or size < 1:
            raise UserModelError(
                f"image_size must be the number of pixels of a side, got {size!r}: for images that "
                "are not square, put a function batch(size, seed) into its file"
            )
        return Images(channels=3, size=size, classes=1)

    return expected


def _default_size(factory: Callable[..., Any] | None) -> Any:
    try:
        parameter = inspect.signature(factory).parameters.get("image_size") if factory else None
    except (TypeError, ValueError):
        return DEFAULT_SIZE
    if parameter is None or parameter.default in (inspect.Parameter.empty, None):
        return DEFAULT_SIZE
    return parameter.default


def _factory(where: str, name: str) -> Family:
    module = _load(where)
    factory = getattr(module, name, None)
    if factory is None:
        names = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise UserModelError(f"{where} has no {name!r} (it has: {', '.join(names) or 'nothing'})")
    if isinstance(factory, nn.Module) or not callable(factory):
        kind = type(factory).__name__
        raise UserModelError(
            f"{name} is a {kind}: name a function that makes the network, "
            "so that the seed can set its weights"
        )
    return Family(
        construct=lambda **options: _construct(name, factory, options),
        initialise=_keep_weights,
        loss=_user_function(where, "loss", getattr(module, "loss", None)) or cross_entropy,
        batch=_batch_function(where, getattr(module, "batch", None)),
        expects=_images(factory),
        layout=_layout(where, getattr(module, "layout", None)),
        module="" if where.endswith(".py") else where,
        code_file="" if where.endswith(".py") else _file_of(module),
    )


def _load(where: str) -> ModuleType:
    try:
        return load_module(where)
    except Exception as error:
        raise UserModelError(f"{where}: cannot be loaded: {in_one_line(error)}") from error


def _file_of(module: ModuleType) -> str:
    """The file of a module; empty if it has none, for example in a zip file."""
    file = getattr(module, "__file__", None) or ""
    return file if Path(file).is_file() else ""


def _construct(name: str, factory: Callable[..., Any], options: Mapping[str, Any]) -> nn.Module:
    _require_options(name, factory, options)
    try:
        model = factory(**options)
    except Exception as error:
        text = in_one_line(error)
        if "cuda" in text.lower() or "nvidia" in text.lower():
            text += f": {_ON_THE_CPU}"
        raise UserModelError(f"{name} raised {text}") from error
    if not isinstance(model, nn.Module):
        raise UserModelError(f"{name} returned a {type(model).__name__}, not a torch.nn.Module")
    for where_it_is in (each.device for each in (*model.parameters(), *model.buffers())):
        if where_it_is.type != "cpu":
            raise UserModelError(f"{name} returned a network on {where_it_is}: {_ON_THE_CPU}")
    return model


def _require_options(name: str, factory: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Refuse options that the factory does not take, or a call that lacks one."""
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):
        return  # a callable without a signature
    names = signature.parameters
    takes_any = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in names.values())
    unknown = [] if takes_any else [each for each in options if each not in names]
    if unknown:
        raise UserModelError(f"{name}: {not_allowed('option', unknown[0], names)}")
    try:
        signature.bind(**options)
    except TypeError as error:
        raise UserModelError(f"{name}: {error}") from None


def _user_function(where: str, name: str, function: Any) -> Any:
    """The user's function. Its errors become UserModelError and name their line.

    A method may refuse the network in the middle of the function: this is not an error of the user.
    """
    if function is None:
        return None
    if not callable(function):
        raise UserModelError(f"{where}: {name} must be a function")

    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Refusal:
            raise
        except Exception as error:
            raise UserModelError(f"{name} raised {in_one_line(error)}") from error

    return call


def _batch_function(where: str, function: Any) -> Callable[[int, int], Any] | None:
    """The function `batch`. Each batch is checked: a smaller one would give other numbers."""
    make = _user_function(where, "batch", function)
    if make is None:
        return None

    def batch(size: int, seed: int) -> Any:
        made = make(size, seed)
        _check_batch(made, size)
        return made

    return batch


def _check_batch(batch: Any, size: int) -> None:
    leaves = list(nested.leaves(batch))
    if not leaves or not all(isinstance(leaf, Tensor) for leaf in leaves):
        raise UserModelError("batch must return tensors, in tuples, lists or dicts")
    if any(leaf.ndim == 0 for leaf in leaves) or {len(leaf) for leaf in leaves} != {size}:
        shapes = ", ".join(str(tuple(leaf.shape)) for leaf in leaves)
        too_few = all(leaf.ndim and len(leaf) < size for leaf in leaves)
        cure = ": if there are fewer examples, use them again" if too_few else ""
        raise UserModelError(
            f"batch({size}, seed) must return tensors of length {size}, got {shapes}{cure}"
        )
    for leaf in leaves:
        if leaf.device.type != "cpu":
            raise UserModelError(
                f"batch must return tensors on the CPU, because bench measures there: one is on "
                f"{leaf.device}"
            )


def _keep_weights(model: nn.Module, seed: int) -> None:
    """Do nothing: the factory has drawn the weights already, from the seed."""


def _layout(where: str, parts: Any) -> ModelLayout | None:
    if parts is None:
        return None
    names = [field.name for field in fields(ModelLayout)]
    if not isinstance(parts, Mapping) or not set(parts) <= set(names):
        raise UserModelError(f"{where}: layout must be a dict with some of {', '.join(names)}")
    for part, value in parts.items():
        if not isinstance(value, str):
            raise UserModelError(f"{where}: layout: {part} must be a text, got {value!r}")
    if parts.get("counts", "linear") not in {"conv2d", "linear"}:
        raise UserModelError(
            f"{where}: layout: counts must be conv2d or linear, got {parts['counts']!r}"
        )
    return ModelLayout(**parts)


def _torchvision(name: str) -> Family:
    models = torchvision_models()
    names = models.list_models()
    if name not in names:
        from difflib import get_close_matches

        near = get_close_matches(name, names, n=3, cutoff=0.0)
        raise UserModelError(f"torchvision has no {name!r}; near it: {', '.join(near)}")

    def construct(**options: Any) -> nn.Module:
        arguments = dict(options)
        if "classes" in arguments:
            arguments["num_classes"] = arguments.pop("classes")
        image_size = arguments.pop("image_size", None)
        if image_size is not None and name.startswith("vit"):
            arguments["image_size"] = image_size
        try:
            model: nn.Module = models.get_model(name, weights=None, **arguments)
        except (TypeError, ValueError) as error:
            raise UserModelError(f"torchvision's {name}: {error}") from None
        return model

    return Family(construct, _keep_weights, cross_entropy, expects=_images(None))


def torchvision_models() -> Any:
    """The networks of torchvision; they need none of its compiled operators."""
    try:
        try:
            from torchvision import models
        except RuntimeError:
            # It was compiled for another torch, so its operators did not load, and the import
            # failed without their declarations. With these declared, the networks work.
            for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
                del sys.modules[name]
            for name in ("nms", "qnms"):
                signature = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
                torch.library.define(f"torchvision::{name}", signature)
            from torchvision import models
    except ImportError as error:
        if error.name == "torchvision":
            raise UserModelError("torchvision is not installed: pip install torchvision") from None
        raise UserModelError(f"torchvision cannot be imported: {error}") from None
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        raise UserModelError(
            f"the installed torchvision does not match torch {torch.__version__}: {first}"
        ) from None
    return models


def transformers_library() -> Any:
    """The package transformers, which imports torchvision if it is installed."""
    if find_spec("torchvision") is not None:
        with suppress(UserModelError):
            torchvision_models()
    try:
        import transformers
    except ImportError:
        raise UserModelError("transformers is not installed: pip install transformers") from None
    return transformers


def _transformers(path: Path) -> Family:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        kinds = content["architectures"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserModelError(
            f"{path}: is not a config with the key architectures: {type(error).__name__}: {error}"
        ) from None
    if not isinstance(kinds, list) or not kinds:
        raise UserModelError(f"{path}: architectures names no class")
    transformers = transformers_library()
    try:
        network = getattr(transformers, kinds[0])
    except AttributeError:
        raise UserModelError(f"{path}: transformers has no class {kinds[0]!r}") from None
    except ImportError as error:
        raise UserModelError(f"{kinds[0]} of transformers cannot be imported: {error}") from None

    def construct(**options: Any) -> nn.Module:
        changes = {name: value for name, value in options.items() if name != "length"}
        try:
            config, unused = transformers.AutoConfig.from_pretrained(
                str(path), return_unused_kwargs=True, **changes
            )
            model: nn.Module = network(config)
        except (OSError, ValueError, KeyError, TypeError) as error:
            first = (str(error).splitlines() or [""])[0]
            raise UserModelError(f"{path}: {first}") from None
        for option in unused:
            near = suggestion(option, (*config.to_dict(), "length"))
            raise UserModelError(f"{path}: the config has no key {option!r}{near}")
        return model

    def expected(options: Mapping[str, Any]) -> Tokens:
        sizes = {**content, **options}
        places = sizes.get("max_position_embeddings", DEFAULT_LENGTH)
        length = options.get("length", min(DEFAULT_LENGTH, int(places)))
        return Tokens(length=int(length), vocabulary=int(sizes.get("vocab_size", 1)))

    return Family(construct, _keep_weights, cross_entropy, expects=expected)
