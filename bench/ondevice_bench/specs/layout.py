"""The layout of a family of networks: the meaning of the words of `layers`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelLayout:
    """Patterns of module names; empty if the family has no such part.

    A star stays within one level of names, and `a|b` is either. An MLP or an attention that is one
    module is written `that.module.*`. `last:K` counts layers of the kind `counts`, "conv2d" or
    "linear", without the head and the `auxiliary` classifiers.
    """

    head: str = ""
    blocks: str = ""
    mlp: str = ""
    attention: str = ""
    counts: str = ""
    auxiliary: str = ""  # names of other classifiers, `a|b`: never counted or frozen

    @property
    def heads(self) -> tuple[str, ...]:
        """The names of the head and of the auxiliary classifiers."""
        return tuple(name for name in (self.head, *self.auxiliary.split("|")) if name)
