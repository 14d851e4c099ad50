"""What the suite knows of a training method without importing torch."""

from dataclasses import dataclass

from bench.specs.model import ModelSpec
from bench.specs.option import Option


@dataclass(frozen=True)
class MethodSpec:
    """A method by name; `treats` are the kinds of layer that it can replace."""

    name: str
    title: str
    implementation: str
    treats: frozenset[str] = frozenset()
    options: tuple[Option, ...] = ()

    def refuses(self, model: ModelSpec) -> str | None:
        """Why this method has nothing to do on that model; None where it has."""
        if not self.treats or self.treats & model.layer_kinds:
            return None
        wanted, found = (", ".join(sorted(kinds)) for kinds in (self.treats, model.layer_kinds))
        return f"{self.name} treats {wanted}; {model.name} has {found}"
