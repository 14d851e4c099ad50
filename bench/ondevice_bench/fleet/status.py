"""The boards of a fleet now, and the runs that they measure."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ondevice_bench.analyse.find_runs import from_each_store
from ondevice_bench.errors import BadInput
from ondevice_bench.fleet.fleet_file import Fleet, FleetBoard
from ondevice_bench.fleet.lane import too_hot
from ondevice_bench.fleet.muster import AT_ONCE, Connect
from ondevice_bench.passes import rounds_of
from ondevice_bench.record.origin import FLEET
from ondevice_bench.record.store import Store


def board_rows(fleet: Fleet, connect: Connect) -> list[dict[str, Any]]:
    """A row for each board: what it is, and whether it can measure now. No board is locked."""

    def row(board: FleetBoard) -> dict[str, Any]:
        known = {"board": board.name, "tags": " ".join(board.tags)}
        try:
            with connect(board) as host:
                state, profile, unit = host.state(), host.profile.name, host.unit
        except BadInput as error:
            problem = error.lines[0].removeprefix(f"{board.name}: ")
            return {**known, "profile": "–", "unit": "–", "°C": "–", "now": problem}
        celsius = state.temperature_celsius
        return {
            **known,
            "profile": profile,
            "unit": unit or "–",
            "°C": "–" if celsius is None else f"{celsius:.0f}",
            "now": too_hot(state, fleet.cooling.celsius) or "ready",
        }

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(row, fleet.boards))


def run_rows() -> list[dict[str, Any]]:
    """A row for the latest run of a fleet on each profile, for each store."""
    return [row for _, rows in from_each_store(_rows) for row in rows]


def _rows(store: Store) -> list[dict[str, Any]]:
    latest = {run.profile: run for run in store.runs() if run.origin == FLEET}
    rows = []
    for run in latest.values():
        measure, rounds = run.settings["measure"], run.settings["rounds"]
        planned = sum(item.state == "planned" for item in store.cells(run.id))
        whole = planned * sum(rounds_of(name, rounds) for name in measure)
        done = {key: unit for key, unit in store.units(run.id).items() if key.pass_name in measure}
        units = Counter(unit for unit in done.values() if unit)
        rows.append(
            {
                "run": run.id,
                "profile": run.profile,
                "measured": f"{len(done)}/{whole}",
                "finished": run.finished or "not yet",
                "by unit": ", ".join(f"{unit} {count}" for unit, count in units.items()),
            }
        )
    return rows
