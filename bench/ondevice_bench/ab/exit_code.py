"""The exit code of `bench ab`."""

from collections.abc import Collection, Sequence

from ondevice_bench.analyse.cell_pair import CellPair
from ondevice_bench.errors import ExitCode


def exit_code(
    pairs: Sequence[CellPair],
    only_in: tuple[Collection[str], Collection[str]],
    fail_on: Collection[str],
) -> ExitCode:
    """The exit code for the pairs and for the cells of one side. A new cell is no reason to fail.

    A comparison that measured nothing ends with 0 only if all cells are new.
    """
    gone, added = only_in
    verdicts: set[str] = set().union(*(pair.verdicts for pair in pairs))
    if "regressed" in verdicts and "regressed" in fail_on:
        return ExitCode.REGRESSION
    if "failed" in verdicts:
        return ExitCode.CELL_FAILED
    if not gone and all(pair.is_skipped for pair in pairs):
        return ExitCode.OK if added and not pairs else ExitCode.NOTHING_RAN
    is_unclear = "inconclusive" in verdicts and "inconclusive" in fail_on
    has_lost = bool(gone) or "missing" in verdicts
    if has_lost or is_unclear or not any(pair.base for pair in pairs):
        return ExitCode.INCONCLUSIVE
    return ExitCode.OK
