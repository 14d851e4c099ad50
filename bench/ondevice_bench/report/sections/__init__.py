"""The sections that layouts can name: every `Section` in the files of this folder."""

import pkgutil
from importlib import import_module

from ondevice_bench.report.sections.section import Section


def sections() -> dict[str, Section]:
    """Every section by its name."""
    modules = [import_module(f"{__name__}.{each.name}") for each in pkgutil.iter_modules(__path__)]
    members = [member for module in modules for member in vars(module).values()]
    return {member.name: member for member in members if isinstance(member, Section)}
