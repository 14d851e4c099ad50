"""The kinds of declarations that have a JSON Schema. A new kind is one row."""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel

from ondevice_bench.fleet.fleet_file import FleetSchema
from ondevice_bench.hardware.profile import ProfileSchema
from ondevice_bench.papers.claims_file import ClaimsSchema
from ondevice_bench.remote.address import HostsSchema
from ondevice_bench.report.layout import LayoutSchema
from ondevice_bench.suite.schema import make_suite_schema
from ondevice_bench.suite.space import make_space_schema


@dataclass(frozen=True)
class Kind:
    """A kind of file, and its schema. `files` is the pattern of such files in this repository."""

    name: str
    title: str
    schema: Callable[[], type[BaseModel]]
    files: str = ""


KINDS = (
    Kind("suite", "a suite", make_suite_schema, "suites/*.yaml"),
    Kind("search", "a search space", make_space_schema, "suites/search/*.yaml"),
    Kind("hardware", "a hardware profile", lambda: ProfileSchema, "hardware/*.yaml"),
    Kind("layout", "the layout of a page", lambda: LayoutSchema, "reports/layouts/*.yaml"),
    Kind("claims", "published claims", lambda: ClaimsSchema, "reports/claims.yaml"),
    Kind("hosts", "boards on the network", lambda: HostsSchema),
    Kind("fleet", "the boards of a lab", lambda: FleetSchema),
)
BY_NAME = {kind.name: kind for kind in KINDS}
