"""Vision Transformer B/32, its projections q, k and v as separate linear layers."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from ondevice_bench.models.attention import attend, join_heads, read_fused, split_heads
from ondevice_bench.models.weights import generator_for

PATCH = 32
WIDTH = 768
HEADS = 12
MLP = 3072
EPS = 1e-6


class SelfAttention(nn.Module):
    """Multi-head attention over tokens."""

    def __init__(self, width: int, heads: int, *, explicit: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.explicit = explicit
        self.q = nn.Linear(width, width)
        self.k = nn.Linear(width, width)
        self.v = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)
        read_fused(self, "in_proj_")

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, N, D)` to `(B, N, D)`."""
        q, k, v = (split_heads(linear(x), self.heads) for linear in (self.q, self.k, self.v))
        y: Tensor = self.out_proj(join_heads(attend(q, k, v, explicit=self.explicit)))
        return y


class EncoderBlock(nn.Module):
    """Attention and MLP, each after a layer norm and with a residual."""

    def __init__(self, width: int, heads: int, mlp: int, *, explicit: bool) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, eps=EPS)
        self.self_attention = SelfAttention(width, heads, explicit=explicit)
        self.ln_2 = nn.LayerNorm(width, eps=EPS)
        # public checkpoints name the two linears mlp.0 and mlp.3: dropout lies between them
        self.mlp = nn.Sequential(
            OrderedDict({"0": nn.Linear(width, mlp), "1": nn.GELU(), "3": nn.Linear(mlp, width)})
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, N, D)` to `(B, N, D)`."""
        x = x + self.self_attention(self.ln_1(x))
        y: Tensor = x + self.mlp(self.ln_2(x))
        return y


class Encoder(nn.Module):
    """Position embedding, blocks, final layer norm."""

    def __init__(self, depth: int, tokens: int, *, explicit: bool) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(torch.empty(1, tokens, WIDTH))
        blocks = {
            f"encoder_layer_{i}": EncoderBlock(WIDTH, HEADS, MLP, explicit=explicit)
            for i in range(depth)
        }
        self.layers = nn.Sequential(OrderedDict(blocks))
        self.ln = nn.LayerNorm(WIDTH, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, N, D)` to `(B, N, D)`."""
        y: Tensor = self.ln(self.layers(x + self.pos_embedding))
        return y


class VisionTransformer(nn.Module):
    """Patches, class token, encoder, one linear head."""

    def __init__(self, classes: int, depth: int, image_size: int, *, explicit: bool) -> None:
        super().__init__()
        self.class_token = nn.Parameter(torch.empty(1, 1, WIDTH))
        self.conv_proj = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        tokens = (image_size // PATCH) ** 2 + 1
        self.encoder = Encoder(depth, tokens, explicit=explicit)
        self.heads = nn.Sequential(OrderedDict({"head": nn.Linear(WIDTH, classes)}))

    def forward(self, x: Tensor) -> Tensor:
        """Map images `(B, 3, H, W)` to logits `(B, classes)`."""
        patches = self.conv_proj(x).flatten(2).transpose(1, 2)  # (B, N - 1, D)
        first = self.class_token.expand(len(x), -1, -1)
        encoded = self.encoder(torch.cat([first, patches], dim=1))
        logits: Tensor = self.heads(encoded[:, 0])
        return logits


def construct(
    classes: int, depth: int, image_size: int, attention: str = "fused"
) -> VisionTransformer:
    """The network with its weights unset."""
    return VisionTransformer(classes, depth, image_size, explicit=attention == "explicit")


@torch.no_grad()
def initialise(model: nn.Module, seed: int) -> None:
    """Xavier's uniform fill for linears, N(0, 0.02) for embeddings and head, norms at identity.

    The head is not zero, as it is in some reference code: with a zero head no gradient would
    reach the blocks in the first step.
    """
    for name, module in model.named_modules():
        stream = generator_for(seed, name)
        match module:
            case nn.Linear() if name == "heads.head":
                nn.init.normal_(module.weight, 0.0, 0.02, generator=stream)
                nn.init.zeros_(module.bias)
            case nn.Linear():
                nn.init.xavier_uniform_(module.weight, generator=stream)
                nn.init.zeros_(module.bias)
            case nn.Conv2d():
                deviation = (module.in_channels * PATCH * PATCH) ** -0.5
                nn.init.normal_(module.weight, 0.0, deviation, generator=stream)
                assert module.bias is not None
                nn.init.zeros_(module.bias)
            case nn.LayerNorm():
                module.reset_parameters()
            case VisionTransformer():
                nn.init.zeros_(module.class_token)
            case Encoder():
                nn.init.normal_(module.pos_embedding, 0.0, 0.02, generator=stream)
