"""Networks of the user: a factory in a file or module, torchvision's by name, a config's.

Only a process that measures or asks about such a network imports this; what the user's code
imports is its own affair.
"""

import inspect
import json
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from ondevice_bench.models.family import Family, cross_entropy
from ondevice_bench.specs.implementation import load_module
from ondevice_bench.specs.inputs import Images, Tokens
from ondevice_bench.specs.layout import ModelLayout

DEFAULT_SIZE, DEFAULT_LENGTH = 224, 128


class UserModelError(ValueError):
    """The user's code did not give what it must; the text is for them."""


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
    """Images of the option `image_size`: as it is given, or the factory's default, or 224."""

    def expected(options: Mapping[str, Any]) -> Images:
        size = options.get("image_size", _default_size(factory))
        return Images(channels=3, size=int(size), classes=1)

    return expected


def _default_size(factory: Callable[..., Any] | None) -> int:
    try:
        parameter = inspect.signature(factory).parameters.get("image_size") if factory else None
    except (TypeError, ValueError):
        return DEFAULT_SIZE
    known = parameter is not None and isinstance(parameter.default, int)
    return parameter.default if known and parameter is not None else DEFAULT_SIZE


def _factory(where: str, name: str) -> Family:
    module = _loaded(where)
    factory = getattr(module, name, None)
    if factory is None:
        named = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise UserModelError(f"{where} has no {name!r} (it has: {', '.join(named) or 'nothing'})")
    if isinstance(factory, nn.Module) or not callable(factory):
        kind = type(factory).__name__
        raise UserModelError(
            f"{name} is a {kind}: name a function that makes the network, "
            "so that a seed can fill it"
        )
    return Family(
        construct=lambda **options: _made(where, name, factory, options),
        initialise=_as_made,
        loss=_told(where, "loss", getattr(module, "loss", None)) or cross_entropy,
        batch=_told(where, "batch", getattr(module, "batch", None)),
        expects=_images(factory),
        layout=_layout(where, getattr(module, "layout", None)),
    )


def _loaded(where: str) -> ModuleType:
    try:
        return load_module(where)
    except Exception as error:
        raise UserModelError(f"{where}: cannot be loaded: {_said(where, error)}") from error


def _made(
    where: str, name: str, factory: Callable[..., Any], options: Mapping[str, Any]
) -> nn.Module:
    try:
        inspect.signature(factory).bind(**options)
    except TypeError as error:
        raise UserModelError(f"{name}: {error}") from None
    except ValueError:
        pass  # a callable without a signature
    try:
        model = factory(**options)
    except Exception as error:
        raise UserModelError(f"{name} raised {_said(where, error)}") from error
    if not isinstance(model, nn.Module):
        raise UserModelError(f"{name} returned a {type(model).__name__}, not a torch.nn.Module")
    return model


def _told(where: str, name: str, function: Any) -> Any:
    """The user's function, whose errors say where they come from."""
    if function is None:
        return None
    if not callable(function):
        raise UserModelError(f"{where}: {name} must be a function")

    def told(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Exception as error:
            raise UserModelError(f"{name} raised {_said(where, error)}") from error

    return told


def _as_made(model: nn.Module, seed: int) -> None:
    """The factory has filled it, from the seed that was set before."""


def _layout(where: str, said: Any) -> ModelLayout | None:
    if said is None:
        return None
    known = [field.name for field in fields(ModelLayout)]
    if not isinstance(said, Mapping) or not set(said) <= set(known):
        raise UserModelError(f"{where}: layout must be a dict with some of {', '.join(known)}")
    return ModelLayout(**said)


def _said(where: str, error: BaseException) -> str:
    """The error in one line, with the line of the user's file that it came through last."""
    first = (str(error).strip().splitlines() or [""])[0]
    text = f"{type(error).__name__}: {first}".rstrip(": ")
    if isinstance(error, SyntaxError):
        return text
    file = getattr(sys.modules.get(f"bench_user_{Path(where).stem}"), "__file__", None)
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    return f"{text} (line {lines[-1]} of {Path(where).name})" if lines else text


def _torchvision(name: str) -> Family:
    models = torchvision_models()
    known = models.list_models()
    if name not in known:
        from difflib import get_close_matches

        near = get_close_matches(name, known, n=3, cutoff=0.0)
        raise UserModelError(f"torchvision has no {name!r}; near it: {', '.join(near)}")

    def construct(**options: Any) -> nn.Module:
        given = dict(options)
        if "classes" in given:
            given["num_classes"] = given.pop("classes")
        image_size = given.pop("image_size", None)
        if image_size is not None and name.startswith("vit"):
            given["image_size"] = image_size
        try:
            made: nn.Module = models.get_model(name, weights=None, **given)
        except (TypeError, ValueError) as error:
            raise UserModelError(f"torchvision's {name}: {error}") from None
        return made

    def loss(model: nn.Module, batch: Any) -> Tensor:
        """Cross-entropy; segmentation networks return a mapping, Inception and GoogLeNet more."""
        inputs, targets = batch
        output = model(inputs)
        logits = output["out"] if isinstance(output, Mapping) else output
        logits = getattr(logits, "logits", logits)
        assert isinstance(logits, Tensor)
        return nn.functional.cross_entropy(logits, targets)

    return Family(construct, _as_made, loss, expects=_images(None))


def torchvision_models() -> Any:
    """Torchvision's networks; they need none of its compiled operators."""
    try:
        try:
            from torchvision import models
        except RuntimeError:
            # compiled for another torch, its operators did not load: without their declarations
            # its import fails, with them the networks work
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
    """transformers, which imports torchvision where that is installed."""
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
        said = json.loads(path.read_text(encoding="utf-8"))
        kinds = said["architectures"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserModelError(
            f"{path}: is no config that names its architectures: {type(error).__name__}: {error}"
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
        given = {name: value for name, value in options.items() if name != "length"}
        try:
            config = transformers.AutoConfig.from_pretrained(str(path), **given)
            made: nn.Module = network(config)
        except (OSError, ValueError, KeyError, TypeError) as error:
            first = (str(error).splitlines() or [""])[0]
            raise UserModelError(f"{path}: {first}") from None
        return made

    def expected(options: Mapping[str, Any]) -> Tokens:
        places = said.get("max_position_embeddings", DEFAULT_LENGTH)
        length = options.get("length", min(DEFAULT_LENGTH, int(places)))
        return Tokens(length=int(length), vocabulary=int(said.get("vocab_size", 1)))

    return Family(construct, _as_made, cross_entropy, expects=expected)
