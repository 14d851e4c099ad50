"""The pages people read: their links lead somewhere, and their command blocks work.

Every command of a block must be one that `bench` takes. Quick ones are run here, and declarations
are read. What takes long, or needs what is not here, is marked on the line before its block:

    <!-- not run: WHY -->
    <!-- run by: tests/FILE.py -->

The second means the same verbs, perhaps on a smaller network or suite.
"""

import ast
import importlib
import re
import shlex
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer
from ruamel.yaml import YAML

from ondevice_bench.cli.app import app
from ondevice_bench.errors import BenchError
from ondevice_bench.fleet.fleet_file import load_fleet
from ondevice_bench.hardware.profile import load_profile
from ondevice_bench.papers.claims_file import load_published
from ondevice_bench.remote.address import boards
from ondevice_bench.report.layout import load_layout
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.space import load_space
from tests.ci_shell import bench_calls
from tests.conftest import ROOT

PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
        ROOT / "examples" / "README.md",
        ROOT / "changelog.d" / "README.md",
        *(ROOT / "docs").glob("*.md"),
    ]
)
BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]*) -->\n)?^```(?P<language>\w*)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w./-]+\.(?:py|yaml))\b")
BUILT = {ROOT / "docs" / "sample-report.html"}  # made for the site
QUICK = re.compile(
    r"bench (list|plan|account|show model)\b.*|bench doctor --quick|bench( .*)? --(help|version)"
)
SMALLEST = {"schema": 1, "title": "t", "models": ["mcunet"], "methods": ["vanilla"]}


@dataclass(frozen=True)
class Block:
    """A block of code on a page."""

    page: Path
    line: int
    language: str
    body: str
    mark: str

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def file(self) -> str | None:
        """The file that its first line names."""
        named = FILE.match(self.body)
        return named[1] if named else None

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command; what they print is left out."""
        lines = self.body.splitlines()
        if self.language == "console":
            lines = [line[2:] for line in lines if line.startswith("$ ")]
        elif self.language != "sh":
            return []
        parts = (part for line in lines for part in re.split(r"\s&&\s|\s\|\s", line))
        return [words for part in parts if (words := shlex.split(part, comments=True))]


def blocks_of(page):
    text = page.read_text()
    return [
        Block(
            page,
            text.count("\n", 0, found.start("language")) + 1,
            found["language"],
            found["body"],
            found["mark"] or "",
        )
        for found in BLOCK.finditer(text)
    ]


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def of(blocks):
    return pytest.mark.parametrize("block", blocks, ids=lambda block: block.where)


def is_quick(words):
    return QUICK.fullmatch(shlex.join(words)) is not None and "--on" not in words


@cache
def tree():
    return typer.main.get_command(app)


def refusal(words):
    """What `bench` says against a command; None where it takes it, and for any other program."""
    if words[0] != "bench":
        return None
    command, parent, rest = tree(), None, [word for word in words[1:] if word != "--debug"]
    try:
        while True:
            parent = command.make_context(command.name, rest, parent=parent)
            if not hasattr(command, "resolve_command") or not parent._protected_args:
                return None
            rest = [*parent._protected_args, *parent.args]
            _, command, rest = command.resolve_command(parent, rest)
    except typer.Exit:  # --help
        return None
    except typer.TyperException as error:
        return error.format_message()


def without_code(page):
    """The page's text, code blanked, so that lines keep their numbers."""
    return CODE.sub(lambda code: re.sub(r"[^\n]", " ", code[0]), page.read_text())


@cache
def anchors(page):
    """The names of the page's headings, as links say them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def problem(page, link):
    """What is wrong with a link; None where it leads somewhere."""
    target, _, anchor = link.partition("#")
    if re.match(r"\w+:", link):
        return None
    path = (page.parent / target).resolve() if target else page
    if path in BUILT:
        return None
    if not path.exists():
        return "there is no such file"
    if anchor and path.suffix == ".md" and anchor not in anchors(path):
        return f"{path.name} has no such heading"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_has_both_sides_of_a_merge(page):
    assert not re.search(r"^(<{7}|>{7}) ", page.read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: str(page.relative_to(ROOT))
)
def test_a_list_in_a_list_has_four_spaces(page):
    """With fewer, the site shows its points as points of the outer list."""
    assert not re.search(r"^ {1,3}(-|\d+\.) .*", without_code(page), re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    text = without_code(page)
    broken = [
        f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, found.start()) + 1}: {found[1]}: {why}"
        for found in LINK.finditer(text)
        if (why := problem(page, found[1]))
    ]
    assert not broken, "\n".join(broken)


@of([block for block in BLOCKS if block.commands])
def test_bench_takes_every_command_that_a_page_shows(block):
    wrong = [
        f"{block.where}: {shlex.join(words)}: {why}"
        for words in block.commands
        if (why := refusal(words))
    ]
    assert not wrong, "\n".join(wrong)


@of([block for block in BLOCKS if block.commands])
def test_every_block_of_commands_is_run_or_says_why_not(block):
    kind, colon, rest = block.mark.partition(": ")
    if kind == "run by" and colon:
        text = (ROOT / rest).read_text()
        verbs = {words[1] for words in block.commands if words[0] == "bench"}
        runs_them = verbs <= set(re.findall(r"[\w-]+", text)) or f'"{block.page.name}"' in text
        assert runs_them, f"{block.where}: {rest} names neither the page nor {sorted(verbs)}"
        return
    if (kind == "not run" and rest) or block.mark == "the tests":  # .ci/run runs that one
        return
    slow = [shlex.join(words) for words in block.commands if not is_quick(words)]
    assert not slow, (
        f"{block.where}: `{slow[0]}` is not run by this test: put `<!-- not run: WHY -->` or "
        "`<!-- run by: tests/FILE.py -->` on the line before the block"
    )


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """For each page a folder with the files that it shows; other pages' files where it has none."""
    folders = {}
    for page in PAGES:
        folder = folders[page] = tmp_path_factory.mktemp(page.stem)
        for block in sorted(BLOCKS, key=lambda block: block.page == page):
            if block.file is not None and not block.mark:
                path = folder / block.file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.body)
    return folders


def runs():
    """Each quick command once, with the first block that shows it."""
    found = {}
    for block in BLOCKS:
        if not block.mark.startswith("run by"):
            for words in filter(is_quick, block.commands):
                found.setdefault(shlex.join(words), block)
    return found


@pytest.mark.parametrize(("line", "block"), runs().items(), ids=list(runs()))
def test_a_quick_command_works(workplace, command, line, block):
    ended = command.run(shlex.split(line)[1:], workplace[block.page])
    allowed = {0, 5} if "doctor" in line else {0}  # 5: something disturbs this machine
    assert ended.code in allowed, f"{block.where}: {line}: {ended.err}"


@of([block for block in BLOCKS if block.language == "python"])
def test_python_on_a_page_is_python_and_imports_what_there_is(block):
    parsed = ast.parse(block.body, filename=block.where)
    for node in ast.walk(parsed):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ondevice_bench"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                is_there = hasattr(module, alias.name) or find_spec(f"{node.module}.{alias.name}")
                assert is_there, f"{block.where}: no {alias.name} in {module}"


@of([block for block in BLOCKS if block.language == "yaml" and not block.mark])
def test_yaml_on_a_page_is_a_declaration_that_bench_takes(block, workplace, tmp_path):
    values = YAML(typ="safe").load(block.body)
    assert isinstance(values, dict), block.where
    if "jobs" in values:
        assert refusals(values) == [], block.where
        return
    if "schema" not in values:  # some keys of a suite
        values = SMALLEST | values
    folder = workplace[block.page] / "suites"
    folder.mkdir(exist_ok=True)
    path = folder / "shown.yaml"
    with path.open("w") as file:
        YAML().dump(values, file)
    try:
        if "models" in values:
            load_suite(str(path))
        elif "sections" in values:
            load_layout(str(path))
        elif "claims" in values:
            load_published(path)
        elif "boards" in values:
            load_fleet(path) if isinstance(values["boards"], list) else boards(path)
        elif "methods" in values:
            load_space(str(path))
        else:
            load_profile(str(path))
    except BenchError as error:
        pytest.fail(f"{block.where}: {'; '.join(error.lines)}", pytrace=False)


WORKFLOWS = {
    path.stem: YAML(typ="safe").load(path.read_text())
    for path in (ROOT / ".github" / "workflows").glob("*.yml")
}


def lines(workflow):
    return [
        step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step
    ]


def refusals(workflow):
    """What `bench` says against the commands of a workflow."""
    calls = (words for line in lines(workflow) for words in bench_calls(line))
    return [why for words in calls if (why := refusal(words))]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_bench_takes_the_commands_of_the_workflows(name):
    assert refusals(WORKFLOWS[name]) == []


def test_the_workflow_of_the_checks_runs_the_line_of_the_readme():
    text = (ROOT / "README.md").read_text()
    line = text.partition("<!-- the tests -->\n```sh\n")[2].partition("\n")[0]
    assert line
    assert line in lines(WORKFLOWS["checks"])


def test_the_share_in_the_readme_is_that_of_its_table():
    text = (ROOT / "README.md").read_text()
    peaks = {
        name: float(peak)
        for name, peak in re.findall(
            r"^ (vanilla|checkpoint) .*?ms +([\d.]+) MiB", text, re.MULTILINE
        )
    }
    (said,) = re.findall(r"but only (\d+) % of its peak memory", text)
    assert int(said) == round(100 * (1 - peaks["checkpoint"] / peaks["vanilla"]))
