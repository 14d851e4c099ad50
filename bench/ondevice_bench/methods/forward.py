"""Modules whose forward a method surrounds: with a context, a check, or a second run."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any, Protocol

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ondevice_bench.errors import Refusal

_OWN = "_surrounding"  # in the module's `__dict__`: what surrounds its forward, innermost first


@dataclass(frozen=True)
class Call:
    """A call of a module, with its arguments and keyword arguments."""

    module: nn.Module
    forward: Callable[..., Any]
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]

    def run(self) -> Any:
        """The output of the module."""
        return self.forward(*self.arguments, **self.options)

    def tensors(self) -> Iterator[Tensor]:
        """The tensors among the arguments, at any depth of lists and mappings."""
        leaves = tree_leaves((self.arguments, dict(self.options)))
        return (each for each in leaves if isinstance(each, Tensor))


class Surrounding(Protocol):
    """What happens around a forward. The module is pickled and copied with it."""

    def __call__(self, call: Call) -> Any:
        """The output of the call."""


def surround(module: nn.Module, surrounding: Surrounding) -> None:
    """Surround the forward of the module. Names in its `state_dict` do not change.

    The module gets a class that is derived from its own, so that no code of its author changes.
    """
    if "forward" in vars(module):
        raise Refusal(
            f"this {type(module).__name__} has a `forward` of its own beside that of its class: "
            "apply the method before other code replaces `forward`"
        )
    module.__class__ = _surrounded(type(module))
    vars(module)[_OWN] = (*vars(module).get(_OWN, ()), surrounding)


def surroundings(module: nn.Module) -> tuple[Surrounding, ...]:
    """What surrounds the forward of the module, innermost first."""
    return tuple(vars(module).get(_OWN, ()))


def take_away(module: nn.Module, surrounding: Surrounding) -> None:
    """Take away this one: another treatment may have one of its kind.

    If nothing is left, the module has its own class again.
    """
    kept = tuple(each for each in surroundings(module) if each is not surrounding)
    vars(module).pop(_OWN, None)
    if kept:
        vars(module)[_OWN] = kept
    elif (own := _OWN_CLASSES.get(type(module))) is not None:
        module.__class__ = own


_DERIVED: dict[type[nn.Module], type[nn.Module]] = {}
_OWN_CLASSES: dict[type[nn.Module], type[nn.Module]] = {}


def _surrounded(kind: type[nn.Module]) -> type[nn.Module]:
    """The derived class. Two modules of one class still have one class."""
    if kind in _OWN_CLASSES:
        return kind
    if kind not in _DERIVED:
        _DERIVED[kind] = _derived(kind)
        _OWN_CLASSES[_DERIVED[kind]] = kind
    return _DERIVED[kind]


def _derived(kind: type[nn.Module]) -> type[nn.Module]:
    @wraps(kind.forward)
    def forward(self: nn.Module, *arguments: Any, **options: Any) -> Any:
        run: Callable[..., Any] = partial(kind.forward, self)
        for each in vars(self).get(_OWN, ()):
            run = partial(_inside, each, self, run)
        return run(*arguments, **options)

    def reduced(self: nn.Module, protocol: Any) -> Any:
        parts: tuple[Any, ...] = kind.__reduce_ex__(self, protocol)  # type: ignore[assignment]  # a module is no global name
        make, arguments, *rest = parts
        own = tuple(kind if each is type(self) else each for each in arguments)
        return _made_again, (make, own), *rest

    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    members = {"forward": forward, "__reduce_ex__": reduced}
    return type(kind.__name__, (kind,), {**names, **members})


def _inside(
    surrounding: Surrounding,
    module: nn.Module,
    forward: Callable[..., Any],
    *arguments: Any,
    **options: Any,
) -> Any:
    return surrounding(Call(module, forward, arguments, options))


def _made_again(make: Callable[..., nn.Module], arguments: tuple[Any, ...]) -> nn.Module:
    """The module of a pickle or a copy; its state comes afterwards."""
    module = make(*arguments)
    module.__class__ = _surrounded(type(module))
    return module
