"""The libraries of a worker."""

import ctypes
from types import SimpleNamespace

import pytest

from ondevice_bench.worker import runtime

LINE = "7f0000000000-7f0000001000 r-xp 00000000 08:01 1234    {}\n"
SHARED = "/opt/conda/lib/libopenblasp-r0.3.28.so"
OF_NUMPY = "/venv/numpy.libs/libscipy_openblas64_-ff.so"
OF_TORCH = "/venv/torch.libs/libopenblasp-8f.so"


@pytest.mark.parametrize(
    ("files", "blas", "expected"),
    [
        ([SHARED, SHARED, "/opt/conda/lib/libtorch_cpu.so"], "open", [(SHARED, 4)]),
        ([OF_NUMPY, OF_TORCH], "open", []),  # torch has its own, which knows its threads
        ([SHARED], "mkl", []),
        (["/opt/conda/lib/libtorch_cpu.so"], "open", []),
    ],
)
def test_a_blas_of_numpy_and_torch_gets_the_threads_of_the_worker(
    monkeypatch, files, blas, expected
):
    found = []

    def load(path):
        return SimpleNamespace(
            openblas_set_num_threads=lambda threads: found.append((path, threads))
        )

    monkeypatch.setattr(ctypes, "CDLL", load)
    monkeypatch.setattr(runtime, "_blas", lambda: blas)
    runtime.use_shared_blas(4, "".join(map(LINE.format, files)))
    assert found == expected


def test_a_library_with_other_names_is_left_alone(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    monkeypatch.setattr(runtime, "_blas", lambda: "open")
    runtime.use_shared_blas(4, LINE.format(OF_NUMPY))
