"""The training methods, one file each. `treat` applies one to a network.

A method of your own derives from `LayerMethod`, or from `Method` if it replaces no layers.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ondevice_bench.errors import Refusal

if TYPE_CHECKING:
    from ondevice_bench.methods.function_call import apply_function
    from ondevice_bench.methods.layer_flops import LayerFlops
    from ondevice_bench.methods.method import LayerMethod, Method, ReplacementLayer
    from ondevice_bench.methods.treatment import Treatment, treat

__all__ = [
    "LayerFlops",
    "LayerMethod",
    "Method",
    "Refusal",
    "ReplacementLayer",
    "Treatment",
    "apply_function",
    "treat",
]

# torch is imported where one of these is used, not where this package is named
_MODULES = {
    "LayerFlops": "layer_flops",
    "LayerMethod": "method",
    "Method": "method",
    "ReplacementLayer": "method",
    "Treatment": "treatment",
    "apply_function": "function_call",
    "treat": "treatment",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return vars(import_module(f"ondevice_bench.methods.{_MODULES[name]}"))[name]
    raise AttributeError(f"module 'ondevice_bench.methods' has no attribute {name!r}")
