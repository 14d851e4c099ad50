"""Claims of papers about a Raspberry Pi: a note says that no validated Pi has measured them yet."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ondevice_bench.papers.claims import JudgedClaim
from ondevice_bench.validation.pi import (
    NOT_MEASURED,
    PI,
    Validation,
    are_validated,
    is_of_a_pi,
    validated_pis,
)


def with_what_is_not_measured(judged: Iterable[JudgedClaim]) -> tuple[JudgedClaim, ...]:
    """The claims. One about a Pi says so as long as no validated Pi has measured it."""
    found = tuple(judged)
    about = {each.claim.id for each in found if any(map(is_of_a_pi, each.claim.boards))}
    pis = validated_pis() if about else ()
    return tuple(
        _with_note(each, _note(each, pis)) if each.claim.id in about else each for each in found
    )


def _note(judged: JudgedClaim, pis: Sequence[Validation]) -> str:
    """What a reader must know of the numbers; empty if a validated Pi has measured one."""
    on_a_pi = [one for one in judged.measured if not one.differs]
    if not on_a_pi:
        return f"{NOT_MEASURED[0].lower()}{NOT_MEASURED[1:]}"
    if any(are_validated(one.units, pis) for one in on_a_pi):
        return ""
    return f"no {PI} that is known to be validated has measured this yet"


def _with_note(judged: JudgedClaim, note: str) -> JudgedClaim:
    if not note:
        return judged
    return replace(judged, claim=replace(judged.claim, says=f"{judged.claim.says} ({note})"))
