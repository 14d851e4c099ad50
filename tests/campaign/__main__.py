"""Run the campaign and print its table, or put its rows into docs/reliability.md.

python -m tests.campaign [--inputs 10000] [--kills 1000] [--seed 1] [--first 0] [--only WORDS] [--write]

A long campaign can be made in parts: `--kills 500`, then `--first 500 --kills 500`, with one seed.
The same commands are ended as in one campaign of 1,000, and the rows of the parts add up.
`--only site` tries only the kinds and commands whose name has this text; repeat it.
"""

import argparse
import sys

from tests.campaign.inputs import try_inputs
from tests.campaign.kills import try_kills
from tests.campaign.kinds import KINDS
from tests.campaign.table import PAGE, table, with_rows
from tests.campaign.verbs import VERBS


def main() -> int:
    """Print the table, then every failure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first kill")
    parser.add_argument("--only", action="append", default=[], metavar="WORDS")
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()

    def is_chosen(name: str) -> bool:
        return not chosen.only or any(words in name for words in chosen.only)

    kinds = [kind for kind in KINDS if is_chosen(kind.name)]
    verbs = [verb for verb in VERBS if is_chosen(verb.title)]
    each = -(-chosen.inputs // max(1, len(kinds)))
    tallies = []
    for kind in kinds if each else ():
        tallies.append(try_inputs(kind, each, chosen.seed))
        print(tallies[-1].row(), flush=True)
    if chosen.kills:
        tallies += try_kills(chosen.kills, chosen.seed, chosen.first, verbs)
    print(table(tallies))
    failures = [failure for tally in tallies for failure in tally.failures]
    print("\n".join(failures), file=sys.stderr)
    if chosen.write:
        names = [kind.name for kind in KINDS] + [verb.title for verb in VERBS]
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(with_rows(page, tallies, names), encoding="utf-8")
    return 1 if failures else 0


sys.exit(main())
