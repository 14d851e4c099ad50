"""Why a metric of a cell has no estimate."""

from collections.abc import Collection, Mapping, Sequence
from sys import intern

from ondevice_bench import metrics
from ondevice_bench.analyse.process_notes import process_of
from ondevice_bench.passes import CALIBRATE, IN_SUITES
from ondevice_bench.record.measurement import Measurement
from ondevice_bench.record.model import Run

MIXED_LAUNCHES = "some processes were forked and others spawned, so their values are not combined"
MIXED_METERS = "its processes used different meters, so their values are not combined"
EMULATED = "measured under emulation, which does not show a board's time or memory"


def missing_metrics(
    run: Run, records: Sequence[Measurement], exclusions: Mapping[str, str], known: Collection[str]
) -> dict[str, str]:
    """The reason for each metric that has no estimate."""
    by_pass: dict[str, list[Measurement]] = {}
    for record in records:
        by_pass.setdefault(record.key.pass_name, []).append(record)
    reasons = {
        name: exclusions.get(name) or _why(run, metric, by_pass.get(metric.pass_name, ()))
        for name, metric in metrics.BY_NAME.items()
        if name not in known
    }
    return {name: intern(reason) for name, reason in reasons.items()}  # thousands are equal


def was_not_run(pass_name: str) -> str:
    """The reason for the metrics of a pass that the run was not asked for."""
    if pass_name not in IN_SUITES:  # `measure` cannot name it
        return f"the pass `{pass_name}` was not run: it is not part of a suite"
    return f"the pass `{pass_name}` was not run (add `measure: +{pass_name}`)"


def _why(run: Run, metric: metrics.Metric, of_pass: Sequence[Measurement]) -> str:
    """Why a metric has no estimate, by the records of its pass."""
    pass_name = metric.pass_name
    if pass_name == CALIBRATE and not of_pass:
        return "the method has no ranks to choose"
    if pass_name not in (CALIBRATE, *run.settings["measure"]):
        return was_not_run(pass_name)
    reasons = [r.unavailable[metric.name] for r in of_pass if metric.name in r.unavailable]
    failures = [f"{process_of(r)}: {r.status}: {r.reason}" for r in of_pass if r.status != "ok"]
    if any(record.status == "ok" for record in of_pass) and not reasons:
        version = run.software.get("bench", "of an unknown version")
        return f"the {pass_name} pass of bench {version}, which made this run, did not measure it"
    return "; ".join([*reasons, *failures]) or f"the {pass_name} pass has not run yet"
