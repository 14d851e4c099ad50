"""The methods as a client names them, with ranks at which a lossless method must be exact."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ondevice_bench.methods.saved_bits import SavedBits
from tests.clients import definitions
from tests.clients import definitions_of_saves as on_save
from tests.clients.definitions import Definition


@dataclass(frozen=True)
class Method:
    """A column of the table."""

    name: str
    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    definition: Definition | None = None  # what it declares to compute, if not plain training
    rounds_like: Definition | None = None  # in low precision: what rounds as often as it does
    like: str | None = None  # a method with the same layers: the ordinary run has loops for one
    calls_more: bool = False  # of the layers than plain training: if not, it had no effect
    in_backward: bool = False  # it changes weights before the loop calls step()
    calibrates: bool = False  # the loop calls Treatment.calibrate with its first batch


_FULL = {"fraction": 1.0}
_FACTORS = {**_FULL, "update": "factors"}


class SavedBitsOfAnySize(SavedBits):
    """`saved` packs no small tensors, and the networks of clients have no others."""

    smallest = 1


METHODS = (
    Method("gradient_filter", "gradient_filter", {"radius": 2}, definitions.gradient_filter(2)),
    Method("svd", "svd", _FULL, like="asi"),
    Method("hosvd", "hosvd", _FULL, like="asi"),
    Method("asi", "asi", _FULL),
    Method("wsi", "wsi", _FULL, rounds_like=definitions.factors),
    Method("wsi, factors", "wsi", _FACTORS, definitions.factors),
    Method("wasi", "wasi", _FULL, rounds_like=definitions.factors),
    Method("wasi, factors", "wasi", _FACTORS, definitions.factors, like="wsi, factors"),
    Method("lora", "lora", {"rank": 4, "alpha": 8.0}, definitions.lora(8.0)),
    Method("checkpoint", "checkpoint", calls_more=True),
    Method("microbatch", "microbatch", {"slices": 2}, definitions.microbatch(2), calls_more=True),
    Method("saved_bf16", "saved_bf16", {}, on_save.saved_bf16),
    Method("saved", f"{__name__}:{SavedBitsOfAnySize.__name__}", {"bits": 8}, on_save.saved(8)),
    Method("lean", "lean"),
    Method("fewbit", "fewbit", {"bits": 4}, on_save.fewbit(4)),
    Method("bias_only", "bias_only", {}, definitions.bias_only),
    Method("lora_fa", "lora_fa", {"rank": 4, "alpha": 8.0},
           definitions.lora(8.0, trains_down=False), like="lora"),
    Method("lance", "lance", _FULL, definitions.lance, like="asi", calibrates=True),
    Method("wsi_svd", "wsi_svd", _FULL, rounds_like=definitions.factors, like="wsi"),
    Method("lbp_wht", "lbp_wht", {"patch": 2, "order": 3}, like="asi"),
    Method("update_in_backward", "update_in_backward", in_backward=True),
    Method("galore", "galore", {"rank": 1000, "scale": 1.0}),
)  # fmt: skip
