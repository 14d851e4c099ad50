"""What the suite knows of a training method without importing torch."""

from collections.abc import Collection
from dataclasses import dataclass

from ondevice_bench.specs.model import ModelSpec
from ondevice_bench.specs.option import Option


@dataclass(frozen=True)
class OneOf:
    """Options that exclude each other."""

    names: tuple[str, ...]
    required: bool

    def problem(self, given: Collection[str]) -> str | None:
        """What is wrong with the options that were given; None where nothing is."""
        mine = [name for name in self.names if name in given]
        listed = ", ".join(self.names)
        if len(mine) > 1:
            return f"takes one of {listed}, got {' and '.join(mine)}"
        if not mine and self.required:
            return f"needs one of {listed}"
        return None


@dataclass(frozen=True)
class MethodSpec:
    """A method by name; `treats` are the kinds of layer that it can replace.

    `calibrates` says that its ranks are numbers to be found before anything is measured.
    """

    name: str
    title: str
    implementation: str
    treats: frozenset[str] = frozenset()
    options: tuple[Option, ...] = ()
    one_of: tuple[OneOf, ...] = ()
    calibrates: bool = False
    exact: bool = False  # computes vanilla's own gradient, but for rounding
    needs: str = ""  # a part of the model's layout that it cannot do without

    def refuses(self, model: ModelSpec) -> str | None:
        """Why this method has nothing to do on that model; None where it has."""
        if self.needs and not model.is_own and not getattr(model.layout, self.needs):
            return f"{self.name} needs {self.needs}; {model.name} declares none"
        if not self.treats or self.treats & model.layer_kinds:
            return None
        wanted, found = (", ".join(sorted(kinds)) for kinds in (self.treats, model.layer_kinds))
        return f"{self.name} treats {wanted}; {model.name} has {found}"
