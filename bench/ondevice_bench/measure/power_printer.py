"""What a process of ours prints that reads a power chip: `seconds watts`, again and again."""

import os
import time
from collections.abc import Callable


def print_power(watts: Callable[[], float], interval: float) -> None:
    """Print a reading at each interval, while the parent lives."""
    parent = os.getppid()
    while os.getppid() == parent:
        reading = watts()
        print(time.monotonic(), reading, flush=True)  # noqa: T201  # to its parent
        time.sleep(interval)
