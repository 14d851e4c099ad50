"""The options that set ranks, for every method that has ranks.

A method may have ranks for activations (its stored input), for weights, or for both.
"""

from collections.abc import Collection

from ondevice_bench.specs import trained
from ondevice_bench.specs.option import Beside, Group, OneOf, Option

ACTIVATION, WEIGHT = "activation", "weight"
MULTIPLE, LEAST = "multiple", "least"


def _share(name: str, help_text: str) -> Option:
    return Option(name, help_text, None, kind="float", above=0, maximum=1)


_RULES = (
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
        "memory for the stored activations of all changed layers together",
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
_LEAST = Option(
    LEAST, "if no ranks are within the budget, take the least possible", None, kind="bool"
)
_WEIGHT_RULES = (
    Option(
        "weight_rank", "rank of the weights, instead of the rule for activations", None, minimum=1
    ),
    _share("weight_epsilon", "share of the weights' energy, instead of the rule for activations"),
)
_ROUNDING = Option(
    MULTIPLE, "round each rank above this number up to a multiple of it", None, minimum=2
)


def rank_options(ranked: Collection[str]) -> tuple[Option, ...]:
    """The options of a method that has ranks for `activation`, for `weight`, or for both."""
    if not ranked:
        return ()
    budgets = (*_BUDGET_RULES, _LEAST) if ACTIVATION in ranked else ()
    weights = _WEIGHT_RULES if {ACTIVATION, WEIGHT} <= set(ranked) else ()
    return (*_RULES, *budgets, *weights, _ROUNDING)


def rank_groups(ranked: Collection[str]) -> tuple[Group, ...]:
    """The groups of these options that exclude or need each other."""
    weight = tuple(option.name for option in _WEIGHT_RULES)
    rules = (option for option in rank_options(ranked) if option not in (_ROUNDING, _LEAST))
    names = tuple(option.name for option in rules)
    groups = (
        OneOf(tuple(name for name in names if name not in weight), required=True),
        OneOf(tuple(name for name in names if name in weight), required=False),
    )
    least = (Beside(LEAST, tuple(option.name for option in _BUDGET_RULES)),)
    return (
        *(group for group in groups if group.names),
        *(least if ACTIVATION in ranked else ()),
    )
