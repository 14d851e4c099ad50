"""How verbs print: rows as a table or JSON."""

import json
from typing import Any


def print_rows(rows: list[dict[str, Any]], as_json: bool) -> None:
    """Rows with the same keys, as a table or as JSON."""
    from ondevice_bench.report.terminal import tables

    if as_json:
        print_json(rows)
        return
    if not rows:
        return
    made = tables.table(*rows[0])
    for row in rows:
        made.add_row(
            *(
                "✓" if value is True else "" if value is False else str(value)
                for value in row.values()
            )
        )
    tables.console().print(made)


def print_json(value: Any) -> None:
    """Plain values as JSON."""
    print(json.dumps(value, indent=2, allow_nan=False))
