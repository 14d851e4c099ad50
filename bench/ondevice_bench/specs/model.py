"""The description of a model, without torch."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from ondevice_bench.specs.inputs import Inputs
from ondevice_bench.specs.layout import ModelLayout
from ondevice_bench.specs.option import Option, Value
from ondevice_bench.specs.packaged_file import PackagedFile

NO_LAYOUT = ModelLayout()


@dataclass(frozen=True)
class ModelSpec:
    """A model by name; `implementation` is a module with `construct` and `initialise`.

    `least_batch` is the smallest batch that it can train on while batch-norm uses batch statistics.
    After pooling to one position, a channel has only one value for each image.
    """

    name: str
    title: str
    implementation: str
    inputs: Callable[[Mapping[str, Value]], Inputs]
    layer_kinds: frozenset[str]
    batch: int
    options: tuple[Option, ...] = ()
    layout: ModelLayout = NO_LAYOUT
    pretrained: PackagedFile | None = None
    least_batch: int = 1
    fixed: Mapping[str, Value] | None = None  # options of its implementation that no suite sets
    is_own: bool = False  # a user's factory, which accepts any option
    # of a module of an installed package: its file where it is measured, and the hash of its code
    code_file: str = ""
    code: str = ""
    has_own_loss: bool = False  # `loss` of its module or file; else the cross-entropy
    completes_layout: bool = False  # the layout in its file leaves out the head, or what counts
    # whether a training step with these options draws random numbers
    has_dropout: Callable[[Mapping[str, Value]], bool] = lambda _: False
    # the words of `layers` that name no layer of a user's network with these options
    missing_parts: Callable[[Mapping[str, Value]], Collection[str]] = lambda _: ()
    # the parts of its layout of which no module is one as a whole
    missing_modules: Callable[[Mapping[str, Value]], Collection[str]] = lambda _: ()
