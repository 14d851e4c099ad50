"""Keys of a suite's own file that would change nothing. Inherited ones may be of no use."""

from collections.abc import Iterator, Mapping

from ondevice_bench.declare.document import Document, KeyPath, Plain
from ondevice_bench.declare.folders import declared
from ondevice_bench.declare.inherit import read_resolved
from ondevice_bench.errors import BadInput
from ondevice_bench.passes import LEARNING
from ondevice_bench.suite.compose import OVERRIDES
from ondevice_bench.suite.suite import Suite


def require_effect(document: Document, suite: Suite) -> None:
    """BadInput for each key of the file that no board uses."""
    problems = [
        *_useless(document, (), document.values, (suite, *suite.variants.values())),
        *_of_other_boards(document, suite),
    ]
    overrides = document.values.get(OVERRIDES)
    for board, variant in suite.variants.items():
        values = overrides[board] if isinstance(overrides, dict) else None
        if isinstance(values, dict):
            problems += _useless(document, (OVERRIDES, board), values, (variant,))
    if problems:
        raise BadInput(*problems)


def _useless(
    document: Document, at: KeyPath, values: Mapping[str, Plain], suites: tuple[Suite, ...]
) -> Iterator[str]:
    """The keys at this place that none of the suites uses."""
    own = {key for key in values if document.place((*at, key)).path == document.path}
    if "learning" in own and not any(LEARNING in suite.measure for suite in suites):
        yield (
            f"{_place(document, (*at, 'learning'))}: has no effect, because the pass `learning` "
            "is not in `measure`"
        )
    baseline = values.get("baseline")
    methods = dict.fromkeys(method.name for suite in suites for method in suite.methods)
    if "baseline" in own and baseline not in methods:
        yield (
            f"{_place(document, (*at, 'baseline'))}: none of the suite's methods is {baseline!r} "
            f"(methods: {', '.join(methods)})"
        )


def _of_other_boards(document: Document, suite: Suite) -> Iterator[str]:
    """The overrides for boards that are none of the suite's."""
    for board in suite.variants if suite.hardware else ():
        at = (OVERRIDES, board)
        if document.place(at).path == document.path and not _is_for(suite, board):
            boards = ", ".join(suite.hardware)
            yield f"{_place(document, at)}: the suite is not for this board (hardware: {boards})"


def _is_for(suite: Suite, board: str) -> bool:
    """Whether a board of the suite has this name, or extends it, or is extended by it."""
    named = set(suite.hardware)
    return bool(named & {board, *_extended(board)}) or any(
        board in _extended(name) for name in named
    )


def _extended(profile: str) -> list[str]:
    """The profiles that this one extends."""
    _, *bases = read_resolved("hardware", declared("hardware")[profile])
    return [base.path.stem for base in bases]


def _place(document: Document, at: KeyPath) -> str:
    return f"{document.place(at)}: {'.'.join(map(str, at))}"
