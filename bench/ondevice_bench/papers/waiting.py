"""What a claim without a final verdict waits for, and the command that decides it. Pure."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from ondevice_bench.papers.accounts import can_be_accounted
from ondevice_bench.papers.claims import JudgedClaim
from ondevice_bench.papers.published import Claim
from ondevice_bench.specs import data, weights

MEASUREMENT = "a measurement"


@dataclass(frozen=True)
class Waiting:
    """What is missing, and a command; `is_decided` if this command decides the claim.

    `in_short` is the same for all networks and data, for a summary.
    """

    missing: str
    command: str = ""
    is_decided: bool = False
    in_short: str = ""


def waiting(judged: JudgedClaim) -> Waiting | None:
    """What the claim waits for; None if it has its final verdict."""
    if judged.verdict not in ("not testable here", "reproduced as accounted, not measured yet"):
        return None
    claim = judged.claim
    obstacle = _obstacle(claim)
    if obstacle:
        return Waiting(obstacle, claim.command)
    missing = [
        *([f"pretrained weights of {claim.query.model}"] if needs_weights(claim) else ()),
        *([f"the data of {claim.query.data}"] if needs_data(claim) else _any_data(claim)),
        *([f"a run on {' or '.join(_kinds(claim.boards))}"] if claim.boards else ()),
    ]
    own = claim.command or command(claim)
    if claim.epochs is not None:
        epochs = f"a training of {claim.epochs} epochs (the command runs a short one)"
        in_short = f"trainings of {claim.epochs} epochs with your weights and data"
        return Waiting(_listed([*missing, epochs]), own, in_short=in_short)
    if not missing:
        missing = ["a more precise measurement" if _is_measured(judged) else MEASUREMENT]
    return Waiting(_listed(missing), own, is_decided=True)


def is_measurable(judged: JudgedClaim) -> bool:
    """Whether the claim waits for a run that can be made here, perhaps with the user's files."""
    return waiting(judged) is not None and not _obstacle(judged.claim)


def _obstacle(claim: Claim) -> str:
    """Why no run of a cell decides the claim; empty if one can."""
    if claim.untestable or claim.value is None:
        return claim.untestable or "the claim has no number"
    if claim.query.model is None or claim.query.method is None:
        return "the claim does not name its network and its method"
    if claim.computed == "accounted" and not can_be_accounted(claim):
        against = f" against {claim.ratio_of}" if claim.ratio_of else ""
        return f"formulas for {claim.query.method}{against}"
    return ""


def needs_weights(claim: Claim) -> bool:
    """Whether the claim is about trained weights, which the user gives."""
    return claim.query.weights == weights.PRETRAINED


def needs_data(claim: Claim) -> bool:
    """Whether the claim names a data set that the user gives."""
    return claim.query.data is not None and claim.query.data not in data.WORDS


def _any_data(claim: Claim) -> list[str]:
    """The data that the claim's own command asks for, if the paper does not name any."""
    return [f"data such as {name}" for name in re.findall(r"--data (\w+):", claim.command)]


def command(claim: Claim) -> str:
    """The command that measures what the claim needs. The user replaces each `PATH`."""
    words = ["bench claims", *_file(claim), f"--paper {claim.paper}"]
    given = [
        *([f"--weights {claim.query.model}=PATH"] if needs_weights(claim) else ()),
        *([f"--data {claim.query.data}:PATH"] if needs_data(claim) else ()),
    ]
    return " ".join([*words, *(given or ["--run"])])


def _file(claim: Claim) -> list[str]:
    return [f"--claims {shlex.quote(claim.origin)}"] if claim.origin else []


def _is_measured(judged: JudgedClaim) -> bool:
    first = judged.claim.measured[:1]
    return any(not one.differs and (one.metric,) == first for one in judged.measured)


def _kinds(boards: Sequence[str]) -> list[str]:
    """The boards without those that are a kind of another: pi5-4gb is a pi5."""
    return [board for board in boards if not any(board.startswith(f"{other}-") for other in boards)]


def _listed(words: Sequence[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last
