"""A result set made by hand, with every kind of figure that a report can show."""

from random import Random
from typing import Any

from ondevice_bench.record.model import Record, Run
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.planned_cell import PlannedCell
from tests.record.conftest import make_record, make_run

MIB = 2**20
SETTINGS = {
    "measure": ["memory", "trace", "time", "fidelity"],
    "rounds": {"memory": 3, "time": 5},
    "baseline": "vanilla",
    "peaks": {"float32": 100.0, "bandwidth": 10.0},
}
# method, options, step in ms, peak in MiB, activations in MiB, cosine
METHODS: tuple[tuple[str, tuple[tuple[str, Any], ...], float, float, float, float], ...] = (
    ("vanilla", (), 100.0, 80.0, 40.0, 1.0),
    ("asi", (("fraction", 0.125),), 110.0, 60.0, 25.0, 0.90),
    ("asi", (("fraction", 0.25),), 130.0, 66.0, 30.0, 0.97),
    ("wasi", (("fraction", 0.25),), 52.0, 62.0, 28.0, 0.95),
    ("svd", (("fraction", 0.25),), 70.0, 64.0, 33.0, 0.50),
    ("checkpoint", (), 130.0, 30.0, 6.0, 1.0),
)


def cells(batch: int = 8, seeds: tuple[int, ...] = (0,)) -> list[Cell]:
    """A cell for each method and seed."""
    found = []
    for method, options, *_ in METHODS:
        said = ",".join(f"{name}={value}" for name, value in options)
        named = f"{method}({said})" if said else method
        found += [
            Cell(
                id=f"mcunet/{named}/all/b{batch}/s{seed}",
                model="mcunet",
                method=method,
                batch=batch,
                seed=seed,
                method_options=options,
            )
            for seed in seeds
        ]
    return found


def run_of(run_id: str = "r1", **what: Any) -> Run:
    """A run over these cells."""
    return make_run(run_id, **{"settings": SETTINGS, **what})


def planned(chosen: list[Cell], profile: str = "x86") -> list[PlannedCell]:
    """The cells, to be measured."""
    return [PlannedCell(cell, profile, "planned") for cell in chosen]


def records(
    chosen: list[Cell], run_id: str = "r1", slower: dict[str, float] | None = None
) -> list[Record]:
    """What each cell's processes measured; `slower` multiplies the steps of a method."""
    numbers = {(method, options): rest for method, options, *rest in METHODS}
    found: list[Record] = []
    for cell in chosen:
        step, peak, kept, cosine = numbers[cell.method, cell.method_options]
        size = cell.batch / 8
        step *= size * (slower or {}).get(cell.method, 1.0) / 1e3
        for number in range(1, 6):
            pace = step * (1 + 0.002 * (number - 3))
            found.append(
                make_record(
                    run_id,
                    cell,
                    number=number,
                    metrics={
                        "step_seconds": pace,
                        "forward_seconds": pace * 0.4,
                        "backward_seconds": pace * 0.55,
                        "update_seconds": pace * 0.05,
                    },
                    samples={"step_seconds": [pace * (1 + 0.002 * (n - 4)) for n in range(9)]},
                    details={"disturbed": {"step_seconds": [pace * 3]}},
                )
            )
        found += [
            make_record(
                run_id,
                cell,
                "memory",
                number,
                metrics=_memory(peak * size, number),
                details=_curve(),
            )
            for number in (1, 2, 3)
        ]
        found.append(
            make_record(run_id, cell, "trace", metrics=_trace(kept * size), details=_treated(cell))
        )
        found.append(
            make_record(
                run_id,
                cell,
                "fidelity",
                metrics={"gradient_cosine": cosine, "gradient_cosine_first": cosine},
                details=_layers(cosine),
            )
        )
    return found


def of_history(
    dice: Random, chosen: list[Cell], run_id: str, *, slower: float = 1.0, more: int = 0
) -> list[Record]:
    """The records of one run of many: each a little other, WASI slower, and SVD with more bytes."""
    pace = {method: dice.lognormvariate(0, 0.01) for method, *_ in METHODS}
    pace["wasi"] *= slower
    found = records(chosen, run_id, pace)
    for record in found:
        if record.key.pass_name == "trace" and "svd" in record.key.cell:
            record.metrics["activation_bytes"] += more
    return found


def sustained(cell: Cell, run_id: str = "r1") -> Record:
    """A minute of training without pause on a board that gets hot."""
    rows = range(1, 61)
    columns = {
        "step_seconds": [0.1 + 0.001 * row for row in rows],
        "celsius": [50.0 + row / 2 for row in rows],
        "mhz": [2400.0 - row for row in rows],
        "watts": [5.0 for _ in rows],
        "others": [0.1 for _ in rows],
    }
    curve = {
        "seconds": [float(row) for row in rows],
        "columns": columns,
        "throttled_by": ["soft temperature limit"],
    }
    return make_record(
        run_id,
        cell,
        "sustained",
        metrics={"steps_per_minute": 460.0, "throttled_after_seconds": 30.0},
        samples={"sustained_ratio": [1.2, 1.25, 1.3, 1.31, 1.32, 1.33, 1.4]},
        details={"sustained": curve},
    )


def learned(cell: Cell) -> Record:
    """What the pass learning gave for a cell."""
    curve = {
        "accuracy": [0.1, 0.5, 0.9],
        "seconds": [0.0, 2.0, 4.0],
        "joules": [0.0, 30.0, 60.0],
        "loss": [2.0, 1.0],
        "rate": 0.1,
    }
    metrics = {"final_accuracy": 0.9, "training_seconds": 4.0}
    return make_record("r1", cell, "learning", metrics=metrics, details={"learned": curve})


def _memory(peak: float, number: int) -> dict[str, float]:
    total = peak * MIB * (1 + 0.004 * (number - 2))
    return {
        "peak_rss_over_runtime_bytes": total,
        "peak_rss_bytes": total + 200 * MIB,
        "rss_batch_bytes": 1.0 * MIB,
        "rss_weights_bytes": 4.0 * MIB,
        "rss_warmup_bytes": 5.0 * MIB,
        "rss_step_bytes": total - 10 * MIB,
    }


def _trace(kept: float) -> dict[str, float]:
    return {
        "activation_bytes": kept * MIB,
        "activation_other_layers_bytes": kept * MIB * 0.6,
        "activation_normalisation_bytes": kept * MIB * 0.4,
        "forward_live_peak_bytes": kept * MIB * 1.1,
        "backward_live_peak_bytes": kept * MIB * 1.2,
        "update_live_peak_bytes": MIB * 1.0,
        "parameter_bytes": 3.0 * MIB,
        "batch_bytes": 1.0 * MIB,
        "step_flops": 2e9 + kept,
        "step_traffic_bytes": 4e8,
    }


def _treated(cell: Cell) -> dict[str, Any]:
    if cell.method in ("vanilla", "checkpoint"):
        return {}
    layer = {"shape": [8, 16, 4, 4], "activation_ranks": [2, 2, 2, 2], "weight_rank": None}
    return {
        "treated": {
            "blocks.0.conv": {**layer, "stored_elements": 512},
            "blocks.1.conv": {**layer, "stored_elements": 1024},
        }
    }


def _layers(cosine: float) -> dict[str, Any]:
    return {"layers": {"_first": {"blocks.0.conv": {"cosine": cosine, "error": 0.1}}}}


def _curve() -> dict[str, Any]:
    return {
        "curve": {
            "interval_seconds": 0.1,
            "seconds": [0.0, 0.1, 0.2, 0.3],
            "rss_bytes": [200 * MIB, 230 * MIB, 280 * MIB, 240 * MIB],
            "marks": [["runtime", 0.0], ["forward", 0.2]],
        }
    }
