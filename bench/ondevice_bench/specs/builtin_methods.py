"""The methods that this distribution brings: one entry each is their registration."""

from ondevice_bench.specs import trained
from ondevice_bench.specs.method import MethodSpec, OneOf
from ondevice_bench.specs.option import Option


def _share(name: str, help_text: str) -> Option:
    return Option(name, help_text, None, kind="float", above=0, maximum=1)


_RANK_RULES = (
    Option(
        "rank", "one rank for every mode, or one for each: 8x16x32", None, kind="rank", minimum=1
    ),
    _share("epsilon", "share of the energy that the ranks must hold"),
    _share("fraction", "share of the largest rank that a mode allows"),
    Option(
        trained.RULE,
        "ranks that hold this share of energy in trained weights, from a table of the model",
        None,
        kind="float",
        steps=trained.EPSILONS,
    ),
)
_BUDGET_RULES = (
    Option(
        "budget_mib",
        "memory for the stored activations of all treated layers together",
        None,
        kind="float",
        above=0,
    ),
    Option(
        "perplexity",
        "bound on the sum of weight-gradient errors",
        None,
        kind="float",
        above=0,
    ),
)
_WEIGHT_RULES = (
    Option(
        "weight_rank", "rank of the weights, instead of the rule for activations", None, minimum=1
    ),
    _share("weight_epsilon", "share of the weights' energy, instead of the rule for activations"),
)
_UPDATE = Option(
    "update",
    "how the factors are trained: one subspace iteration a step, or as ordinary parameters",
    "subspace",
    kind="choice",
    choices=("subspace", "factors"),
)
_SEQUENTIAL = Option(
    "sequential",
    "project mode by mode, so that later modes work on a smaller tensor",
    False,
    kind="bool",
)
_LAYERS = frozenset({"conv2d", "linear"})


def _names(options: tuple[Option, ...]) -> tuple[str, ...]:
    return tuple(option.name for option in options)


# rules that look at data or weights: their ranks mean nothing without saying which
BY_CONTENT = ("epsilon", "weight_epsilon", "budget_mib", "perplexity")
_ACTIVATION_RULES = (*_RANK_RULES, *_BUDGET_RULES)
_ONE_RULE = OneOf(_names(_ACTIVATION_RULES), required=True)

METHODS = (
    MethodSpec(
        name="vanilla",
        title="ordinary training: every activation is stored exactly",
        implementation="ondevice_bench.methods.vanilla:Vanilla",
        exact=True,
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
        options=_ACTIVATION_RULES,
        one_of=(_ONE_RULE,),
        calibrates=True,
    ),
    MethodSpec(
        name="hosvd",
        title="stored input as a Tucker core and the leading singular vectors of every mode",
        implementation="ondevice_bench.methods.hosvd:Hosvd",
        treats=_LAYERS,
        options=_ACTIVATION_RULES,
        one_of=(_ONE_RULE,),
        calibrates=True,
    ),
    MethodSpec(
        name="asi",
        title="as hosvd, each basis from one warm-started subspace iteration a step",
        implementation="ondevice_bench.methods.asi:Asi",
        treats=_LAYERS,
        options=(*_ACTIVATION_RULES, _SEQUENTIAL),
        one_of=(_ONE_RULE,),
        calibrates=True,
    ),
    MethodSpec(
        name="wsi",
        title="weight in two factors, updated by one subspace iteration a step",
        implementation="ondevice_bench.methods.wsi:Wsi",
        treats=_LAYERS,
        options=(*_RANK_RULES, _UPDATE),
        one_of=(OneOf(_names(_RANK_RULES), required=True),),
        calibrates=True,
    ),
    MethodSpec(
        name="wasi",
        title="weight as in wsi and stored input as in asi",
        implementation="ondevice_bench.methods.wasi:Wasi",
        treats=_LAYERS,
        options=(*_ACTIVATION_RULES, *_WEIGHT_RULES, _UPDATE, _SEQUENTIAL),
        one_of=(_ONE_RULE, OneOf(_names(_WEIGHT_RULES), required=False)),
        calibrates=True,
    ),
    MethodSpec(
        name="lora",
        title="weight frozen, a trained product of two thin matrices beside it",
        implementation="ondevice_bench.methods.lora:Lora",
        treats=_LAYERS,
        options=(
            Option("rank", "rank of the product", 8, minimum=1),
            Option(
                "alpha", "scale of the product, divided by the rank", 16.0, kind="float", above=0
            ),
        ),
    ),
    MethodSpec(
        name="checkpoint",
        title="blocks keep their input alone and run forward again in backward",
        implementation="ondevice_bench.methods.checkpoint:Checkpoint",
        exact=True,
        options=(
            Option(
                "scope",
                "whole blocks, or their MLPs from the normalised input on",
                "blocks",
                kind="choice",
                choices=("blocks", "mlp"),
            ),
        ),
        needs="blocks",
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
    ),
)
