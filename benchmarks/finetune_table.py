"""Print what a stored run of `finetune` says about accuracy, for docs/findings.md.

    bench run finetune && bench baseline save finetune finetune
    mv baselines/finetune.json docs/findings/
    python benchmarks/finetune_table.py docs/findings/finetune.json

Behind each figure stands its reference, so that tests/test_findings.py computes it again.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from ondevice_bench import units
from ondevice_bench.analyse.kept_accuracy import MethodAccuracy, kept_accuracy
from ondevice_bench.analyse.summarise import summarise_content
from ondevice_bench.record import baseline
from ondevice_bench.report.accuracy_sentences import accuracy_sentences, percent, points
from ondevice_bench.stats import Estimate

TITLES = ("", "accuracy", "points above vanilla", "kept?", "training", "time to the target")
_SECONDS = ("training_seconds", "time_to_accuracy_seconds")


def page(path: Path) -> str:
    """The table, and the sentences of the report as a comment to write from."""
    found = kept_accuracy(summarise_content(baseline.read(path)))
    lines = [_row(*TITLES), _row(*["---"] * len(TITLES))]
    lines += [_line(path.stem, one) for one in found]
    said = accuracy_sentences(found, "vanilla")
    return "\n".join([*lines, "", *(f"`{sentence}`" for sentence in said), ""])


def _line(name: str, one: MethodAccuracy) -> str:
    cells, estimates = one.line.id, one.line.estimates

    def over_seeds(metric: str, form: str, text: Callable[[float], str]) -> str:
        if metric not in estimates:
            return "–"
        reference = f"<!-- {name} :: over seeds :: {cells} :: {metric} as {form} -->"
        return f"{_text(estimates[metric], text)}{reference}"

    difference = "–"
    if one.difference is not None:
        reference = f"<!-- {name} :: against vanilla :: {cells} as points -->"
        difference = f"{_text(one.difference, points)}{reference}"
    return _row(
        one.label,
        over_seeds("final_accuracy", "share", percent),
        difference,
        one.verdict,
        *(over_seeds(metric, "seconds", units.seconds) for metric in _SECONDS),
    )


def _text(found: Estimate, shown: Callable[[float], str]) -> str:
    if found.lower is None and found.upper is None:
        return f"{shown(found.estimate)} (no interval)"
    lower, upper = ("?" if each is None else shown(each) for each in (found.lower, found.upper))
    return f"{shown(found.estimate)} ({lower} … {upper})"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print(page(Path(sys.argv[1])))
