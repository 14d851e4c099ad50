"""MiniLM-L6: a BERT of six narrow layers, with a linear head on its pooled first token."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ondevice_bench.models.attention import attend, join_heads, split_heads
from ondevice_bench.models.weights import initialise_transformer

WIDTH, MLP, HEADS, EPS = 384, 1536, 12, 1e-12
VOCABULARY, PLACES, KINDS = 30522, 512, 2


class Embeddings(nn.Module):
    """Embeddings of words, positions and the kind of sentence, added and normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(VOCABULARY, WIDTH)
        self.position_embeddings = nn.Embedding(PLACES, WIDTH)
        self.token_type_embeddings = nn.Embedding(KINDS, WIDTH)
        self.LayerNorm = nn.LayerNorm(WIDTH, EPS)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `(B, N)` to `(B, N, D)`; all are of the first kind."""
        places = self.position_embeddings.weight[: tokens.shape[1]]
        x = self.word_embeddings(tokens) + places + self.token_type_embeddings.weight[0]
        y: Tensor = self.LayerNorm(x)
        return y


class Projections(nn.Module):
    """Attention up to its output projection."""

    def __init__(self, *, explicit: bool) -> None:
        super().__init__()
        self.explicit = explicit
        self.query = nn.Linear(WIDTH, WIDTH)
        self.key = nn.Linear(WIDTH, WIDTH)
        self.value = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, N, D)` to `(B, N, D)`."""
        linears = (self.query, self.key, self.value)
        q, k, v = (split_heads(linear(x), HEADS) for linear in linears)
        return join_heads(attend(q, k, v, explicit=self.explicit))


class Residual(nn.Module):
    """A linear, added to the input of its branch, and normalised."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, WIDTH)
        self.LayerNorm = nn.LayerNorm(WIDTH, EPS)

    def forward(self, x: Tensor, beside: Tensor) -> Tensor:
        """Map `(B, N, inputs)` and `(B, N, D)` to `(B, N, D)`."""
        y: Tensor = self.LayerNorm(self.dense(x) + beside)
        return y


class Attention(nn.Module):
    """Attention with its residual; `self` is its public name."""

    def __init__(self, *, explicit: bool) -> None:
        super().__init__()
        self.add_module("self", Projections(explicit=explicit))
        self.output = Residual(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, N, D)` to `(B, N, D)`."""
        y: Tensor = self.output(self.get_submodule("self")(x), x)
        return y


class Intermediate(nn.Module):
    """The first linear of the MLP, and GELU."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(WIDTH, MLP)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, N, D)` to `(B, N, MLP)`."""
        return F.gelu(self.dense(x))


class Layer(nn.Module):
    """Attention and MLP, each with a residual before its norm."""

    def __init__(self, *, explicit: bool) -> None:
        super().__init__()
        self.attention = Attention(explicit=explicit)
        self.intermediate = Intermediate()
        self.output = Residual(MLP)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, N, D)` to `(B, N, D)`."""
        x = self.attention(x)
        y: Tensor = self.output(self.intermediate(x), x)
        return y


class Encoder(nn.Module):
    """The layers, one after the other."""

    def __init__(self, depth: int, *, explicit: bool) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(explicit=explicit) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, N, D)` to `(B, N, D)`."""
        for layer in self.layer:
            x = layer(x)
        return x


class Pooler(nn.Module):
    """A linear and tanh on the first token."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, N, D)` to `(B, D)`."""
        return torch.tanh(self.dense(x[:, 0]))


class MiniLM(nn.Module):
    """Embeddings, encoder, pooler, one linear head; without attention mask and dropout."""

    def __init__(self, depth: int, classes: int, *, explicit: bool) -> None:
        super().__init__()
        self.embeddings = Embeddings()
        self.encoder = Encoder(depth, explicit=explicit)
        self.pooler = Pooler()
        self.classifier = nn.Linear(WIDTH, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `(B, N)` to logits `(B, classes)`."""
        logits: Tensor = self.classifier(self.pooler(self.encoder(self.embeddings(tokens))))
        return logits


def construct(layers: int, classes: int, length: int, attention: str) -> MiniLM:
    """The network with its weights unset; it has embeddings for `length` positions."""
    del length
    return MiniLM(layers, classes, explicit=attention == "explicit")


initialise = initialise_transformer
