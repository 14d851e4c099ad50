"""The table of passes: the measurements of a cell. Standard library only, for the workers.

A new pass is one row of `ALL` and one module with `measure(job)`. The row of a metric
in `ondevice_bench.metrics` names its pass.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

# the passes that code names; stored data has these names
CALIBRATE, PILOT, MEMORY, TRACE, TIME = "calibrate", "pilot", "memory", "trace", "time"
TREATED_LAYERS, SUSTAINED, FAMILY = "treated_layers", "sustained", "family"
LEARNING_RATE, LEARNING, ENERGY = "learning_rate", "learning", "energy"
ACCURACY = "accuracy"
STEP_MEMORY, STEP_TRACE, STEP_TIME = "step_memory", "step_trace", "step_time"

Batch = Literal["cell", "calibration", "examples", "none"]
Choice = Literal["default", "optional", "never"]


@dataclass(frozen=True)
class Pass:
    """One kind of measurement of a cell, in a separate process."""

    name: str
    purpose: str
    module: str  # inside `ondevice_bench`
    batch: Batch = "cell"  # the batch that the process reads
    in_suites: Choice = "never"  # whether `measure` may name it
    rounds: int | None = None  # processes of each cell unless the suite says more; None: always one
    is_spawned: bool = False  # a new interpreter; other passes are forked if possible
    is_capped: bool = (
        False  # under the memory cap of the cell, which is not for the memory of probes
    )
    prepares: bool = False  # its result is input of other passes of the cell
    over_seeds: bool = False  # its metrics are reported over all seeds of a workload
    # it looks at the layers that `layers` chooses, those of plain training too
    of_layers: bool = False
    lasts: bool = False  # it takes as long as `sustain` of the suite says
    reads_data: bool = False  # it reads the source of the batches itself
    of_board: bool = False  # it is about the board, not about the cell
    # the fewest processes of each side for a difference of a noisy metric: processes differ more
    # than the samples of one process
    fewest_processes: int = 5


def _worker(name: str) -> str:
    return f"worker.passes.{name}"


ALL = (
    Pass(
        CALIBRATE,
        "chooses the ranks of a cell, on a batch that no other pass uses",
        _worker("calibrate"),
        batch="calibration",
        prepares=True,
    ),
    Pass(
        PILOT,
        "runs two steps, so that a run with a time budget can predict the other passes",
        _worker("pilot"),
        prepares=True,
    ),
    Pass(
        MEMORY,
        "reads resident memory, stage by stage",
        _worker("memory"),
        in_suites="default",
        rounds=3,  # a peak takes a few seconds to read, and one alone says little
        is_spawned=True,
        is_capped=True,
        fewest_processes=3,
    ),
    Pass(
        TRACE,
        "counts bytes of tensors and FLOPs exactly",
        _worker("trace"),
        in_suites="default",
    ),
    Pass(
        TIME,
        "times training steps and inference, without hooks",
        _worker("time"),
        in_suites="default",
        rounds=1,
        is_capped=True,
    ),
    Pass(
        "fidelity",
        "compares a method's weight gradients with those of plain training",
        _worker("fidelity"),
        in_suites="optional",
        over_seeds=True,
    ),
    Pass(
        ACCURACY,
        "trains for a short time on real data and tests on held-out examples",
        _worker("accuracy"),
        batch="examples",
        in_suites="optional",
        is_capped=True,
        over_seeds=True,
    ),
    Pass(
        LEARNING_RATE,
        "chooses the learning rate of a cell by short trainings and validation examples",
        _worker("learning_rate"),
        batch="examples",
        is_capped=True,
        prepares=True,
    ),
    Pass(
        LEARNING,
        "trains on real data, epoch by epoch, and tests after each one",
        _worker("learning"),
        batch="examples",
        in_suites="optional",
        is_capped=True,
        over_seeds=True,
    ),
    Pass(
        ENERGY,
        "measures the energy of steps",
        _worker("energy"),
        in_suites="optional",
        rounds=1,
        is_capped=True,
    ),
    Pass(
        TREATED_LAYERS,
        "times the chosen layers alone, inside of training steps",
        _worker("treated_layers"),
        in_suites="optional",
        rounds=1,
        is_capped=True,
        of_layers=True,
    ),
    Pass(
        SUSTAINED,
        "trains without pause and watches clock, temperature and writes, second by second",
        _worker("sustained"),
        in_suites="optional",
        is_capped=True,
        lasts=True,
    ),
    Pass(
        "loading",
        "loads batches from a folder of images between steps",
        _worker("loading"),
        in_suites="optional",
        is_capped=True,
        reads_data=True,
    ),
    Pass(
        "latency",
        "times inference of one example",
        _worker("latency"),
        in_suites="optional",
        rounds=1,
        is_capped=True,
    ),
    Pass(
        FAMILY,
        "times one cell on every board of a fleet, to find boards that are unlike the others",
        _worker("family"),
        is_capped=True,
        of_board=True,
    ),
    Pass(
        "shapes",
        "computes bytes and FLOPs from shapes alone, for a plan",
        _worker("shapes"),
        batch="none",
    ),
    Pass(
        "live_peak",
        "computes the highest level of live tensors from shapes alone",
        _worker("live_peak"),
        batch="none",
    ),
    Pass(
        "layers",
        "lists the layers of a network from shapes alone",
        _worker("layers"),
        batch="none",
    ),
    Pass(
        "spectrum",
        "finds the ranks of weights and inputs at each share of energy",
        _worker("spectrum"),
    ),
    Pass(
        "account",
        "computes a cell's costs by the formulas of the papers",
        "papers.counting.account_pass",
        batch="none",
    ),
    Pass(
        "machine_peaks",
        "measures the highest speed of the processors and the memory",
        _worker("machine_peaks"),
        batch="none",
        is_spawned=True,
    ),
    Pass(
        STEP_MEMORY,
        "reads resident memory of a user's own step",
        _worker("step_memory"),
        batch="none",
        rounds=1,
        is_spawned=True,
        is_capped=True,
    ),
    Pass(
        STEP_TRACE,
        "counts activation bytes and FLOPs of a user's own step",
        _worker("step_trace"),
        batch="none",
    ),
    Pass(
        STEP_TIME,
        "times a user's own step",
        _worker("step_time"),
        batch="none",
        rounds=1,
        is_capped=True,
    ),
)

BY_NAME = {each.name: each for each in ALL}
IN_SUITES = tuple(each.name for each in ALL if each.in_suites != "never")
BY_DEFAULT = tuple(each.name for each in ALL if each.in_suites == "default")
OF_BOARD = frozenset(each.name for each in ALL if each.of_board)
PREPARING = frozenset(each.name for each in ALL if each.prepares)
# the passes whose rounds a suite may set, with the default number
ROUNDS = {name: rounds for name in IN_SUITES if (rounds := BY_NAME[name].rounds) is not None}


def rounds_of(name: str, rounds: Mapping[str, int] | int) -> int:
    """The number of rounds of a pass in a run. Older runs have one number for all passes."""
    if name in BY_NAME and BY_NAME[name].rounds is None:
        return 1
    return rounds if isinstance(rounds, int) else rounds.get(name, 1)
