"""TinyLlama: a Llama of 1.1 billion parameters, of any depth."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ondevice_bench.models.attention import attend, join_heads, split_heads
from ondevice_bench.models.weights import initialise_transformer

WIDTH, MLP, VOCABULARY, EPS = 2048, 5632, 32000, 1e-5
HEADS, KEY_VALUE_HEADS = 32, 4
HEAD_WIDTH = WIDTH // HEADS
THETA = 10_000.0


def _turned(x: Tensor) -> Tensor:
    """Rotary position embedding of `(B, heads, N, d)`: pairs (i, i + d/2) turn with the place."""
    tokens, width = x.shape[-2:]
    half = width // 2
    # in float32 whatever x is, as the reference does: the angles are part of the network
    speeds = 1.0 / THETA ** (torch.arange(0, width, 2).float() / width)
    angles = torch.arange(tokens).float()[:, None] * speeds  # (N, d / 2)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x[..., :half], x[..., half:]
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


class SelfAttention(nn.Module):
    """Causal attention; eight queries share a key and a value."""

    def __init__(self, *, explicit: bool) -> None:
        super().__init__()
        self.explicit = explicit
        narrow = KEY_VALUE_HEADS * HEAD_WIDTH
        self.q_proj = nn.Linear(WIDTH, WIDTH, bias=False)
        self.k_proj = nn.Linear(WIDTH, narrow, bias=False)
        self.v_proj = nn.Linear(WIDTH, narrow, bias=False)
        self.o_proj = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, N, D)` to `(B, N, D)`."""
        q = _turned(split_heads(self.q_proj(x), HEADS))
        k = _turned(split_heads(self.k_proj(x), KEY_VALUE_HEADS))
        v = split_heads(self.v_proj(x), KEY_VALUE_HEADS)
        k, v = (part.repeat_interleave(HEADS // KEY_VALUE_HEADS, dim=1) for part in (k, v))
        y: Tensor = self.o_proj(join_heads(attend(q, k, v, explicit=self.explicit, causal=True)))
        return y


class GatedMLP(nn.Module):
    """SwiGLU."""

    def __init__(self) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(WIDTH, MLP, bias=False)
        self.up_proj = nn.Linear(WIDTH, MLP, bias=False)
        self.down_proj = nn.Linear(MLP, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, N, D)` to `(B, N, D)`."""
        y: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return y


class Layer(nn.Module):
    """Attention and MLP, each after a root-mean-square norm and with a residual."""

    def __init__(self, *, explicit: bool) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(WIDTH, EPS)
        self.self_attn = SelfAttention(explicit=explicit)
        self.post_attention_layernorm = nn.RMSNorm(WIDTH, EPS)
        self.mlp = GatedMLP()

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, N, D)` to `(B, N, D)`."""
        x = x + self.self_attn(self.input_layernorm(x))
        y: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return y


class Trunk(nn.Module):
    """Embedding, layers, final norm."""

    def __init__(self, layers: int, *, explicit: bool) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.layers = nn.ModuleList(Layer(explicit=explicit) for _ in range(layers))
        self.norm = nn.RMSNorm(WIDTH, EPS)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `(B, N)` to `(B, N, D)`."""
        x = self.embed_tokens(tokens)
        for layer in self.layers:
            x = layer(x)
        y: Tensor = self.norm(x)
        return y


class Llama(nn.Module):
    """The trunk and an untied head over the vocabulary."""

    def __init__(self, layers: int, *, explicit: bool) -> None:
        super().__init__()
        self.model = Trunk(layers, explicit=explicit)
        self.lm_head = nn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `(B, N)` to logits `(B, N, vocabulary)`."""
        logits: Tensor = self.lm_head(self.model(tokens))
        return logits


def construct(layers: int, length: int, attention: str) -> Llama:
    """The network with its weights unset; it takes sequences of any length."""
    del length
    return Llama(layers, explicit=attention == "explicit")


initialise = initialise_transformer
