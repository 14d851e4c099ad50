"""Small networks as people write them: they need no package but torch."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Causal self-attention with one layer for queries, keys and values, as in nanoGPT."""

    def __init__(self, width: int, heads: int, *, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.c_attn = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        parts = (
            each.view(batch, length, self.heads, -1).transpose(1, 2)
            for each in self.c_attn(x).split(width, dim=2)
        )
        y = F.scaled_dot_product_attention(*parts, is_causal=self.causal)
        return self.c_proj(y.transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    """A transformer block with the norm first."""

    def __init__(self, width: int, heads: int, *, causal: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, causal=causal)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class TiedGpt(nn.Module):
    """A GPT whose head shares its weight with the embedding."""

    def __init__(self, vocabulary: int = 17, length: int = 6, width: int = 12) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.position = nn.Parameter(0.1 * torch.randn(length, width))
        self.blocks = nn.ModuleList(Block(width, 3, causal=True) for _ in range(2))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens) + self.position[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class Albert(nn.Module):
    """One block that the network calls three times."""

    def __init__(self, vocabulary: int = 17, width: int = 12, classes: int = 3) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.block = Block(width, 3, causal=False)
        self.head = nn.Linear(width, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        for _ in range(3):
            x = self.block(x)
        return self.head(x[:, 0])


def _convolutions(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.GroupNorm(2, outputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.GroupNorm(2, outputs),
        nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    """A U-Net of two levels with GroupNorm; it gives a class to each pixel."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.down1, self.down2 = _convolutions(3, 4), _convolutions(4, 6)
        self.pool = nn.MaxPool2d(2)
        self.raise_ = nn.ConvTranspose2d(6, 4, 2, stride=2)
        self.up1 = _convolutions(8, 4)
        self.head = nn.Conv2d(4, classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        first = self.down1(images)
        second = self.raise_(self.down2(self.pool(first)))
        return self.head(self.up1(torch.cat([first, second], dim=1)))


class ConvGru(nn.Module):
    """Conv1d over time, a GRU, and a classifier of two layers."""

    def __init__(self, channels: int = 5, width: int = 8, classes: int = 3) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(channels, width, 3, padding=1)
        self.gru = nn.GRU(width, width, batch_first=True)
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, classes))

    def forward(self, series: Tensor) -> Tensor:
        states, _ = self.gru(F.relu(self.convolution(series)).transpose(1, 2))
        return self.head(states[:, -1])


class Residual(nn.Module):
    """A block of an MLP."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mlp(x)


class Small(nn.Module):
    """What the loops train: a layer of each kind, blocks, and a head."""

    def __init__(
        self, *, dropout: float = 0.0, batch_norm: bool = False, zero_head: bool = False
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.BatchNorm2d(4) if batch_norm else nn.Identity(),
            nn.ReLU(),
            nn.Conv2d(4, 6, 3, stride=2, padding=1),
        )
        self.blocks = nn.ModuleList([Residual(6)])
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(6, 3)
        if zero_head:
            nn.init.zeros_(self.head.weight)

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(self.stem(images)).flatten(2).mean(2)
        for block in self.blocks:
            x = block(x)
        return self.head(self.dropout(x))


class Mixer(nn.Module):
    """Linear layers on a sequence, each followed by an operation in place."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(6, 6), nn.ReLU(inplace=True)) for _ in range(2)
        )
        self.head = nn.Linear(6, 3)

    def forward(self, series: Tensor) -> Tensor:
        for block in self.blocks:
            series = block(series)
        return self.head(series.mean(1))


class Volume(nn.Module):
    """Conv3d and nothing else that a method treats."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.Conv3d(4, 3, 1))

    def forward(self, volumes: Tensor) -> Tensor:
        return self.layers(volumes).flatten(2).mean(2)


class Waves(nn.Module):
    """Complex weights, as in networks for signals."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 8, dtype=torch.complex128)
        self.second = nn.Linear(8, 3, dtype=torch.complex128)

    def forward(self, series: Tensor) -> Tensor:
        return self.second(self.first(torch.complex(series, series.flip(1)))).abs()


class Reading(nn.Module):
    """The network reads the weight of a layer itself and never calls the layer."""

    def __init__(self) -> None:
        super().__init__()
        self.called, self.read = nn.Linear(6, 8), nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, series: Tensor) -> Tensor:
        x = F.gelu(self.called(series))
        return self.head(F.linear(x, self.read.weight, self.read.bias))


class Named(nn.Module):
    """Layers that are called with keyword arguments, and blocks that take and return tuples."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_NamedBlock() for _ in range(2))
        self.head = nn.Linear(6, 3)

    def forward(self, series: Tensor) -> Tensor:
        mask = series[:, 0] > 0
        for block in self.blocks:
            series, _ = block(series, mask=mask)
        return self.head(input=series)


class _NamedBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 6)

    def forward(self, x: Tensor, *, mask: Tensor) -> tuple[Tensor, Tensor]:
        return x + self.linear(input=x) * mask[:, None], mask


class Recurrent(nn.Module):
    """A cell of linear layers that the network calls for each moment."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs, self.states = nn.Linear(5, 8), nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, series: Tensor) -> Tensor:
        state = torch.zeros(len(series), 8, dtype=series.dtype)
        for moment in series.transpose(1, 2).unbind(1):
            state = torch.tanh(self.inputs(moment) + self.states(state))
        return self.head(state)


class Encoder(nn.Module):
    """torch's own transformer, which reads the weights of its layers in evaluation."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(6, 3)

    def forward(self, series: Tensor) -> Tensor:
        return self.head(self.encoder(series).mean(1))


class Single(Small):
    """Takes one image without a dimension for the batch."""

    def forward(self, image: Tensor) -> Tensor:
        x = F.relu(self.stem(image)).flatten(1).mean(1)
        for block in self.blocks:
            x = block(x)
        return self.head(x)
