"""Guard the cost of a training step in a test: `pytest examples/your_step`."""

from my_step import setup, step


def test_the_step_stays_as_small_as_it_is(bench_step):
    cost = bench_step(step, setup=setup)
    assert cost.activation_bytes < 256 * 2**10
    assert cost.step_flops == 2 * 64 * (256 * 512 * 2 + 512 * 10 * 3)
