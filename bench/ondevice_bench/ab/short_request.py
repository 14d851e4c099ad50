"""What each side of `bench ab` measures."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ondevice_bench.ab.find_suite import SUITES, require_own_bases, require_own_code
from ondevice_bench.ab.worktree import Tree
from ondevice_bench.errors import NothingRan
from ondevice_bench.record.origin import AB
from ondevice_bench.running.hosts.host import Host
from ondevice_bench.running.queries.user_models import describe
from ondevice_bench.running.request import Request, request
from ondevice_bench.specs import registry
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.matrix import nothing_matches
from ondevice_bench.suite.patterns import matches, matches_any


def short_requests(
    trees: Sequence[Tree],
    hosts: Sequence[Host],
    suites: Sequence[Path | None],
    command: str,
    filters: Sequence[str],
) -> list[Request | None]:
    """What each side measures; None if it has no such suite, or no cell that a filter matches.

    NothingRan if a filter matches no cell of either side.
    """
    whole = [
        None if suite is None else short_request(tree, host, suite, command)
        for tree, host, suite in zip(trees, hosts, suites, strict=True)
    ]
    ids = [item.cell.id for each in whole if each is not None for item in each.plan]
    for pattern in filters if ids else ():
        if not any(matches(cell_id, pattern) for cell_id in ids):
            raise NothingRan(nothing_matches("--filter", pattern, ids))
    return [_filtered(each, filters) for each in whole]


def _filtered(whole: Request | None, filters: Sequence[str]) -> Request | None:
    if whole is None or not filters:
        return whole
    plan = tuple(item for item in whole.plan if matches_any(item.cell.id, filters))
    return replace(whole, plan=plan) if plan else None


def short_request(
    tree: Tree,
    host: Host,
    suite: Path,
    command: str,
) -> Request:
    """The suite of this file, with its time and trace passes only.

    Each process is short: many rounds tell more than long ones.
    """
    folder = _folder(tree, suite)
    loaded = load_suite(str(suite), folder)
    require_own_bases(tree, suite, folder)
    require_own_code(tree, loaded)
    describe(host, loaded)
    short = replace(loaded, measure=("trace", "time"), rounds={"time": 1}, variants={})
    whole = request(host, short, command)
    # a file that is equal in both trees has one name, but it may read another one beside it
    own_code = registry.own_code()
    return replace(whole, commit=tree.commit, origin=AB, own_code=own_code)


def _folder(tree: Tree, suite: Path) -> Path | None:
    """The tree's folder of suites that this suite may extend; its own folder comes first."""
    folders = [each / SUITES for each in (tree.here, tree.root) if (each / SUITES).is_dir()]
    return min(folders, key=lambda folder: folder != suite.parent, default=None)
