"""Turns the arguments of the command into what a search needs: memory limit, workload, checks."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from ondevice_bench import units
from ondevice_bench.data.classes import only_class
from ondevice_bench.errors import BadInput
from ondevice_bench.recommend.question import Question
from ondevice_bench.running.hosts.host import Host
from ondevice_bench.running.queries.described_suite import described
from ondevice_bench.running.queries.fit_request import memory_limit
from ondevice_bench.specs import registry
from ondevice_bench.specs.data import DataSource
from ondevice_bench.specs.inputs import OwnBatch, Tokens
from ondevice_bench.specs.layer_choice import parse
from ondevice_bench.suite.board import Board
from ondevice_bench.suite.from_flags import Words
from ondevice_bench.suite.matrix import choices, inputs_of
from ondevice_bench.suite.space import Space
from ondevice_bench.suite.suite import Suite
from ondevice_bench.units import GIB

# what data with several classes has
_CLASSES = {
    "folder": "CLASS/IMAGE for two classes",
    "texts": "lines LABEL<TAB>TEXT or files CLASS/*.txt of two classes",
    "npz": "`labels` with two numbers",
}


def memory_bytes(
    board: Board, cap: int | None, reserve: int | None, others: Collection[Board] = ()
) -> int:
    """The bytes that a process may allocate: the cap, or the board's memory minus the reserve."""
    if cap is None:
        return memory_limit(board, reserve, others).usable_bytes
    if board.memory_gib is not None and cap > board.memory_gib * GIB:
        raise BadInput(
            f"--memory-cap: {units.size(cap)} is more than {board.name} has, "
            f"{board.memory_gib:g} GiB"
        )
    return cap


def narrowed(space: Space, layers: Sequence[str], batches: Sequence[int]) -> Space:
    """The space with these layers and batches in place of its own, if any are given."""
    try:
        words = [word for text in layers for word in parse(text)]
    except ValueError as error:
        raise BadInput(f"--layers: {error}") from None
    if any(batch < 1 for batch in batches):
        raise BadInput(f"--batch: must be at least 1, got {min(batches)}")
    return replace(
        space,
        layers=tuple(dict.fromkeys(words)) or space.layers,
        batches=tuple(dict.fromkeys(batches)) or space.batches,
    )


@dataclass(frozen=True)
class Network:
    """The network and its data, as a suite names them."""

    model: str
    options: Sequence[str] = ()
    data: str | None = None
    weights: str | None = None

    def workload(self, host: Host, space: Space, question: Question) -> Suite:
        """The network as a suite without methods. A user's code is run to learn its inputs."""
        suite = Words(
            [self.model],
            options=self.options,
            batches=space.batches,
            data=self.data,
            weights=self.weights,
        ).suite()
        (choice,) = suite.models
        if (count := len(list(choices(choice)))) > 1:
            raise BadInput(f"--option: a search is for one network, got {count} by its options")
        suite = replace(suite, title=f"what to run for {self.model}")
        described(host, replace(suite, methods=space.methods))
        if suite.data.kind == "folder":  # a folder without classes is a mistake, whatever is asked
            _refuse_one_class(suite.data)
        if question.learns:
            _require_labels(suite, question)
            suite = replace(
                suite,
                measure=question.measure,
                seeds=tuple(range(question.seeds)),
                learning=replace(suite.learning, target=question.target),
            )
        elif len(space.frozen_parts) > 1:
            parts = " and ".join(space.frozen_parts)
            raise BadInput(
                f"{space.path}: layers: {parts} train different parts of the network, and less "
                "training is always cheaper: give --min-accuracy or --target, or one of them with "
                "--layers"
            )
        return suite


def _require_labels(suite: Suite, question: Question) -> None:
    option = "--target" if question.is_of_training else "--min-accuracy"
    (choice,) = suite.models
    spec = registry.model(choice.name)
    inputs = [inputs_of(spec, options) for options in choices(choice)]
    if any(isinstance(each, OwnBatch) for each in inputs):
        raise BadInput(
            f"{option}: the network has a batch function of its own, so there is nothing to "
            "test on: use --min-cosine"
        )
    if not suite.data.has_labels:
        raise BadInput(
            f"{option}: {suite.data.name} data has no labels to learn: give --data, such as "
            "folder:DIR"
        )
    if not any(isinstance(each, Tokens) and not each.classes for each in inputs):
        _refuse_one_class(suite.data)


def _refuse_one_class(data: DataSource) -> None:
    """Refuse data of one class: a network that knows one answer is always right."""
    name = only_class(data)
    if name is not None and data.path is not None:
        raise BadInput(
            f"--data {data.kind}:{data.path.name}: has one class, {name!r}: there is nothing to "
            f"learn; it needs {_CLASSES[data.kind]} or more"
        )
