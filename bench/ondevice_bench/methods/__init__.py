"""The training methods, one file each. `treat` applies one to a network."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ondevice_bench.methods.treatment import Treatment, treat

__all__ = ["Treatment", "treat"]


def __getattr__(name: str) -> Any:
    # torch is imported by those who treat, not by those who name this package
    if name in __all__:
        from ondevice_bench.methods import treatment

        return getattr(treatment, name)
    raise AttributeError(f"module 'ondevice_bench.methods' has no attribute {name!r}")
