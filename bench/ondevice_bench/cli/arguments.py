"""The arguments that verbs share, and what they stand for."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ondevice_bench.errors import BadInput, unknown
from ondevice_bench.units import parse_bytes, parse_duration

if TYPE_CHECKING:
    from ondevice_bench.suite.from_flags import Words
    from ondevice_bench.suite.suite import Suite

FAILING = ("regressed", "inconclusive")

SuiteName = Annotated[
    str | None, typer.Argument(help="A suite's name, or the path of its YAML file.")
]
ModelNames = Annotated[
    list[str] | None,
    typer.Option("--model", help="A model instead of a suite: a name, or ./mynet.py:net."),
]
MethodNames = Annotated[
    list[str] | None, typer.Option("--method", help="With --model: a method (default: vanilla).")
]
OptionWords = Annotated[
    list[str] | None,
    typer.Option(
        "--option", metavar="NAME=VALUE", help="With --model: an option of a method or model."
    ),
]
RankWords = Annotated[list[str] | None, typer.Option("--rank", help="With --model: the ranks.")]
EpsilonWords = Annotated[
    list[str] | None, typer.Option("--epsilon", help="With --model: share of energy for ranks.")
]
FractionWords = Annotated[
    list[str] | None, typer.Option("--fraction", help="With --model: share of the largest ranks.")
]
LayerWords = Annotated[
    list[str] | None, typer.Option("--layers", help="With --model: the layers to treat.")
]
BatchSizes = Annotated[list[int] | None, typer.Option("--batch", help="With --model: batch size.")]
DataName = Annotated[str | None, typer.Option("--data", help="With --model: what batches hold.")]
WeightsName = Annotated[
    str | None, typer.Option("--weights", help="With --model: random, pretrained, or a file.")
]
SuitesFolder = Annotated[
    Path | None, typer.Option("--suites", help="A folder of suites to look in first.")
]
Hardware = Annotated[
    str | None, typer.Option("--hardware", help="The hardware profile, instead of recognising it.")
]
Filters = Annotated[
    list[str] | None,
    typer.Option("--filter", help="Only cells whose id matches: a glob, or a word in the id."),
]
Sysroot = Annotated[
    Path | None,
    typer.Option("--sysroot", help="Look at the files below this folder, as another machine's."),
]
MemoryCap = Annotated[
    str | None,
    typer.Option("--memory-cap", metavar="SIZE", help="What each worker may allocate: 2G, 512M."),
]
FailOn = Annotated[
    str,
    typer.Option(metavar="WHAT", help="What ends in exit code 4 or 5: regressed, inconclusive."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def words_of(
    models: list[str] | None,
    methods: list[str] | None,
    options: list[str] | None,
    rank: list[str] | None,
    epsilon: list[str] | None,
    fraction: list[str] | None,
    layers: list[str] | None,
    batch: list[int] | None,
    data: str | None,
    weights: str | None,
) -> "Words | None":
    """What was said in the place of a suite; None where a suite was named."""
    others = (methods, options, rank, epsilon, fraction, layers, batch, data, weights)
    if not models:
        if any(other is not None for other in others):
            raise BadInput("--method, --option, --rank and the like go with --model, not a suite")
        return None
    from ondevice_bench.suite.from_flags import Words

    return Words(
        models=models,
        methods=methods or (),
        options=options or (),
        ranks={"rank": rank or (), "epsilon": epsilon or (), "fraction": fraction or ()},
        layers=layers or (),
        batches=batch or (),
        data=data,
        weights=weights,
    )


def one_model(
    model: str,
    options: list[str] | None,
    batch: int | None,
    data: str | None = None,
    weights: str | None = None,
) -> "Words":
    """A model alone, as `bench show` takes it."""
    from ondevice_bench.suite.from_flags import Words

    sizes = () if batch is None else (batch,)
    return Words([model], options=options or (), batches=sizes, data=data, weights=weights)


def suite_of(name: str | None, folder: Path | None, words: "Words | None") -> "Suite":
    """The suite that is named or said, and what its own models say of themselves."""
    from ondevice_bench.run.queries.user_models import describe
    from ondevice_bench.suite.load import load_suite

    if (name is None) == (words is None):
        raise BadInput("name a suite, or say one with --model (see `bench run --help`)")
    suite = words.suite() if words is not None else load_suite(str(name), folder)
    for each in (suite, *suite.variants.values()):
        describe(each)
    return suite


def seconds_of(option: str, text: str) -> float:
    """The seconds that an option says."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise BadInput(f"{option}: {error}") from None


def size_of(option: str, text: str) -> int:
    """The bytes that an option says."""
    try:
        return parse_bytes(text)
    except ValueError as error:
        raise BadInput(f"{option}: {error}") from None


def failing(text: str) -> frozenset[str]:
    """What `--fail-on` says, of what it may say."""
    words = frozenset(word.strip() for word in text.split(",") if word.strip())
    for word in sorted(words - set(FAILING)):
        raise BadInput(f"--fail-on: {unknown('verdict', word, FAILING)}")
    return words
