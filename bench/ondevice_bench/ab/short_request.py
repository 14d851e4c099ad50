"""What each side of `bench ab` measures."""

from collections.abc import Sequence
from dataclasses import replace

from ondevice_bench.ab.worktree import Tree
from ondevice_bench.run.hosts.host import Host
from ondevice_bench.run.queries.user_models import describe
from ondevice_bench.run.request import Request, request
from ondevice_bench.suite.load import load_suite


def short_request(
    tree: Tree,
    host: Host,
    suite: str,
    command: str,
    filters: Sequence[str],
) -> Request:
    """The suite as the tree has it, or as it is here, with its time and trace passes alone.

    Each process is short: many rounds tell more than long ones.
    """
    file, folder = tree.root / suite, tree.root / "suites"
    name = str(file) if file.is_file() else suite
    loaded = load_suite(name, folder if folder.is_dir() else None)
    describe(host, loaded)
    short = replace(loaded, measure=("trace", "time"), rounds={"time": 1}, variants={})
    whole = request(host, short, command, filters)
    return replace(whole, plan=whole.planned, commit=tree.commit, origin="ab")
