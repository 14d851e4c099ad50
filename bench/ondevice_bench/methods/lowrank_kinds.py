"""A linear layer and a convolution in two factors, and which layers can become one of them."""

from torch import Tensor, nn
from torch.nn import functional as F

from ondevice_bench.methods.compressed_input import conv_arguments, give_parameters
from ondevice_bench.methods.convolution import require_geometry
from ondevice_bench.methods.iteration_schedule import IterationSchedule
from ondevice_bench.methods.lowrank import LowRankLayer, Update
from ondevice_bench.methods.scheme import Scheme, StoredTensors
from ondevice_bench.methods.subspace import FactoredGradient
from ondevice_bench.methods.tensors import mode_product, working
from ondevice_bench.methods.tucker import conv_pair, linear_pair


class LowRankLinear(LowRankLayer, nn.Linear):  # type: ignore[misc, override]  # its weight is computed
    """A linear layer in two factors."""

    def product(self, x: Tensor, left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor:
        """`(X Rᵀ) Lᵀ + b`."""
        return F.linear(F.linear(x, right), left, bias)

    def input_gradient(
        self, dy: Tensor, shape: tuple[int, ...], left: Tensor, right: Tensor
    ) -> Tensor:
        """`(dY L) R`."""
        return (dy @ left) @ right

    def pair(self, stored: StoredTensors, dy: Tensor) -> FactoredGradient:
        """`(P, U_I)`."""
        return FactoredGradient(*linear_pair(stored, dy))

    def as_rows(self, x: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
        """Batch and tokens as rows."""
        return x.flatten(0, -2), dy.flatten(0, -2)

    def in_plain_shape(self, matrix: Tensor) -> Tensor:
        """The matrix itself."""
        return matrix

    def merge(self) -> nn.Linear:
        """A plain linear layer."""
        outputs, inputs = len(self.left), self.right.shape[1]
        plain = nn.Linear(inputs, outputs, bias=self.bias is not None, device="meta")
        give_parameters(plain, self.merged_weight(), self.bias)
        return plain.train(self.training)


class LowRankConv2d(LowRankLayer, nn.Conv2d):  # type: ignore[override]  # its weight is computed
    """A convolution to K channels and a pointwise one from them."""

    def __init__(
        self,
        plain: nn.Conv2d,
        rank: int,
        scheme: Scheme | None,
        name: str,
        *,
        update: Update,
        schedule: IterationSchedule,
    ) -> None:
        super().__init__(plain, rank, scheme, name, update=update, schedule=schedule)
        self.channels = plain.in_channels
        self.arguments = conv_arguments(plain)

    def forward(self, input: Tensor) -> Tensor:
        """The product. A Refusal if other code has given the layer another geometry."""
        require_geometry(self, self.arguments, self.name)
        return super().forward(input)

    def in_plain_shape(self, matrix: Tensor) -> Tensor:
        """As channels and kernel positions."""
        return self._kernel(matrix)

    def _kernel(self, right: Tensor) -> Tensor:
        assert self.geometry is not None
        return right.view(len(right), self.channels, *self.geometry.kernel)

    def product(self, x: Tensor, left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor:
        """`R` as a convolution, `L` as a pointwise one."""
        kernel = self._kernel(right)
        positions = {name: self.arguments[name] for name in ("stride", "padding", "dilation")}
        thin = F.conv2d(x, kernel, **positions)
        return F.conv2d(thin, left[:, :, None, None], bias)

    def input_gradient(
        self, dy: Tensor, shape: tuple[int, ...], left: Tensor, right: Tensor
    ) -> Tensor:
        """Back through `L`, then through `R`."""
        assert self.geometry is not None
        thin = mode_product(dy, left.T, 1)
        return self.geometry.input_gradient(shape, self._kernel(right), thin)

    def pair(self, stored: StoredTensors, dy: Tensor) -> FactoredGradient:
        """`P` for every kernel position, and the channel factor."""
        assert self.geometry is not None
        rows, columns = self.geometry.kernel
        weight = (dy.shape[1], self.channels, rows, columns)
        thin, channels = conv_pair(stored, dy, weight, self.geometry)
        return FactoredGradient(thin.reshape(len(thin), -1), channels, rows * columns)

    def as_rows(self, x: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
        """Output positions as rows. Each row is a patch of the input."""
        assert self.geometry is not None
        geometry = self.geometry
        (top, left), (bottom, right) = geometry.low, geometry.high
        padded = F.pad(x, (left, right, top, bottom))
        # (B, C kh kw, N)
        patches = F.unfold(padded, geometry.kernel, geometry.dilation, 0, geometry.stride)
        return (
            patches.transpose(1, 2).flatten(0, 1),
            dy.flatten(2).transpose(1, 2).flatten(0, 1),
        )

    def merge(self) -> nn.Conv2d:
        """A plain convolution."""
        plain = nn.Conv2d(**self.arguments, device="meta")
        give_parameters(plain, self.merged_weight(), self.bias)
        return plain.train(self.training)


def low_rank(
    layer: nn.Module,
    rank: int,
    scheme: Scheme | None,
    name: str,
    *,
    update: Update,
    schedule: IterationSchedule | None = None,
) -> LowRankLayer:
    """The layer in factors. Without a schedule, each update is an iteration."""
    kind = LowRankConv2d if isinstance(layer, nn.Conv2d) else LowRankLinear
    schedule = schedule or IterationSchedule()
    return kind(layer, rank, scheme, name, update=update, schedule=schedule)  # type: ignore[arg-type]  # each kind takes its own layer


def weight_matrix(layer: nn.Module) -> Tensor:
    """The weight as `(O, I)`, in the precision of decompositions."""
    assert isinstance(layer, (nn.Linear, nn.Conv2d))
    return working(layer.weight.detach().flatten(1))


def not_factorable(layer: nn.Module) -> str | None:
    """The reason why the weight of a layer cannot be two factors; None if it can."""
    if isinstance(layer, nn.Conv2d) and layer.groups != 1:
        return f"has {layer.groups} groups; only convolutions without groups are treated"
    return None
