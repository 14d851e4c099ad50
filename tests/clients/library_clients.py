"""Networks of transformers, timm and torchvision, small and with weights of their own drawing.

Nothing is downloaded: each network is made from its config. Where a library is missing, the
network cannot be made, and `missing` says why.
"""

from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ondevice_bench.models.user_models import torchvision_models, transformers_library
from tests.clients import loops
from tests.clients.oracle import Client
from tests.clients.torch_clients import inputs, tokens

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


def _transformer(kind: str, config: str, **options: Any) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        library = transformers_library()
        made = getattr(library, config)(**options)
        network: nn.Module = getattr(library, kind)(made)
        return network.double().train()

    return make


def _text_to_text() -> list[tuple[Any, Tensor]]:
    given = tokens(_LENGTH, _VOCABULARY)
    return [({"input_ids": x, "decoder_input_ids": x.flip(1)}, y) for x, y in given]


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
    return Client(name, network, batches, logits_loss, loops.plain, blocks=blocks)


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
    _of_transformers("MobileViT", "MobileViTForImageClassification", "MobileViTConfig", _images,
                     "mobilevit.encoder.layer.*", image_size=_SIZE, hidden_sizes=[8, 8, 8],
                     neck_hidden_sizes=[4, 4, 8, 8, 8, 8, 8], num_attention_heads=2,
                     hidden_dropout_prob=0.0, classifier_dropout_prob=0.0,
                     attention_probs_dropout_prob=0.0, num_labels=_CLASSES),
)  # fmt: skip


def _of_timm(name: str, blocks: str = "", size: int = _SIZE, **options: Any) -> Client:
    def make() -> nn.Module:
        import timm

        network: nn.Module = timm.create_model(name, num_classes=_CLASSES, **options)
        return network.double().train()

    batches = partial(inputs, 3, size, size, classes=_CLASSES)
    return Client(f"{name} of timm", make, batches, logits_loss, loops.plain, blocks=blocks)


TIMM = ()


def _of_torchvision(name: str, blocks: str = "", size: int = _SIZE, **options: Any) -> Client:
    def make() -> nn.Module:
        network: nn.Module = torchvision_models().get_model(
            name, weights=None, num_classes=_CLASSES, **options
        )
        return network.double().train()

    batches = partial(inputs, 3, size, size, classes=_CLASSES)
    return Client(f"{name} of torchvision", make, batches, logits_loss, loops.plain, blocks=blocks)
