"""What a board does besides a step, in the terminal: sentences for each cell."""

from ondevice_bench.analyse.groups import groups
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.report.beside_step import beside_step
from ondevice_bench.report.endurance import endurance


def board_lines(summary: RunSummary) -> list[str]:
    """What training without pause, loading and latency show; nothing for a run without them."""
    found = groups(summary)
    lines: list[str] = []
    for group in found:
        where = f" on {group.title}" if len(found) > 1 else ""
        for member in group.members:
            label = f"{member.label}{where}"
            lines += [endurance(member.cell, label), *beside_step(member.cell, label)]
    return [line for line in lines if line]
