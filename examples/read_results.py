"""Read stored results into pandas: `python examples/read_results.py STORE`.

A store is the file `bench-out/SUITE/results.sqlite` that `bench run SUITE` leaves.
"""

import sys

from ondevice_bench import load

METRICS = ["step_seconds", "peak_rss_over_runtime_bytes", "activation_bytes"]


def main(store: str) -> None:
    """Print the latest run: a line for each cell, a column for each metric."""
    frame = load(store)
    latest = frame[frame["created"] == frame["created"].max()]
    table = latest[latest["metric"].isin(METRICS)].pivot_table(
        index="cell", columns="metric", values="estimate"
    )
    print(table.to_string())


if __name__ == "__main__":
    main(sys.argv[1])
