"""Files inside packages of others: weights and data. The packages are not imported."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class PackagedFile:
    """A file inside a package that may be installed."""

    package: str  # its name in imports
    distribution: str  # its name for pip
    file: str

    def path(self) -> Path | None:
        """The path of the file; None if the package is not installed."""
        package = find_spec(self.package)
        if package is None or not package.submodule_search_locations:
            return None
        return Path(package.submodule_search_locations[0]) / self.file
