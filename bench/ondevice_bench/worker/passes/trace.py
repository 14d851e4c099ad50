"""The trace pass: exact bytes of tensors, FLOPs, and hashes of weights and batch."""

import hashlib
from collections.abc import Iterable, Sequence

from torch import Tensor

from ondevice_bench.data import nested
from ondevice_bench.data.tensorfile import memory_of
from ondevice_bench.measure.activation_kinds import by_class, by_module
from ondevice_bench.measure.activations import saved_storages, storage_bytes, total
from ondevice_bench.measure.flops import STEP, FlopCounter, count_step, left_out, step_flops
from ondevice_bench.measure.kept_by_layer import kept_by_layer, undeclared
from ondevice_bench.measure.live import disagreement, live_step
from ondevice_bench.methods.layer_report import LayerReport
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.worker.workload import Workload, initial_model, load_batch, treated_model


def measure(job: Job) -> PassResult:
    """Count bytes and FLOPs, each in a separate step."""
    model, loaded = initial_model(job)
    weights = _sha256(tensor for _, tensor in sorted(model.state_dict().items()))
    treatment = treated_model(job, model)
    del model  # so that weights which the method has replaced are released
    workload = Workload(job, load_batch(job), treatment)
    model = workload.model
    saved = saved_storages(workload, model)
    gradients = storage_bytes(workload.gradients())
    workload.update()
    live = live_step(workload, model)
    counter = FlopCounter()
    count_step(workload, counter)
    with workload.evaluating(), counter.phase("inference"):
        workload.infer()
    state = list(treatment.state())
    treated = treatment.report()
    names = {report.name for report in treated}
    classes = by_class(saved, model, names)
    modules = by_module(saved, model, names)
    difference = disagreement(saved, live)
    notes = [
        *workload.treatment.notes(),
        *([f"weights: {loaded}"] if loaded and not loaded.whole else []),
        *([difference] if difference else []),
        *_undeclared(workload, treated),
        *left_out(counter.of(*STEP), "the FLOPs of a step"),
        *left_out(counter.of("inference"), "the FLOPs of inference"),
    ]
    return PassResult(
        metrics={
            "activation_bytes": total(saved),
            "activation_allocated_bytes": live.activation_bytes,
            **{f"activation_{name}_bytes": size for name, size in classes.items()},
            "forward_live_peak_bytes": live.forward_peak_bytes,
            "backward_live_peak_bytes": live.backward_peak_bytes,
            "update_live_peak_bytes": live.update_peak_bytes,
            "parameter_bytes": storage_bytes(model.parameters()),
            "buffer_bytes": storage_bytes((*model.buffers(), *state)) - storage_bytes(state),
            "method_state_bytes": storage_bytes(state),
            "gradient_bytes": gradients,
            "optimizer_state_bytes": storage_bytes(workload.optimizer_state()),
            "batch_bytes": storage_bytes(nested.leaves(workload.batch)),
            **step_flops(counter),
        },
        details={
            "weights": str(loaded or job.cell.weights),
            "notes": notes,
            "weights_sha256": weights,
            "batch_sha256": _sha256(nested.leaves(workload.batch)),
            "operators": {name: phase.to_dict() for name, phase in counter.phases.items()},
            "treated": {
                report.name: {
                    "shape": report.shape,
                    "activation_ranks": report.ranks.activation,
                    "weight_rank": report.ranks.weight,
                    "stored_elements": report.elements,
                    "stored_bytes": report.stored_bytes,
                    "input_bytes": report.input_bytes,
                }
                for report in treated
            },
            "left_alone": dict(treatment.refusals),
            "saved": {
                name: {"bytes": each.bytes, "kind": each.kind} for name, each in modules.items()
            },
        },
    )


def _undeclared(workload: Workload, treated: Sequence[LayerReport]) -> list[str]:
    """A note if the method keeps other bytes than it declares.

    Only methods that replace layers can be compared. Another one may pack what they store, cut the
    batch, or run their forward again.
    """
    declared = {r.name: r.stored_bytes for r in treated if r.stored_bytes is not None}
    if not declared or not workload.treatment.only_replaces:
        return []
    layers = {name: workload.model.get_submodule(name) for name in declared}
    difference = undeclared(declared, kept_by_layer(workload, layers))
    return [difference] if difference else []


def _sha256(tensors: Iterable[Tensor]) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        if tensor.numel():
            digest.update(memory_of(tensor.detach().contiguous()))
    return digest.hexdigest()
