"""The methods and models that this distribution brings: one entry each is their registration."""

from collections.abc import Callable, Mapping

from bench.specs.method import MethodSpec
from bench.specs.model import ImageInputs, ModelSpec
from bench.specs.option import Option, Value

METHODS = (
    MethodSpec(
        name="vanilla",
        title="Ordinary training: every activation is stored exactly",
        implementation="bench.methods.vanilla",
    ),
)


def _classes() -> Option:
    return Option("classes", "number of output classes", default=1000, minimum=1)


def _rgb(default_size: int) -> Callable[[Mapping[str, Value]], ImageInputs]:
    def inputs(options: Mapping[str, Value]) -> ImageInputs:
        size = int(options.get("image_size", default_size))
        return ImageInputs(channels=3, size=size, classes=int(options["classes"]))

    return inputs


MODELS = (
    ModelSpec(
        name="mcunet",
        title="MCUNet-in1: inverted residuals, 96x96 images, 0.64 M parameters",
        implementation="bench.models.mcunet",
        inputs=_rgb(96),
        layer_kinds=frozenset({"conv2d", "linear"}),
        batch=8,
        options=(_classes(),),
    ),
    ModelSpec(
        name="vit_b_32",
        title="Vision Transformer B/32: 12 blocks of width 768, 224x224 images, 88 M parameters",
        implementation="bench.models.vit",
        inputs=_rgb(224),
        layer_kinds=frozenset({"conv2d", "linear"}),
        batch=8,
        options=(
            _classes(),
            Option("depth", "number of blocks", default=12, minimum=1, maximum=48),
            Option(
                "image_size",
                "height and width of an image",
                default=224,
                minimum=32,
                maximum=1024,
                multiple_of=32,
            ),
        ),
    ),
)
