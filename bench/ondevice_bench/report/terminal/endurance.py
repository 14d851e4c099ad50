"""Trainings without pause in the terminal: a sentence for each cell."""

from ondevice_bench.analyse.groups import groups
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.report.endurance import endurance


def endurance_lines(summary: RunSummary) -> list[str]:
    """What each training without pause shows; with its workload if there are several."""
    found = groups(summary)
    sentences = (
        endurance(member.cell, f"{member.label}{f' on {group.title}' * (len(found) > 1)}")
        for group in found
        for member in group.members
    )
    return [sentence for sentence in sentences if sentence]
