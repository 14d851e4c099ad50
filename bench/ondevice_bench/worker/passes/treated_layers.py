"""The pass of treated layers: the time inside the layers that `layers` chooses, step by step.

All chosen layers count, also those that the method leaves as they are. So the times of a method
and of plain training are those of the same layers.
"""

from statistics import median

from ondevice_bench.measure.layer_clock import LayerClock, time_layers, time_layers_of_inference
from ondevice_bench.methods.treatment import Treatment
from ondevice_bench.metrics import of_pass
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.suite.cell import without_hash
from ondevice_bench.suite.labels import PLAIN
from ondevice_bench.worker.workload import build

CLOCK_TOLERANCE = 0.05  # the share of a step that goes without a note
_WHOLE, _FORWARD, _BACKWARD, _INFERENCE = (
    f"treated_layers_{part}seconds" for part in ("", "forward_", "backward_", "inference_")
)
_OVERLAP = (
    "a layer ran inside the time of another: its forward runs again in backward, so the times "
    "cannot be told apart"
)


def measure(job: Job) -> PassResult:
    """Time the chosen layers in whole training steps, and in inference."""
    workload = build(job)
    treatment = workload.treatment
    if job.cell.method != PLAIN and not treatment.layer_methods():
        name = without_hash(job.cell.method)
        return _unavailable(job, f"{name} replaces no layer, so no layers are its own")
    workload.step()
    layer_clock = LayerClock()
    layers = [treatment.module.get_submodule(name) for name in treatment.chosen]
    timed = time_layers(workload, layers, job.sampling, layer_clock)
    if layer_clock.overlaps:
        return _unavailable(job, _OVERLAP)
    if not layer_clock.calls:
        return _unavailable(job, "the network calls none of the chosen layers")
    with workload.evaluating():
        inference = time_layers_of_inference(workload, layers, job.sampling, layer_clock)
    samples = {
        _WHOLE: [each.seconds for each in timed.samples],
        _FORWARD: [each.forward_seconds for each in timed.samples],
        _BACKWARD: [each.backward_seconds for each in timed.samples],
        _INFERENCE: [each.seconds for each in inference.samples],
    }
    step, clock = (
        median(getattr(each, name) for each in timed.samples)
        for name in ("step_seconds", "clock_seconds")
    )
    return PassResult(
        metrics={name: median(values) for name, values in samples.items()},
        samples=samples,
        details={
            "timed_layers": list(treatment.chosen),
            "step_seconds": step,
            "clock_seconds": clock,
            "warmup": {
                _WHOLE: [each.seconds for each in timed.warmups],
                _INFERENCE: [each.seconds for each in inference.warmups],
            },
            "disturbed": {
                _WHOLE: [each.seconds for each in timed.disturbed],
                _INFERENCE: [each.seconds for each in inference.disturbed],
            },
            "foreign_cpu_share": timed.foreign_share,
            "precision": timed.precision(job.sampling),
            "notes": [
                *treatment.notes(),
                *_unchanged(treatment),
                *_slow_clock(clock / step),
                *(timed.notes or inference.notes),
            ],
        },
    )


def _unchanged(treatment: Treatment) -> list[str]:
    """A note if the method leaves chosen layers as they are: their time counts, too."""
    names = [name for name in treatment.chosen if name in treatment.refusals]
    if not names:
        return []
    count = f"{len(names)} of {len(treatment.chosen)} chosen layers"
    return [f"{count} train as usual and count in the time of the chosen layers"]


def _slow_clock(share: float) -> list[str]:
    """A note if the clock itself takes a part of the step that a reader must know."""
    if share < CLOCK_TOLERANCE:
        return []
    return [f"the clock of the chosen layers takes {share:.0%} of a step"]


def _unavailable(job: Job, reason: str) -> PassResult:
    return PassResult(unavailable=dict.fromkeys(of_pass(job.pass_name), reason))
