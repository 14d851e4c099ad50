"""The family pass: the step of the cell by which boards are compared."""

from statistics import median

from ondevice_bench.worker.passes import family
from tests.worker.test_pilot import TINY


def test_the_step_of_the_shared_cell_is_the_median_of_its_samples(make_job):
    found = family.measure(make_job("family", "vit_b_32", **TINY))
    samples = found.samples["family_step_seconds"]
    assert len(samples) >= 3
    assert found.metrics == {"family_step_seconds": median(samples)}
    assert all(seconds > 0 for seconds in samples)
    assert "foreign_cpu_share" in found.details
