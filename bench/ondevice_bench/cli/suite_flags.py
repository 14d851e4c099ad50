"""The arguments that name a suite, or describe one without a file. `run` and `plan` share them."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec, TypeVar

import typer

from ondevice_bench.cli import names
from ondevice_bench.cli.arguments import Filters, SuitesFolder
from ondevice_bench.errors import BadInput
from ondevice_bench.terminal import print_errors

if TYPE_CHECKING:
    from ondevice_bench.running.hosts.host import Host
    from ondevice_bench.suite.from_flags import Words
    from ondevice_bench.suite.suite import Suite

P = ParamSpec("P")
T = TypeVar("T")
# the flags that may be repeated, and so are not named as their fields
_FLAGS = {"methods": "--method", "options": "--option", "allocators": "--allocator"}


@dataclass(frozen=True)
class SuiteFlags:
    """A suite by name or file, or a model, methods and options in its place."""

    suite: Annotated[
        str | None,
        typer.Argument(
            help="A suite's name, or the path of its YAML file.", autocompletion=names.suites
        ),
    ] = None
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help="A model instead of a suite: a name, or ./mynet.py:net.",
            autocompletion=names.models,
        ),
    ] = None
    methods: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            help="With --model: a method (default: vanilla, plain training), or methods by layer: "
            "last:4=lora,all=lean.",
            autocompletion=names.methods,
        ),
    ] = None
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--option", metavar="NAME=VALUE", help="With --model: an option of a method or model."
        ),
    ] = None
    rank: Annotated[
        list[str] | None, typer.Option("--rank", help="With --model: the ranks, as numbers.")
    ] = None
    epsilon: Annotated[
        list[str] | None,
        typer.Option(
            "--epsilon", help="With --model: the ranks, by the share of energy that they keep."
        ),
    ] = None
    fraction: Annotated[
        list[str] | None,
        typer.Option(
            "--fraction",
            help="With --model: the ranks, as a share of the largest (default: 1/8).",
        ),
    ] = None
    layers: Annotated[
        list[str] | None,
        typer.Option(
            "--layers", help="With --model: the layers that the method changes: all, mlp, last:4, …"
        ),
    ] = None
    batch: Annotated[
        list[int] | None, typer.Option("--batch", help="With --model: the batch size.")
    ] = None
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            help="With --model: the source of the batches: digits, folder:DIR, npz:FILE, …",
        ),
    ] = None
    weights: Annotated[
        str | None,
        typer.Option("--weights", help="With --model: random, pretrained, or a file of weights."),
    ] = None
    allocators: Annotated[
        list[str] | None,
        typer.Option(
            "--allocator",
            help="With --model: a memory allocator, such as tcmalloc.",
            autocompletion=names.allocators,
        ),
    ] = None
    suites: SuitesFolder = None
    filters: Filters = None

    def load(self, host: "Host") -> "Suite":
        """The suite. A process asks the user's own models for their inputs."""
        from ondevice_bench.running.queries.described_suite import described
        from ondevice_bench.suite.from_flags import ASSUMED, with_a_rank_rule
        from ondevice_bench.suite.load import load_suite

        given = self._words()
        if (self.suite is None) == (given is None):
            raise BadInput("name a suite, or describe one with --model (see `bench run --help`)")
        if given is None:
            return described(host, load_suite(str(self.suite), self.suites))
        words = with_a_rank_rule(given)
        suite = described(host, words.suite())
        if words != given:
            print_errors(ASSUMED)
        return suite

    def _words(self) -> "Words | None":
        """The words that describe a suite; None if a suite is named."""
        ranks = {"rank": self.rank, "epsilon": self.epsilon, "fraction": self.fraction}
        if not self.models:
            by_name = SuiteFlags(self.suite, self.models, suites=self.suites, filters=self.filters)
            given = [
                _FLAGS.get(field.name, f"--{field.name}")
                for field in fields(SuiteFlags)
                if getattr(self, field.name) != getattr(by_name, field.name)
            ]
            if given:
                raise BadInput(
                    f"{' and '.join(given)}: only with --model; a suite has this in its file"
                )
            return None
        from ondevice_bench.suite.from_flags import Words

        return Words(
            models=self.models,
            methods=self.methods or (),
            options=self.options or (),
            ranks={rule: values or () for rule, values in ranks.items()},
            layers=self.layers or (),
            batches=self.batch or (),
            data=self.data,
            weights=self.weights,
            allocators=self.allocators or (),
        )


def with_suite_flags(verb: Callable[Concatenate[SuiteFlags, P], T]) -> Callable[..., T]:
    """Give the verb an argument for each field of `SuiteFlags`. The verb gets the record first."""
    shared = fields(SuiteFlags)
    _, *own = inspect.signature(verb).parameters.values()

    @functools.wraps(verb)
    def call(**arguments: Any) -> T:
        flags = SuiteFlags(**{field.name: arguments.pop(field.name) for field in shared})
        return verb(flags, **arguments)  # type: ignore[call-arg]  # P has only names

    parameters = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=field.type,
        )
        for field in shared
    ]
    parameters += [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads it
    return call
