"""The words in a store for what made a run, and for a run without a commit."""

RUN = "run"  # `bench run`, and commands that measure as it does
FLEET = "fleet"  # `bench fleet run`: several boards may have measured it
AB = "ab"  # one side of `bench ab`: its rounds alternate with those of the other side
PYTEST = "pytest"  # cells or steps of tests
IMPORTED = "import"  # a bundle: such a run is never continued

NO_COMMIT = "nocommit"  # the commit of a run outside of a repository


def after_import(origin: str) -> str:
    """What made an imported run. The runs of `bench ab` and pytest are never continued anyway."""
    return origin if origin in (AB, PYTEST) else IMPORTED


def commit_text(commit: str) -> str:
    """The commit of a run for people: "none" outside of a repository."""
    return "none" if commit == NO_COMMIT else commit
