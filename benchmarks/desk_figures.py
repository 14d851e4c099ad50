"""Measure the exact figures that every board must have, and write `reports/desk_figures.json`.

    python benchmarks/desk_figures.py

Run it on a desk when a change of `bench` changes an exact metric, or the suite `validate`.
A test compares the file with the suite.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from ondevice_bench.analyse.resolve_run import stored_summary
from ondevice_bench.validation import figures

MADE_BY = "python benchmarks/desk_figures.py"
NAME = "figures"
# the pass that gives every exact figure is enough
TEXT = "schema: 1\ntitle: Figures of a desk\nextends: {suite}\nmeasure: [trace]\n"


def main() -> int:
    """Run the suite in an empty folder, and take its figures."""
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        Path(f"{NAME}.yaml").write_text(TEXT.format(suite=figures.suite_file()))
        command = [sys.executable, "-m", "ondevice_bench", "run", f"./{NAME}.yaml"]
        ended = subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
        if ended.returncode:
            return ended.returncode
        figures.write(stored_summary(NAME), figures.figures_file(), MADE_BY)
    print(figures.figures_file())
    return 0


if __name__ == "__main__":
    sys.exit(main())
