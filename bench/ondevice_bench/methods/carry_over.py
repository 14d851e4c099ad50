"""What a user has put on a layer moves to the layer in its place, and back.

Hooks move together with the dictionaries that hold them. So a handle of the user still removes its
hook, and a hook that comes later moves back, too.
"""

import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from ondevice_bench.errors import Refusal

_HOOKS = (
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_backward_pre_hooks",
    "_backward_hooks",
    "_state_dict_pre_hooks",
    "_state_dict_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)
_KIND = "_is_full_backward_hook"
_TENSORS_AND_MODULES = ("_parameters", "_buffers", "_modules")
_OF_THE_METHOD = ("weight", "bias")


@dataclass(frozen=True)
class Carried:
    """What the new layer got from the old one, and the hooks that it had before.

    `attributes` are all of the old layer. The new layer may have another one of the same name.
    """

    names: frozenset[str] = frozenset()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    own_hooks: frozenset[int] = frozenset()


def carry_over(plain: nn.Module, layer: nn.Module, name: str) -> Carried:
    """Move hooks to the new layer, and what it lacks: attributes, tensors and modules."""
    if layer is plain:
        return Carried()
    taken = [each for each in _tensors_and_modules(plain) if hasattr(layer, each)]
    if taken:
        raise Refusal(f"{name}: the method needs the name {taken[0]!r} for itself: rename yours")
    machinery = vars(nn.Module())
    attributes = {each: value for each, value in vars(plain).items() if each not in machinery}
    lacking = [
        each for each in (*attributes, *_tensors_and_modules(plain)) if not hasattr(layer, each)
    ]
    own_hooks = _move_hooks(plain, layer)
    _move(plain, layer, lacking)
    return Carried(frozenset(lacking), attributes, own_hooks)


def carry_back(layer: nn.Module, plain: nn.Module, carried: Carried) -> None:
    """Move hooks and what was carried over to the plain layer. The method's own hooks end."""
    if layer is plain:
        return
    for kind in _HOOKS:
        for key in carried.own_hooks:
            getattr(layer, kind).pop(key, None)
    _move_hooks(layer, plain)
    for name, value in carried.attributes.items():
        vars(plain).setdefault(name, value)
    present = (*vars(layer), *_tensors_and_modules(layer))
    _move(layer, plain, [name for name in present if name in carried.names])


def _tensors_and_modules(module: nn.Module) -> list[str]:
    registered = [name for kind in _TENSORS_AND_MODULES for name in getattr(module, kind)]
    return [name for name in registered if name not in _OF_THE_METHOD]


def _move(source: nn.Module, target: nn.Module, names: list[str]) -> None:
    """Give `target` these attributes. Tensors and modules have one owner: `source` loses them."""
    for name in names:
        if name in vars(source):
            vars(target)[name] = vars(source)[name]
        for kind in _TENSORS_AND_MODULES:
            if name in getattr(source, kind):
                getattr(target, kind)[name] = getattr(source, kind).pop(name)
        if name in source._non_persistent_buffers_set:
            target._non_persistent_buffers_set.add(name)


def _move_hooks(source: nn.Module, target: nn.Module) -> frozenset[int]:
    """Give `target` the hooks of `source`, before its own. The keys of its own are returned."""
    own: set[int] = set()
    for kind in _HOOKS:
        hooks, later = vars(source)[kind], vars(target)[kind]
        own.update(later)
        hooks.update(later)
        vars(source)[kind], vars(target)[kind] = type(hooks)(), hooks
    for hook in vars(target)["_load_state_dict_pre_hooks"].values():
        if hook.with_module:
            hook.module = weakref.ref(target)
    if vars(source)[_KIND] is not None:
        vars(target)[_KIND] = vars(source)[_KIND]
    vars(source)[_KIND] = None
    return frozenset(own)
