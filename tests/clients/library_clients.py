"""Networks of transformers, timm and torchvision, small and with weights of their own drawing.

Nothing is downloaded: each network is made from its config. Where a library is missing, the
network cannot be made, and `missing` says why.
"""

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ondevice_bench.models.user_models import torchvision_models, transformers_library
from tests.clients import loops
from tests.clients.batches import inputs, tokens
from tests.clients.oracle import Client

_VOCABULARY, _LENGTH, _WIDTH, _CLASSES, _SIZE = 29, 6, 16, 3, 32


def missing(library: str) -> str | None:
    """Why the clients of a library cannot run here; None if they can."""
    return None if find_spec(library) else f"{library} is not installed (tox -e clients)"


def logits_loss(network: nn.Module, batch: tuple[Any, Tensor]) -> Tensor:
    """Cross-entropy of the logits, for each text, token or image."""
    given, targets = batch
    output = network(**given) if isinstance(given, Mapping) else network(given)
    scores = getattr(output, "logits", output)
    if scores.ndim == 3:
        return F.cross_entropy(scores.flatten(0, 1), targets.flatten())
    return F.cross_entropy(scores, targets)


def _shaken(network: nn.Module) -> nn.Module:
    """Other weights: with those of the library some layers start at zero, or hardly learn."""
    with torch.no_grad():
        for parameter in network.parameters():
            inputs_of_one = parameter.shape[1:].numel() if parameter.ndim > 1 else 16
            parameter.add_(torch.randn_like(parameter) / (2 * inputs_of_one**0.5))
    return network.double().train()


def _transformer(kind: str, config: str, **options: Any) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        library = transformers_library()
        made = getattr(library, config)(**options)
        network: nn.Module = getattr(library, kind)(made)
        return _shaken(network)

    return make


def _text_to_text() -> list[tuple[Any, Tensor]]:
    given = tokens(_LENGTH, _VOCABULARY)
    return [({"input_ids": x, "decoder_input_ids": x.flip(1)}, y) for x, y in given]


# with a larger rate some of these diverge on noise
_LOOP = partial(loops.plain, rate=0.01)
_texts = partial(tokens, _LENGTH, _VOCABULARY, _CLASSES)
_continued = partial(tokens, _LENGTH, _VOCABULARY)
_images = partial(inputs, 3, _SIZE, _SIZE, classes=_CLASSES)
_BERT = {
    "vocab_size": _VOCABULARY, "hidden_size": _WIDTH, "num_hidden_layers": 2,
    "num_attention_heads": 2, "intermediate_size": 2 * _WIDTH, "max_position_embeddings": 16,
    "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "num_labels": _CLASSES,
}  # fmt: skip
_LLAMA = {
    "vocab_size": _VOCABULARY, "hidden_size": _WIDTH, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 2 * _WIDTH,
    "max_position_embeddings": 16,
}  # fmt: skip
_VIT = {
    "hidden_size": _WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 2 * _WIDTH, "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0, "image_size": _SIZE, "patch_size": 8,
    "num_labels": _CLASSES,
}  # fmt: skip


def _of_transformers(
    name: str, kind: str, config: str, batches: Any, blocks: str, **options: Any
) -> Client:
    network = _transformer(kind, config, **options)
    return Client(name, network, batches, logits_loss, _LOOP, blocks=blocks)


TRANSFORMERS = (
    _of_transformers("BERT", "BertForSequenceClassification", "BertConfig", _texts,
                     "bert.encoder.layer.*", **_BERT),
    _of_transformers("DistilBERT", "DistilBertForSequenceClassification", "DistilBertConfig",
                     _texts, "distilbert.transformer.layer.*", vocab_size=_VOCABULARY, dim=_WIDTH,
                     n_layers=2, n_heads=2, hidden_dim=2 * _WIDTH, max_position_embeddings=16,
                     dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0,
                     num_labels=_CLASSES),
    _of_transformers("ALBERT", "AlbertForSequenceClassification", "AlbertConfig", _texts,
                     "albert.encoder.albert_layer_groups.*", embedding_size=8, **_BERT),
    _of_transformers("GPT-2", "GPT2LMHeadModel", "GPT2Config", _continued, "transformer.h.*",
                     vocab_size=_VOCABULARY, n_positions=16, n_embd=_WIDTH, n_layer=2, n_head=2,
                     resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0),
    _of_transformers("Llama", "LlamaForCausalLM", "LlamaConfig", _continued, "model.layers.*",
                     tie_word_embeddings=False, **_LLAMA),
    _of_transformers("Qwen2", "Qwen2ForCausalLM", "Qwen2Config", _continued, "model.layers.*",
                     tie_word_embeddings=True, **_LLAMA),
    _of_transformers("OPT", "OPTForCausalLM", "OPTConfig", _continued, "model.decoder.layers.*",
                     vocab_size=_VOCABULARY, hidden_size=_WIDTH, num_hidden_layers=2,
                     num_attention_heads=2, ffn_dim=2 * _WIDTH, max_position_embeddings=16,
                     word_embed_proj_dim=_WIDTH, dropout=0.0),
    _of_transformers("T5", "T5ForConditionalGeneration", "T5Config", _text_to_text,
                     "encoder.block.*|decoder.block.*", vocab_size=_VOCABULARY, d_model=_WIDTH,
                     d_kv=8, d_ff=2 * _WIDTH, num_layers=2, num_heads=2, dropout_rate=0.0),
    _of_transformers("ViT of transformers", "ViTForImageClassification", "ViTConfig", _images,
                     "vit.layers.*", **_VIT),
    _of_transformers("Swin of transformers", "SwinForImageClassification", "SwinConfig", _images,
                     "swin.encoder.layers.*.blocks.*", image_size=_SIZE, patch_size=4, embed_dim=8,
                     depths=[2, 2], num_heads=[2, 2], window_size=4, drop_path_rate=0.0,
                     hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
                     num_labels=_CLASSES),
)  # fmt: skip


def _of_images(name: str, make: Callable[[], nn.Module], blocks: str, size: int) -> Client:
    def network() -> nn.Module:
        return _shaken(make())

    batches = partial(inputs, 3, size, size, classes=_CLASSES)
    return Client(name, network, batches, logits_loss, _LOOP, blocks=blocks)


def _of_timm(name: str, blocks: str, size: int = _SIZE, **options: Any) -> Client:
    def make() -> nn.Module:
        torchvision_models()  # timm imports torchvision
        timm = import_module("timm")
        network: nn.Module = timm.create_model(name, num_classes=_CLASSES, **options)
        return network

    return _of_images(name, make, blocks, size)


_SMALL_VIT = {"img_size": _SIZE, "patch_size": 8, "depth": 2, "embed_dim": 24, "num_heads": 2}
TIMM = (
    _of_timm("test_resnet", "layer1|layer2|layer3|layer4"),
    _of_timm("test_efficientnet", "blocks.*"),
    _of_timm("mobilenetv3_small_050", "blocks.*", 64),
    _of_timm("test_nfnet", "stages.*"),
    _of_timm("test_byobnet", "stages.*"),
    _of_timm("vit_tiny_patch16_224", "blocks.*", **_SMALL_VIT),
    _of_timm("eva02_tiny_patch14_224", "blocks.*", **_SMALL_VIT),
    _of_timm("swin_tiny_patch4_window7_224", "layers.*", img_size=_SIZE, window_size=4,
             embed_dim=8, depths=(2, 2), num_heads=(2, 2), drop_path_rate=0.0),
    _of_timm("convnext_atto", "stages.*", depths=(1, 1, 1, 1), dims=(8, 8, 8, 8)),
    _of_timm("edgenext_xx_small", "stages.*", depths=(1, 1, 2, 1), dims=(8, 16, 16, 24)),
)  # fmt: skip


def _of_torchvision(
    name: str, make: Callable[[Any], nn.Module], blocks: str, size: int = _SIZE
) -> Client:
    return _of_images(name, lambda: make(torchvision_models()), blocks, size)


_THIN = {"width_mult": 0.25, "dropout": 0.0, "num_classes": _CLASSES}
_SWIN = {
    "patch_size": [4, 4], "embed_dim": 8, "depths": [2, 2], "num_heads": [2, 2],
    "window_size": [4, 4], "stochastic_depth_prob": 0.0, "num_classes": _CLASSES,
}  # fmt: skip


def _convnext(models: Any) -> nn.Module:
    stages = (models.convnext.CNBlockConfig(8, 16, 2), models.convnext.CNBlockConfig(16, None, 1))
    network: nn.Module = models.ConvNeXt(stages, num_classes=_CLASSES)
    return network


TORCHVISION = (
    _of_torchvision("mobilenet_v2", lambda m: m.mobilenet_v2(**_THIN), "features.*", 64),
    _of_torchvision("mobilenet_v3_small", lambda m: m.mobilenet_v3_small(**_THIN), "features.*", 64),
    _of_torchvision("shufflenet_v2_x0_5", lambda m: m.shufflenet_v2_x0_5(num_classes=_CLASSES),
                    "stage2|stage3|stage4", 64),
    _of_torchvision("squeezenet1_1", lambda m: m.squeezenet1_1(num_classes=_CLASSES, dropout=0.0),
                    "features.*"),
    _of_torchvision("DenseNet", lambda m: m.DenseNet(4, (2, 2), 8, num_classes=_CLASSES),
                    "features.denseblock*"),
    _of_torchvision("ConvNeXt", _convnext, "features.1.*|features.3.*"),
    _of_torchvision("SwinTransformer", lambda m: m.SwinTransformer(**_SWIN),
                    "features.1.*|features.3.*"),
    _of_torchvision("SwinTransformer, version 2", lambda m: m.SwinTransformer(
                        **_SWIN, block=m.swin_transformer.SwinTransformerBlockV2,
                        downsample_layer=m.swin_transformer.PatchMergingV2),
                    "features.1.*|features.3.*"),
    _of_torchvision("VisionTransformer", lambda m: m.VisionTransformer(
                        _SIZE, 8, 2, 2, _WIDTH, 2 * _WIDTH, num_classes=_CLASSES),
                    "encoder.layers.*"),
    _of_torchvision("MaxVit", lambda m: m.MaxVit(
                        (_SIZE, _SIZE), 8, 4, [8, 16], [1, 1], 8, 0.0, num_classes=_CLASSES),
                    "blocks.*"),
)  # fmt: skip
