"""The templates of a site, and the policy that lets a browser run only the script of the page."""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ondevice_bench
from ondevice_bench.declare.folders import builtin, resource
from ondevice_bench.errors import BadInput
from ondevice_bench.terminal import UNSAFE, printable

if TYPE_CHECKING:
    from jinja2 import Environment

MAX_PAGE = 2_000_000  # bytes of one page
_STYLES = ("theme/theme.css", "theme/site.css")
_SCRIPT = "theme/pairs.js"


class PageTooLarge(BadInput):
    """A page would have more than `MAX_PAGE` bytes."""


def filled(name: str, path: str, values: Mapping[str, Any], *, has_script: bool = False) -> bytes:
    """The page at `path`, which is relative to the site; PageTooLarge beyond 2 MB."""
    script = _script() if has_script else ""
    text = (
        _environment()
        .get_template(f"site/{name}.html.j2")
        .render(
            **values,
            home="../" * path.count("/"),
            style=_style(),
            script=script,
            policy=_policy(script),
            version=ondevice_bench.__version__,
        )
    )
    page = printable(text.replace("\r\n", "\n")).encode()
    if len(page) > MAX_PAGE:
        raise PageTooLarge(f"{path}: its page would have more than {MAX_PAGE // 10**6} MB")
    return page


@cache
def look() -> str:
    """A hash of everything that decides the look of pages: templates, styles and script."""
    templates = sorted((builtin("reports") / "templates" / "site").glob("*.j2"))
    found = hashlib.sha256()
    for path in (*templates, *map(resource, (*_STYLES, _SCRIPT))):
        found.update(path.read_bytes())
    return found.hexdigest()


def _policy(script: str) -> str:
    runs = "'none'"
    if script:
        runs = f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
    return (
        f"default-src 'none'; script-src {runs}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # slow to import

    return Environment(
        loader=FileSystemLoader(builtin("reports") / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _style() -> str:
    return "\n".join(_text(resource(name)) for name in _STYLES)


@cache
def _script() -> str:
    return UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", _text(resource(_SCRIPT)))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
