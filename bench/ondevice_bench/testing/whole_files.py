"""Which files a session has run completely, so that a step that it did not measure is gone."""

import pytest


def ran_all_of(session: pytest.Session, file: str) -> bool:
    """Whether the session has run every test of the file, or would have if the file were there.

    `file` is relative to the root of the session, as in the names of tests.
    """
    config, path = session.config, (session.config.rootpath / file).resolve()
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    is_stopped = session.shouldstop or session.shouldfail
    ended = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    if reporter is None or is_stopped or not ended:
        return False
    deselected = {_file(item) for item in reporter.stats.get("deselected", ())}
    if path.exists():
        is_whole = file in set(map(_file, session.items)) - deselected
    else:
        is_whole = not deselected  # nobody knows whether its tests would have been chosen
    folder = config.invocation_params.dir
    places = ((folder / word).resolve() for word in config.args if "::" not in word)
    return is_whole and any(path.is_relative_to(place) for place in places)


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]
