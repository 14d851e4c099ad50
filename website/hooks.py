"""What the documentation site holds beyond `docs/`, and what it must not load.

- Pages of the repository's root become pages of the site.
- A link to a file or folder of the repository becomes a link to a page that shows it.
- The sample report is drawn from a stored run.
- A page that would load anything from another host fails the build.
"""

import os
import posixpath
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "website" / "sample.bundle"  # of one run: `bench export ablation -o …`
# texts outside `docs/` that are pages of the site
ROOT_PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "examples/README.md": "examples.md",
}
LANGUAGES = {".md": "markdown", ".py": "python", ".toml": "toml", ".yaml": "yaml", ".yml": "yaml"}
LINK = re.compile(r"(\]\()([^)#\s]+)([^)\s]*\))")
LOADED = re.compile(
    r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=\"?((?:https?:)?//[^\"\s>]+)"
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the root, pages that show linked sources, and the sample report."""
    texts = {f"docs/{file.src_uri}": file.content_string for file in files.documentation_pages()}
    for path, page in ROOT_PAGES.items():
        texts[path] = (ROOT / path).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=texts[path]))
    linked = {
        path
        for origin, text in texts.items()
        for _, link, _ in LINK.findall(text)
        if (path := _path(origin, link)) is not None and _page(path).startswith("source/")
    }
    for path in sorted(linked):
        shown = File.generated(
            config, _page(path), content=_shown(path), inclusion=InclusionLevel.NOT_IN_NAV
        )
        files.append(shown)
    files.append(File.generated(config, "sample-report.html", content=_sample_report()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to files of the repository lead to the pages that stand for them."""
    if page.file.src_uri.startswith("source/"):
        return markdown
    origins = {site: path for path, site in ROOT_PAGES.items()}
    origin = origins.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def replaced(link: re.Match[str]) -> str:
        path = _path(origin, link[2])
        return link[0] if path is None else f"{link[1]}{_page(path)}{link[3]}"

    return LINK.sub(replaced, markdown)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Refuse a page that loads anything from another host."""
    loaded = LOADED.search(output)
    if loaded is not None:
        raise PluginError(f"{page.file.src_uri}: loads {loaded[1]}: the site must work offline")
    return output


def _path(origin: str, link: str) -> str | None:
    """The path in the repository that a link leads to; None where there is no such file."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), link))
    return path if (ROOT / path).exists() else None


def _page(path: str) -> str:
    """The page of the site that stands for a path of the repository."""
    if path == "README.md":
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return ROOT_PAGES.get(path, f"source/{path}.md")


def _shown(path: str) -> str:
    """A page with the text of a file, or of each file of a folder."""
    place = ROOT / path
    files = sorted(place.glob("*.*")) if place.is_dir() else [place]
    blocks = [
        f"**{file.relative_to(ROOT)}**\n\n"
        f"````{LANGUAGES.get(file.suffix, 'text')}\n{file.read_text(encoding='utf-8')}````\n"
        for file in files
    ]
    return "\n".join([f"---\ntitle: {path}\nsearch: {{exclude: true}}\n---\n", *blocks])


def _sample_report() -> bytes:
    """The report of the stored sample, drawn by the command."""
    with tempfile.TemporaryDirectory() as folder:
        _bench(folder, "import", str(SAMPLE))
        (suite,) = (path.name for path in (Path(folder) / "bench-out").iterdir())
        _bench(folder, "report", suite, "--out", "page.html")
        return (Path(folder) / "page.html").read_bytes()


def _bench(folder: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ondevice_bench", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "bench")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise PluginError(f"the sample report: {done.stderr.strip()}")
