"""The wheel of the running `bench`, made from its own files: a board gets what runs here.

Equal files give equal bytes, whether this `bench` was installed or runs from a checkout.
"""

import base64
import hashlib
from collections.abc import Iterator
from importlib.metadata import distribution
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import ondevice_bench
from ondevice_bench.declare.folders import builtin
from ondevice_bench.remote.version import DISTRIBUTION, ROOT, code_files

_DECLARED = ("suites", "hardware", "reports")
_WHEEL = "Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def wheel() -> tuple[str, bytes]:
    """The name and the content of the wheel."""
    stem = f"{DISTRIBUTION.replace('-', '_')}-{ondevice_bench.__version__}"
    members = {**_package(), **{f"{stem}.dist-info/{k}": v for k, v in _metadata().items()}}
    record = f"{stem}.dist-info/RECORD"
    lines = [f"{name},sha256={_hash(data)},{len(data)}\n" for name, data in members.items()]
    members[record] = "".join([*lines, f"{record},,\n"]).encode()
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as file:
        for name, data in members.items():
            member = ZipInfo(name)  # of 1980, as every member
            member.external_attr = 0o644 << 16
            member.compress_type = ZIP_DEFLATED
            file.writestr(member, data)
    return f"{stem}-py3-none-any.whl", packed.getvalue()


def _package() -> dict[str, bytes]:
    """The files of the package, with the declarations that it carries."""
    found = {_member(path, ROOT, ROOT.name): path.read_bytes() for path in code_files()}
    for kind in _DECLARED:
        folder = builtin(kind)
        for path in _files(folder):
            found[_member(path, folder, f"{ROOT.name}/builtin/{kind}")] = path.read_bytes()
    return found


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.rglob("*") if path.is_file())


def _member(path: Path, folder: Path, above: str) -> str:
    return f"{above}/{path.relative_to(folder).as_posix()}"


def _metadata() -> dict[str, bytes]:
    """What pip needs to know: the requirements and the commands."""
    installed = distribution(DISTRIBUTION)
    lines = (installed.read_text("METADATA") or "").splitlines()
    version = f"Version: {ondevice_bench.__version__}"  # an editable one may be older
    metadata = "\n".join(version if line.startswith("Version: ") else line for line in lines)
    texts = {
        "METADATA": f"{metadata}\n",
        "WHEEL": _WHEEL,
        "entry_points.txt": installed.read_text("entry_points.txt") or "",
    }
    return {name: text.encode() for name, text in texts.items()}


def _hash(data: bytes) -> str:
    digest = hashlib.sha256(data).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
