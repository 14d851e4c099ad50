"""What each side of `bench ab` measures."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ondevice_bench.ab.find_suite import SUITES, require_own_code
from ondevice_bench.ab.worktree import Tree
from ondevice_bench.record.origin import AB
from ondevice_bench.running.hosts.host import Host
from ondevice_bench.running.queries.user_models import describe
from ondevice_bench.running.request import Request, request
from ondevice_bench.suite.load import load_suite


def short_request(
    tree: Tree,
    host: Host,
    suite: Path,
    command: str,
    filters: Sequence[str],
) -> Request:
    """The suite of this file, with its time and trace passes only.

    Each process is short: many rounds tell more than long ones.
    """
    folder = tree.root / SUITES
    loaded = load_suite(str(suite), folder if folder.is_dir() else None)
    require_own_code(tree, loaded)
    describe(host, loaded)
    short = replace(loaded, measure=("trace", "time"), rounds={"time": 1}, variants={})
    whole = request(host, short, command, filters)
    return replace(whole, plan=whole.planned, commit=tree.commit, origin=AB)
