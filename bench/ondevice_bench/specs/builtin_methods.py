"""The methods of this distribution. Each is registered by one entry."""

from ondevice_bench.specs.method import MethodSpec
from ondevice_bench.specs.option import Option
from ondevice_bench.specs.rank_rules import ACTIVATION, WEIGHT, rank_groups, rank_options

_UPDATE = Option(
    "update",
    "how the factors are trained: one subspace iteration a step, or as ordinary parameters",
    "subspace",
    kind="choice",
    choices=("subspace", "factors"),
)
_SUBSPACE = ("update", "subspace")
_SEQUENTIAL = Option(
    "sequential",
    "project mode by mode, so that later modes work on a smaller tensor",
    False,
    kind="bool",
)
_EVERY = Option(
    "every", "steps from one iteration of a weight to the next; between them L stays", 1, minimum=1
)
_PRODUCT = (
    Option("rank", "rank of the product", 8, minimum=1),
    Option("alpha", "scale of the product, divided by the rank", 16.0, kind="float", above=0),
)
_LAYERS = frozenset({"conv2d", "linear"})
# rules that depend on data or weights, so that their ranks must name them
BY_CONTENT = ("epsilon", "weight_epsilon", "budget_mib", "perplexity")
_ACTIVATIONS = frozenset({ACTIVATION})
_WEIGHTS = frozenset({WEIGHT})
_BOTH = _ACTIVATIONS | _WEIGHTS

METHODS = (
    MethodSpec(
        name="vanilla",
        title="ordinary training: every activation is stored exactly",
        implementation="ondevice_bench.methods.vanilla:Vanilla",
        exact=True,
        is_plain=True,
    ),
    MethodSpec(
        name="gradient_filter",
        title="gradients of convolutions averaged over patches",
        implementation="ondevice_bench.methods.gradient_filter:GradientFilter",
        treats=frozenset({"conv2d"}),
        options=(
            Option("radius", "height and width of a patch of the output", 2, minimum=1),
            Option(
                "scale",
                "`published` leaves out the division by the stride, as published code does",
                "exact",
                kind="choice",
                choices=("exact", "published"),
            ),
        ),
    ),
    MethodSpec(
        name="svd",
        title="stored input cut to the leading singular vectors of its batch unfolding",
        implementation="ondevice_bench.methods.svd:Svd",
        treats=_LAYERS,
        options=rank_options(_ACTIVATIONS),
        one_of=rank_groups(_ACTIVATIONS),
        calibrates=True,
    ),
    MethodSpec(
        name="hosvd",
        title="stored input as a Tucker core and the leading singular vectors of every mode",
        implementation="ondevice_bench.methods.hosvd:Hosvd",
        treats=_LAYERS,
        options=rank_options(_ACTIVATIONS),
        one_of=rank_groups(_ACTIVATIONS),
        calibrates=True,
    ),
    MethodSpec(
        name="asi",
        title="stored input as a Tucker core, its bases from one subspace iteration a step",
        implementation="ondevice_bench.methods.asi:Asi",
        treats=_LAYERS,
        options=(*rank_options(_ACTIVATIONS), _SEQUENTIAL),
        one_of=rank_groups(_ACTIVATIONS),
        calibrates=True,
    ),
    MethodSpec(
        name="wsi",
        title="weight in two factors, updated by one subspace iteration a step",
        implementation="ondevice_bench.methods.wsi:Wsi",
        treats=_LAYERS,
        options=(*rank_options(_WEIGHTS), _UPDATE),
        one_of=rank_groups(_WEIGHTS),
        calibrates=True,
        own_update=_SUBSPACE,
    ),
    MethodSpec(
        name="wasi",
        title="weight in two factors, stored input as a Tucker core: one iteration a step for both",
        implementation="ondevice_bench.methods.wasi:Wasi",
        treats=_LAYERS,
        options=(*rank_options(_BOTH), _UPDATE, _SEQUENTIAL, _EVERY),
        one_of=rank_groups(_BOTH),
        calibrates=True,
        own_update=_SUBSPACE,
    ),
    MethodSpec(
        name="lora",
        title="weight frozen, a trained product of two thin matrices beside it",
        implementation="ondevice_bench.methods.lora:Lora",
        treats=_LAYERS,
        options=_PRODUCT,
    ),
    MethodSpec(
        name="bias_only",
        title="only biases, the shift of normalisations and the head train",
        implementation="ondevice_bench.methods.bias_only:BiasOnly",
        freezes=True,
    ),
    MethodSpec(
        name="lora_fa",
        title="weight frozen, a product of two thin matrices beside it, of which one trains",
        implementation="ondevice_bench.methods.lora_fa:LoraFa",
        treats=_LAYERS,
        options=_PRODUCT,
    ),
    MethodSpec(
        name="lance",
        title="stored input as a Tucker core, in fixed bases from a calibration batch",
        implementation="ondevice_bench.methods.lance:Lance",
        treats=_LAYERS,
        options=rank_options(_ACTIVATIONS),
        one_of=rank_groups(_ACTIVATIONS),
        calibrates=True,
        keeps_calibration=True,
    ),
    MethodSpec(
        name="wsi_svd",
        title="weight in two factors, from a truncated SVD of the updated weight at every step",
        implementation="ondevice_bench.methods.wsi_svd:WsiSvd",
        treats=_LAYERS,
        options=rank_options(_WEIGHTS),
        one_of=rank_groups(_WEIGHTS),
        calibrates=True,
        own_update="always",
    ),
    MethodSpec(
        name="lbp_wht",
        title="gradients of tokens on a grid and 1x1 convolutions in a few Walsh functions",
        implementation="ondevice_bench.methods.lbp_wht:LbpWht",
        treats=_LAYERS,
        options=(
            Option("patch", "height and width of a patch of places", 4, steps=(2, 4, 8)),
            Option(
                "order",
                "functions with fewer changes of sign than this are kept; 2 patch - 1 keeps all",
                2,
                minimum=1,
                maximum=15,
            ),
        ),
        needs_grid=True,
    ),
    MethodSpec(
        name="checkpoint",
        title="blocks or parts of them keep their input alone and run forward again in backward",
        implementation="ondevice_bench.methods.checkpoint:Checkpoint",
        exact=True,
        options=(
            Option(
                "scope",
                "whole blocks, their MLPs from the normalised input on, or norm and attention",
                "blocks",
                kind="choice",
                choices=("blocks", "mlp", "attention"),
            ),
        ),
        needs="scope",
    ),
    MethodSpec(
        name="microbatch",
        title="batch in slices, their gradients accumulated before one update",
        implementation="ondevice_bench.methods.microbatch:Microbatch",
        exact=True,
        options=(Option("slices", "number of slices", 2, minimum=1),),
    ),
    MethodSpec(
        name="saved_bf16",
        title="saved tensors packed to bfloat16 between forward and backward",
        implementation="ondevice_bench.methods.saved_bf16:SavedBf16",
        packs=True,
    ),
    MethodSpec(
        name="saved",
        title="saved tensors packed to a few bits, rounded at random in groups of 256",
        implementation="ondevice_bench.methods.saved_bits:SavedBits",
        options=(Option("bits", "bits of each number", 8, steps=(2, 4, 8)),),
        packs=True,
    ),
    MethodSpec(
        name="lean",
        title="ReLU, frozen batch-norm, max-pooling and dropout keep only what backward needs",
        implementation="ondevice_bench.methods.lean:Lean",
        exact=True,
    ),
    MethodSpec(
        name="fewbit",
        title="GELU, SiLU and other smooth functions keep the number of a step of their derivative",
        implementation="ondevice_bench.methods.few_bit:FewBit",
        options=(Option("bits", "bits of each number", 2, minimum=1, maximum=4),),
    ),
    # methods of the optimizer
    MethodSpec(
        name="update_in_backward",
        title="each parameter updated when its gradient is complete, and the gradient freed",
        implementation="ondevice_bench.methods.update_in_backward:UpdateInBackward",
        exact=True,
        updates_in_backward=True,
    ),
    MethodSpec(
        name="galore",
        title="gradients of linear layers projected for the optimizer, whose state is then small",
        implementation="ondevice_bench.methods.galore:GaLore",
        updates=frozenset({"linear"}),
        options=(
            Option("rank", "rank of the projected gradient", 64, minimum=1),
            Option("every", "steps between two bases", 200, minimum=1),
            Option("scale", "scale of the update", 0.25, kind="float", above=0),
        ),
    ),
)
