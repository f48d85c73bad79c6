"""The documentation against the program: links, commands, settings, flags, and the pages that are made from the code."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from cyclopts import App, CycloptsError
from markdown_it import MarkdownIt
from markdown_it.token import Token

from core.cli import app
from core.spec import RunSpec, settings

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
INDEX = DOCS / "README.md"
PAGES = sorted(
    [*DOCS.rglob("*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))]
)
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
SETTING = re.compile(rf"(?<![\w./-])(?:{'|'.join(RunSpec.model_fields)})\.[a-z_]+(?:\.[a-z_]+)?\b(?![(/-])")
# What looks like a setting and is a file, such as model.safetensors, or a line of Python.
ENDINGS = r"(?:py|md|png|json|jsonl|yaml|html|safetensors|csv|generate)$"
# Options of other programs that the pages name.
FOREIGN = {"--enable-lora", "--multi_gpu"}

pytestmark = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


@cache
def tokens(page: Path) -> tuple[Token, ...]:
    """The page's blocks, and what stands in their lines, one after the other."""
    text = re.sub(r"\A---\n.*?\n---\n", "", page.read_text("utf-8"), flags=re.DOTALL)
    blocks = MarkdownIt("commonmark").enable("table").parse(text)
    return tuple(each for block in blocks for each in (block, *(block.children or ())))


@cache
def anchors(page: Path) -> set[str]:
    """What may stand after # in a link to the page, as GitHub makes it of headings."""
    found: set[str] = set()
    for before, block in zip(tokens(page), tokens(page)[1:], strict=False):
        if before.type != "heading_open":
            continue
        words = "".join(each.content for each in block.children or ())
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        found.add(slug if slug not in found else f"{slug}-1")
    return found


def links(page: Path) -> Iterator[str]:
    for token in tokens(page):
        target = token.attrGet("href" if token.type == "link_open" else "src")
        if target and not ADDRESS.match(str(target)):
            yield str(target)


def target(page: Path, link: str) -> tuple[Path, str]:
    path, _, anchor = link.partition("#")
    return ((page.parent / path).resolve() if path else page), anchor


def commands(page: Path) -> Iterator[str]:
    """Every line that begins `atelier`, in blocks and within sentences."""
    for token in tokens(page):
        if token.type in ("fence", "code_block") and token.info != "python":
            yield from _lines(token.content)
        elif token.type == "code_inline" and token.content.startswith("atelier "):
            yield token.content


def _lines(block: str) -> Iterator[str]:
    for line in block.replace("\\\n", " ").splitlines():
        for part in re.split(r"&&|;| \| ", line):
            found = re.match(r"\s*(?:\$ )?(?:[A-Z_]+=\S+ )*(atelier .*)", part)
            if found:  # what an option does may stand beside it, two spaces away
                yield re.split(r"\s{2,}(?=[^-\s])|\s+#", found[1])[0].strip()


def _every(parent: App) -> Iterator[App]:
    yield parent
    for name, verb in parent.resolved_commands().items():
        if not name.startswith("-"):
            yield from _every(verb)


def is_name(words: list[str]) -> bool:
    """Whether a command, or one of its options, is only named."""
    _, verbs, rest = app.parse_commands(words)
    return len(verbs) > 1 and all(word.startswith("--") for word in rest)


@cache
def flags() -> set[str]:
    verbs = [verb for verb in _every(app) if verb.default_command]
    arguments = [each for verb in verbs for each in verb.assemble_argument_collection()]
    whole = {f"--{path.replace('_', '-')}" for path in settings()}
    return {name for each in arguments for name in each.names} | whole | {"--help", "--version"}


def test_every_link_leads_to_a_file_and_a_heading(page):
    broken = []
    for link in links(page):
        file, anchor = target(page, link)
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append(link)
    assert broken == []


def test_every_command_is_one_that_the_program_understands(page):
    refused = {}
    for line in commands(page):
        words = shlex.split(line, comments=True)[1:]
        if is_name(words):
            continue
        try:
            app.parse_args(words, exit_on_error=False, print_error=False)
        except (CycloptsError, ValueError) as error:
            refused[line] = str(error)
    assert refused == {}


def test_every_setting_and_option_that_is_named_exists(page):
    known = {*settings(), *(name.removeprefix("--").replace("-", "_") for name in flags())}
    unknown = []
    for token in tokens(page):
        if token.type not in ("code_inline", "fence", "code_block"):
            continue
        named = [name for name in SETTING.findall(token.content) if not re.search(ENDINGS, name)]
        unknown += [name for name in named if name not in known]
        if token.type == "code_inline" and token.content.startswith(("--", "atelier ")):
            options = re.findall(r"(?<![\w-])--[a-z][\w.-]*", token.content)
            unknown += [name for name in options if name not in flags() | FOREIGN]
    assert unknown == []


def test_every_page_can_be_reached_from_the_index(page):
    seen, ahead = set(), [INDEX]
    while ahead:
        here = ahead.pop()
        seen.add(here)
        reached = {target(here, link)[0] for link in links(here)} - seen
        ahead += [each for each in reached if each.suffix == ".md" and each.is_file()]
    assert page in seen


@cache
def made() -> dict[str, str]:
    place = importlib.util.spec_from_file_location("reference", DOCS / "reference.py")
    reference = importlib.util.module_from_spec(place)
    place.loader.exec_module(reference)
    return reference.pages()


def test_pages_that_are_made_from_the_code_say_what_it_says(page):
    if page.parent.name == "reference":
        assert page.read_text("utf-8") == made()[page.name], "run: python docs/reference.py"
    else:
        assert {page.name for page in PAGES if page.parent.name == "reference"} == set(made())
