"""All metrics, pass by pass, in the order in which users see them. Standard library only."""

from ondevice_bench.metrics.counts import CALIBRATE, TRACE
from ondevice_bench.metrics.learning import ACCURACY, FIDELITY, LEARNING
from ondevice_bench.metrics.machine import ENERGY, SUSTAINED
from ondevice_bench.metrics.memory import MEMORY
from ondevice_bench.metrics.times import FAMILY, LATENCY, LOADING, TIME, TREATED_LAYERS

ALL = (
    *TIME,
    *TREATED_LAYERS,
    *MEMORY,
    *TRACE,
    *CALIBRATE,
    *FIDELITY,
    *ACCURACY,
    *LEARNING,
    *ENERGY,
    *SUSTAINED,
    *LOADING,
    *LATENCY,
    *FAMILY,
)
