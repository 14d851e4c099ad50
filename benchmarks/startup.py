"""How long `bench --help` takes, beside a bare interpreter in the same rounds.

python benchmarks/startup.py [--starts 20]
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "bench --help": [str(Path(sys.executable).parent / "bench"), "--help"],
    "bench list models": [str(Path(sys.executable).parent / "bench"), "list", "models"],
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=20)
    starts: int = parser.parse_args().starts

    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(starts):
        for name, command in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run(command, capture_output=True, check=True)
            taken[name].append(time.perf_counter() - began)
    bare = median(taken["python -c pass"])
    for name, seconds in taken.items():
        print(f"{name:<20}{median(seconds):>8.3f}s{median(seconds) / bare:>8.1f}× a bare start")


if __name__ == "__main__":
    main()
