"""The description of a training method, without torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ondevice_bench.specs.inputs import Tokens
from ondevice_bench.specs.model import ModelSpec
from ondevice_bench.specs.option import Group, Option, Value, resolved


@dataclass(frozen=True)
class MethodSpec:
    """A method by name, with the path of its implementation and its options.

    `treats` lists the kinds of layer that it can replace, `updates` those whose weights it updates
    in a way of its own. A method that `calibrates` has ranks.
    The calibrate pass computes them before any other pass.
    """

    name: str
    title: str
    implementation: str
    treats: frozenset[str] = frozenset()
    options: tuple[Option, ...] = ()
    one_of: tuple[Group, ...] = ()
    calibrates: bool = False
    keeps_calibration: bool = False  # training needs the batch of the calibrate pass, too
    exact: bool = False  # its gradient is vanilla's, up to rounding
    needs: str = ""  # the part of the model's layout that it needs, or the option that names it
    packs: bool = False  # it packs what autograd saves
    freezes: bool = False  # the layers that no other method has
    is_plain: bool = False  # it changes nothing
    needs_grid: bool = False  # places in rows and columns, which a text does not have
    # the method has an update of its own, which belongs to SGD: always, or with this option
    own_update: Literal["always"] | tuple[str, Value] | None = None
    updates: frozenset[str] = frozenset()
    updates_in_backward: bool = False  # no two gradients need to be alive at the same time

    @property
    def chooses_layers(self) -> bool:
        """Whether it changes the chosen layers alone."""
        return bool(self.treats or self.updates)

    @property
    def is_of_network(self) -> bool:
        """Whether it changes the whole network, whatever the choice of layers."""
        return not (self.chooses_layers or self.is_plain)

    def needed_part(self, given: Mapping[str, Value]) -> str:
        """The part of a layout that the method needs with these options; empty if it needs none."""
        return str(resolved(self.options, given).get(self.needs, self.needs))

    def refuses(self, model: ModelSpec, given: Mapping[str, Value] | None = None) -> str | None:
        """The reason why this method with these options cannot change the model; None if it can."""
        part = self.needed_part(given or {})
        if part and not model.is_own and not getattr(model.layout, part):
            return f"{self.name} needs {part}; {model.name} declares none"
        if self.needs_grid and not model.is_own:
            defaults = resolved(model.options, {})
            if isinstance(model.inputs(defaults), Tokens):
                return f"{self.name} needs places on a grid; {model.name} reads text"
        wanted = self.treats | self.updates
        if not wanted or wanted & model.layer_kinds:
            return None
        ours, theirs = (", ".join(sorted(kinds)) for kinds in (wanted, model.layer_kinds))
        return f"{self.name} treats {ours}; {model.name} has {theirs or 'no such layers'}"
