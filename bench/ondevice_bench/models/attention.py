"""Attention of all families: torch's fused form, or the explicit form that papers count."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    explicit: bool,
    causal: bool = False,
    bias: Tensor | None = None,
) -> Tensor:
    """Mix `v` by softmax(q kT / sqrt(d) + bias); all are `(..., heads, tokens, d)`."""
    if not explicit:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, is_causal=causal)
    scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
    if bias is not None:
        scores = scores + bias
    if causal:
        tokens = q.shape[-2]
        future = torch.ones(tokens, tokens, dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(future, float("-inf"))
    mixed: Tensor = scores.softmax(-1) @ v
    return mixed


def split_heads(x: Tensor, heads: int) -> Tensor:
    """`(B, N, D)` as `(B, heads, N, D / heads)`."""
    batch, tokens, width = x.shape
    return x.view(batch, tokens, heads, width // heads).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    """The inverse of `split_heads`."""
    return x.transpose(1, 2).flatten(2)


def read_fused(module: nn.Module, fused: str) -> None:
    """Let `module` with linears q, k, v load and save them as one, as public checkpoints do.

    `fused` is the part of the name between the module and `weight`: `in_proj_` or `qkv.`.
    Layers that a method has replaced by others stay as they are.
    """
    module.register_load_state_dict_pre_hook(partial(_split, fused=fused))
    module.register_state_dict_post_hook(partial(_join, fused=fused))


def _split(_: nn.Module, state: dict[str, Tensor], prefix: str, *__: object, fused: str) -> None:
    for kind in ("weight", "bias"):
        whole = state.pop(f"{prefix}{fused}{kind}", None)
        if whole is not None:
            for name, part in zip("qkv", whole.chunk(3), strict=True):
                state[f"{prefix}{name}.{kind}"] = part


def _join(_: nn.Module, state: dict[str, Tensor], prefix: str, __: object, *, fused: str) -> None:
    if any(f"{prefix}{name}.weight" not in state for name in "qkv"):
        return
    for kind in ("weight", "bias"):
        names = [f"{prefix}{name}.{kind}" for name in "qkv"]
        if all(name in state for name in names):
            state[f"{prefix}{fused}{kind}"] = torch.cat([state.pop(name) for name in names])
