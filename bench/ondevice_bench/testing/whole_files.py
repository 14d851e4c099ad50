"""Which files a session has run completely, so that a step that it did not measure is gone."""

from collections import Counter

import pytest

WHOLE_FILES = "ondevice-bench-whole-files"  # the name of the plugin


class WholeFiles:
    """A plugin that counts the tests of each file, before some of them are left out."""

    def __init__(self) -> None:
        self._tests: Counter[str] = Counter()
        self._broken: set[str] = set()

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Count the tests of a file, or of a class in it."""
        file = _file(report.nodeid)
        self._tests[file] += sum(isinstance(each, pytest.Item) for each in report.result)
        if report.failed:
            self._broken.add(file)

    def ran_all_of(self, session: pytest.Session, file: str) -> bool:
        """Whether the session has run every test of the file, or would have if it were there.

        `file` is relative to the root of the session, as in the names of tests.
        """
        config, path = session.config, (session.config.rootpath / file).resolve()
        ended = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        # with --lf, pytest leaves tests out before it reports what it has collected
        is_part = session.shouldstop or session.shouldfail or config.getoption("lf", False)
        if not ended or is_part or file in self._broken:
            return False
        kept = Counter(_file(item.nodeid) for item in session.items)
        if self._tests[file]:
            is_whole = kept[file] >= self._tests[file]
        else:
            # if some tests were left out, nobody knows whether those of this file would have been
            is_known = file in self._tests or not path.exists()
            is_whole = is_known and all(kept[each] >= self._tests[each] for each in self._tests)
        folder = config.invocation_params.dir
        places = ((folder / word).resolve() for word in config.args if "::" not in word)
        return is_whole and any(path.is_relative_to(place) for place in places)


def _file(name: str) -> str:
    """The file in the name of a test."""
    return name.partition("::")[0]
