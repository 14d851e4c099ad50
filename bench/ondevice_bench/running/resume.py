"""Whether a run is new or goes on with an unfinished one."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ondevice_bench.data.count import examples_of
from ondevice_bench.errors import NothingRan
from ondevice_bench.record.command import without_addresses
from ondevice_bench.record.model import BEGUN_WITH, OF_COMMAND, Run
from ondevice_bench.record.origin import FLEET, RUN
from ondevice_bench.record.store import Store
from ondevice_bench.running.progress import Progress
from ondevice_bench.running.request import Request
from ondevice_bench.running.schedule import left_to_do
from ondevice_bench.suite.planned_cell import PlannedCell

_UNLIKE = {"definition": "plan or settings"}
_LEVELS = {"unknown": 0, "ok": 1, "warning": 2}  # of the doctor's findings


def find_or_add_run(
    store: Store, request: Request, software: Mapping[str, Any], progress: Progress
) -> Run:
    """The unfinished run that equals the request, or a new one in the store."""
    now = datetime.now(UTC)
    run = Run(
        id=_free_id(store, f"{request.suite.name}-{_moment(now)}-{request.commit}"),
        suite=request.suite.name,
        suite_text=request.suite.text,
        title=request.suite.title,
        definition=request.definition,
        origin=request.origin,
        created=now.isoformat(timespec="seconds"),
        commit=request.commit,
        profile=request.host.profile.name,
        profile_text=request.host.profile.text,
        machine=request.machine,
        software=software,
        settings={
            **request.settings,
            "goal": request.suite.goal.to_dict(),
            "peaks": request.host.profile.peaks,
            "examples": examples_of(request.suite.data),
            "budget_seconds": request.budget,
            "emulated": request.host.profile.declared.emulated,
            "interleaved": request.interleaved,
            "doctor": [item.to_dict() for item in request.findings],
        },
        command=without_addresses(request.command),
    )
    earlier = None if request.fresh else _to_go_on_with(store, run, request, progress)
    if earlier is not None:
        progress.note(f"continuing {earlier.id}")
        return _with_settings_of(store, earlier, run)
    if request.retry:
        raise _cannot_retry(store, run, request) or nothing_to_retry(store.path)
    store.add_run(run, request.plan)
    return run


def measured_before(store: Store, request: Request, software: Mapping[str, Any]) -> Run | None:
    """The latest run, if it is finished and like the request, and something was measured."""
    runs = store.runs()
    if not runs or runs[-1].finished is None:
        return None
    latest = runs[-1]
    asked = (request.definition, request.machine, request.commit, software)
    if (latest.definition, latest.machine, latest.commit, latest.software) != asked:
        return None
    return latest if "ok" in store.statuses(latest.id).values() else None


def nothing_to_retry(store: Path) -> NothingRan:
    """The error if no record of the latest run is to be repeated, or if there is no run."""
    return NothingRan(f"{store}: nothing failed, timed out or ran out of memory in the latest run")


def _cannot_retry(store: Store, new: Run, request: Request) -> NothingRan | None:
    """The error if the latest run has records to repeat, but another plan; None if it has none."""
    latest = next(iter(_of_kind(store, new)), None)
    if latest is None or not request.retry & set(store.statuses(latest.id).values()):
        return None
    new, unlike = _differences(latest, new, request)
    return NothingRan(
        f"{store.path}: this run has another {_listed(unlike)} than {latest.id}, so nothing of it "
        "can be repeated: give the command without --retry, which measures all again"
    )


def _to_go_on_with(store: Store, new: Run, request: Request, progress: Progress) -> Run | None:
    """The latest run that is like the new one in everything that matters, if it has work left.

    The latest is the one that was stored last: the clock may have gone back since an earlier one.
    Its profile may be one that the profile of the new run extends. A run of another plan in
    between, such as one with `--filter`, changes nothing for an unfinished one.
    """
    if not (runs := _of_kind(store, new)):
        return None
    latest, *before = runs
    as_latest, unlike = _differences(latest, new, request)
    if not unlike:
        goes_on = latest.finished is None or request.extends
        return latest if goes_on or _has_to_repeat(store, latest, request) else None
    like = (run for run in before if not request.extends and not _differences(run, new, request)[1])
    if (run := next(like, None)) is not None and run.finished is None:
        return run
    if unlike == ["definition"] and request.extends and _joins(store, latest, as_latest, request):
        return latest
    if latest.finished is None:
        progress.note(f"{latest.id} stays unfinished: this run has another {_listed(unlike)}")
    return None


def _differences(latest: Run, new: Run, request: Request) -> tuple[Run, list[str]]:
    """The new run under the profile of the latest one, if it extends that, and what differs."""
    if latest.profile in request.host.profile.lineage:
        definition = request.definition_under(latest.profile)
        new = replace(new, profile=latest.profile, definition=definition)
    names = ("definition", "profile", "machine", "software", "commit")
    return new, [name for name in names if getattr(latest, name) != getattr(new, name)]


def _listed(unlike: Iterable[str]) -> str:
    return ", ".join(_UNLIKE.get(name, name) for name in unlike)


def _with_settings_of(store: Store, earlier: Run, new: Run) -> Run:
    """The earlier run with the goal and the budget of this command, and its new warnings."""
    asked = json.loads(json.dumps({name: new.settings[name] for name in OF_COMMAND}))
    asked["doctor"] = _with_new_warnings(earlier.settings.get("doctor", []), asked["doctor"])
    run = earlier.going_on(asked)
    if run is not earlier:
        store.change_settings(run)
    return run


def _with_new_warnings(
    known: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The findings: a warning replaces what was none, and a fact replaces what was unknown."""
    before = {each["subject"]: _LEVELS.get(each["level"], 0) for each in known}
    new = [each for each in found if _LEVELS[each["level"]] > before.get(each["subject"], 1)]
    replaced = {each["subject"] for each in new}
    return [*(each for each in known if each["subject"] not in replaced), *new]


def _has_to_repeat(store: Store, latest: Run, request: Request) -> bool:
    """Whether `retry` asks for a record again, or was interrupted before it had repeated all."""
    statuses = store.statuses(latest.id)
    return bool(request.retry and left_to_do(tuple(statuses), statuses, request.retry))


def _of_kind(store: Store, new: Run) -> Sequence[Run]:
    """The runs that may be continued, the latest first.

    A fleet has one run for each profile of its boards.
    """
    if new.origin == RUN:
        return store.last_added(new.suite, new.origin)
    if new.origin == FLEET:
        return store.last_added(new.suite, new.origin, new.profile)
    return ()


def _joins(store: Store, latest: Run, new: Run, request: Request) -> bool:
    """Whether both plans have cells in common, all of them alike, with equal settings.

    The run then gets the cells of the new plan that it does not have.
    """
    settings = json.loads(json.dumps(request.settings))
    beside = {BEGUN_WITH, *new.settings} - settings.keys()
    compared = settings.keys() | (latest.settings.keys() - beside)
    if any(latest.settings.get(name) != settings.get(name) for name in compared):
        return False
    old, plan = (_by_id(cells) for cells in (store.cells(latest.id), request.plan))
    common = old.keys() & plan.keys()
    if not common or any(old[name] != plan[name] for name in common):
        return False
    if plan.keys() > common:
        store.extend_run(replace(latest, definition=new.definition), request.plan)
    return True


def _by_id(cells: Iterable[PlannedCell]) -> dict[str, tuple[str, str]]:
    return {item.cell.id: (item.cell.key, item.state) for item in cells}


def _moment(now: datetime) -> str:
    """With milliseconds: boards that measure one commit often begin in the same second."""
    return f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03}Z"


def _free_id(store: Store, name: str) -> str:
    ids = {run.id for run in store.runs()}
    candidates = (name if n == 1 else f"{name}-{n}" for n in range(1, len(ids) + 2))
    return next(candidate for candidate in candidates if candidate not in ids)
