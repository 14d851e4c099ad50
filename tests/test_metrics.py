from ondevice_bench import metrics


def test_names_are_unique_and_carry_their_units():
    assert len(metrics.BY_NAME) == len(metrics.ALL)
    for metric in metrics.ALL:
        assert not metric.unit or metric.name.endswith(f"_{metric.unit}")
        assert metric.scope in {
            "treated layers",
            "whole network",
            "process",
            "what the meter meters",
        }


def test_exact_metrics_have_no_threshold_and_noisy_ones_do():
    for metric in metrics.ALL:
        assert (metric.threshold == 0) == (metric.kind == "exact")


def test_the_parts_of_the_peak_are_metrics():
    assert set(metrics.PEAK_PARTS) <= set(metrics.BY_NAME)
