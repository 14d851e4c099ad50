"""Swin-T: attention within shifted windows, on activations `(B, H, W, C)`."""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ondevice_bench.models.attention import attend, join_heads, read_fused, split_heads
from ondevice_bench.models.weights import initialise_transformer

PATCH, WINDOW, EPS = 4, 7, 1e-5
WIDTHS, DEPTHS, HEADS = (96, 192, 384, 768), (2, 2, 6, 2), (3, 6, 12, 24)
MASKED = -100.0


def _relative_positions() -> Tensor:
    """For each pair of positions in a window, its row of the bias table."""
    places = torch.cartesian_prod(torch.arange(WINDOW), torch.arange(WINDOW))  # (N, 2)
    apart = places[:, None] - places[None] + WINDOW - 1  # (N, N, 2), from 0 to 2 WINDOW - 2
    return (apart[..., 0] * (2 * WINDOW - 1) + apart[..., 1]).flatten()


def _to_windows(x: Tensor) -> Tensor:
    """`(B, H, W, C)` as `(B * windows, WINDOW**2, C)`."""
    batch, height, width, channels = x.shape
    x = x.view(batch, height // WINDOW, WINDOW, width // WINDOW, WINDOW, channels)
    return x.transpose(2, 3).reshape(-1, WINDOW**2, channels)


def _from_windows(x: Tensor, shape: torch.Size) -> Tensor:
    """The inverse of `_to_windows`."""
    batch, height, width, channels = shape
    x = x.view(batch, height // WINDOW, width // WINDOW, WINDOW, WINDOW, channels)
    return x.transpose(2, 3).reshape(shape)


class WindowAttention(nn.Module):
    """Attention within windows, which every second block shifts by half of their width."""

    relative_position_index: Tensor

    def __init__(self, width: int, heads: int, *, shifted: bool, explicit: bool) -> None:
        super().__init__()
        self.heads, self.shifted, self.explicit = heads, shifted, explicit
        self.q = nn.Linear(width, width)
        self.k = nn.Linear(width, width)
        self.v = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * WINDOW - 1) ** 2, heads))
        self.register_buffer("relative_position_index", _relative_positions())
        read_fused(self, "qkv.")

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, H, W, C)` to `(B, H, W, C)`."""
        batch, height, width, _ = x.shape
        x = F.pad(x, (0, 0, 0, -width % WINDOW, 0, -height % WINDOW))
        padded = x.shape
        # if one window contains all, there is nothing to shift
        shifts = [WINDOW // 2 if self.shifted and size > WINDOW else 0 for size in padded[1:3]]
        if any(shifts):
            x = x.roll((-shifts[0], -shifts[1]), (1, 2))
        windows = _to_windows(x)
        q, k, v = (split_heads(linear(windows), self.heads) for linear in (self.q, self.k, self.v))
        bias = self._bias()
        if any(shifts):
            # (images, windows, heads, N, d): the mask differs from window to window
            count = len(windows) // batch
            q, k, v = (part.unflatten(0, (batch, count)) for part in (q, k, v))
            bias = bias + _mask(padded[1], padded[2], shifts, windows)[:, None]
        mixed = attend(q, k, v, explicit=self.explicit, bias=bias)
        if any(shifts):
            mixed = mixed.flatten(0, 1)
        y = _from_windows(self.proj(join_heads(mixed)), padded)
        if any(shifts):
            y = y.roll(tuple(shifts), (1, 2))
        return y[:, :height, :width].contiguous()

    def _bias(self) -> Tensor:
        """The bias of the score by the distance of two positions: `(heads, N, N)`."""
        rows = self.relative_position_bias_table[self.relative_position_index]
        return rows.view(WINDOW**2, WINDOW**2, -1).permute(2, 0, 1).contiguous()


def _mask(height: int, width: int, shifts: list[int], like: Tensor) -> Tensor:
    """`(windows, N, N)`: positions that are neighbours only by the shift do not attend."""
    region = like.new_zeros(1, height, width, 1)
    count = 0
    for rows in _bands(height, shifts[0]):
        for columns in _bands(width, shifts[1]):
            region[:, rows, columns] = count
            count += 1
    places = _to_windows(region)[..., 0]  # (windows, N)
    apart = places[:, None, :] != places[:, :, None]
    return torch.zeros_like(apart, dtype=like.dtype).masked_fill(apart, MASKED)


def _bands(size: int, shift: int) -> tuple[slice, ...]:
    if shift == 0:
        return (slice(0, size),)
    return slice(0, size - WINDOW), slice(size - WINDOW, size - shift), slice(size - shift, size)


class Block(nn.Module):
    """Attention and MLP, each after a layer norm and with a residual."""

    def __init__(self, width: int, heads: int, *, shifted: bool, explicit: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, EPS)
        self.attn = WindowAttention(width, heads, shifted=shifted, explicit=explicit)
        self.norm2 = nn.LayerNorm(width, EPS)
        # public checkpoints name the two linears mlp.0 and mlp.3: dropout lies between them
        self.mlp = nn.Sequential(
            OrderedDict(
                {"0": nn.Linear(width, 4 * width), "1": nn.GELU(), "3": nn.Linear(4 * width, width)}
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, H, W, C)` to `(B, H, W, C)`."""
        x = x + self.attn(self.norm1(x))
        y: Tensor = x + self.mlp(self.norm2(x))
        return y


class PatchMerging(nn.Module):
    """Four neighbours become one position of twice the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)
        self.norm = nn.LayerNorm(4 * width, EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, H, W, C)` to `(B, H / 2, W / 2, 2 C)`."""
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        quarters = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        y: Tensor = self.reduction(self.norm(torch.cat(quarters, -1)))
        return y


class ChannelsLast(nn.Module):
    """`(B, C, H, W)` as `(B, H, W, C)`."""

    def forward(self, x: Tensor) -> Tensor:
        """Permute."""
        return x.permute(0, 2, 3, 1)


class SwinTransformer(nn.Module):
    """Patches, four stages with merging between them, mean over positions, one linear head."""

    def __init__(self, classes: int, *, explicit: bool) -> None:
        super().__init__()
        patches = nn.Conv2d(3, WIDTHS[0], PATCH, PATCH)
        parts: list[nn.Module] = [
            nn.Sequential(patches, ChannelsLast(), nn.LayerNorm(WIDTHS[0], EPS))
        ]
        for width, depth, heads in zip(WIDTHS, DEPTHS, HEADS, strict=True):
            if len(parts) > 1:
                parts.append(PatchMerging(width // 2))
            parts.append(
                nn.Sequential(
                    *(
                        Block(width, heads, shifted=index % 2 == 1, explicit=explicit)
                        for index in range(depth)
                    )
                )
            )
        self.features = nn.Sequential(*parts)
        self.norm = nn.LayerNorm(WIDTHS[-1], EPS)
        self.head = nn.Linear(WIDTHS[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images `(B, 3, H, W)` to logits `(B, classes)`."""
        places = self.norm(self.features(x))
        logits: Tensor = self.head(places.mean((1, 2)))
        return logits


def construct(classes: int, image_size: int, attention: str) -> SwinTransformer:
    """The network with its weights unset; windows at the border are padded."""
    del image_size
    return SwinTransformer(classes, explicit=attention == "explicit")


@torch.no_grad()
def initialise(model: nn.Module, seed: int) -> None:
    """Fill as for transformers, and restore the index of relative positions, which is no weight."""
    initialise_transformer(model, seed)
    for module in model.modules():
        if isinstance(module, WindowAttention):
            module.relative_position_index.copy_(_relative_positions())
