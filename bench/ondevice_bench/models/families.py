"""The family behind an implementation: a module of this package, or the user's own network."""

import importlib
from functools import cache, partial

from ondevice_bench.models.family import Family, cross_entropy
from ondevice_bench.models.weights import unset


@cache
def family(implementation: str) -> Family:
    """Find a family. A name with a colon is a network of the user (see `user_models`)."""
    if ":" in implementation:
        from ondevice_bench.models import user_models

        return user_models.family(implementation)
    module = importlib.import_module(implementation)
    construct = partial(unset, module.construct)
    return Family(construct, module.initialise, getattr(module, "loss", cross_entropy))
