"""Claims of papers about a Raspberry Pi: a note says that no Pi has measured them yet."""

from collections.abc import Iterable
from dataclasses import replace

from ondevice_bench.papers.claims import JudgedClaim
from ondevice_bench.validation.pi import NOT_MEASURED, first_pi, is_of_a_pi


def with_what_is_not_measured(judged: Iterable[JudgedClaim]) -> tuple[JudgedClaim, ...]:
    """The claims. Without a validated Pi, a claim about one says that none has measured it."""
    found = tuple(judged)
    about = {each.claim.id for each in found if any(map(is_of_a_pi, each.claim.boards))}
    if not about or first_pi() is not None:
        return found
    words = f"{NOT_MEASURED[0].lower()}{NOT_MEASURED[1:]}"
    return tuple(
        replace(each, claim=replace(each.claim, says=f"{each.claim.says} ({words})"))
        if each.claim.id in about and all(one.differs for one in each.measured)
        else each
        for each in found
    )
