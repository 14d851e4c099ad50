"""Claims of papers about a Raspberry Pi, as long as none has measured them."""

from collections.abc import Iterable
from dataclasses import replace

from ondevice_bench.papers.claims import JudgedClaim
from ondevice_bench.validation.pi import NOT_MEASURED, first_pi, is_of_a_pi


def with_what_is_not_measured(judged: Iterable[JudgedClaim]) -> tuple[JudgedClaim, ...]:
    """The claims. Each about a Pi says that no Pi has measured it, until one was validated."""
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
