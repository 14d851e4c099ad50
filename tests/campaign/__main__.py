"""Run the campaign and print its table, or put it into docs/reliability.md.

python -m tests.campaign [--inputs 10000] [--kills 1000] [--seed 1] [--first 0] [--write]

A long campaign can be made in parts: `--kills 500`, then `--first 500 --kills 500`, with one seed.
The same commands are ended as in one campaign of 1,000, and the rows of the parts add up.
"""

import argparse
import sys

from tests.campaign.inputs import KINDS, try_inputs
from tests.campaign.kills import try_kills
from tests.campaign.table import table, write


def main() -> int:
    """Print the table, then every failure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first kill")
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()

    each = -(-chosen.inputs // len(KINDS))
    tallies = []
    for kind in KINDS if each else ():
        tallies.append(try_inputs(kind, each, chosen.seed))
        print(tallies[-1].row(), flush=True)
    if chosen.kills:
        tallies += try_kills(chosen.kills, chosen.seed, chosen.first)
    print(table(tallies))
    failures = [failure for tally in tallies for failure in tally.failures]
    print("\n".join(failures), file=sys.stderr)
    if chosen.write:
        write(tallies)
    return 1 if failures else 0


sys.exit(main())
