"""Markup -> the words that a reader sees. Nothing is added; what cannot be read aloud is left out."""

import html
import re
import unicodedata
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

LONGEST_TEXT = 20_000  # characters of one paragraph or cell; none that a person wrote is longer
OPEN, CLOSE = "\x02", "\x03"  # stand around the text of a link while it is read

TURNING = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\ufff9-\ufffb]")
ONLY_LINKS = re.compile(rf"\s*[(\[](?:[\s,;/|·]*{OPEN}[^{OPEN}{CLOSE}]*{CLOSE})+[\s,;/|·]*[)\]]")
ADDRESS = re.compile(r"<?(?:https?|ftp)://[^\s<>()«»“”]+>?|\bwww\.[^\s<>()«»“”]+", re.IGNORECASE)
EMPTY_BRACKETS = re.compile(r"\s*[(\[]\s*[)\]]")
FOOTNOTE = re.compile(r"\[\^[^\]\s]{1,40}\]")
TAG = re.compile(r"</?[a-zA-Z][^<>]{0,2000}>|<!--.*?-->", re.DOTALL)
BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
MARKUP = re.compile(r"[*_`\[\]<>&\\~!\n]")
SPACES = re.compile(r"[ \t\r\n\x0b\x0c]+")

markdown = MarkdownIt("commonmark", {"maxNesting": 40}).enable("table").disable("inline")


def printable(text: str) -> str:
    """The text without control characters, lone surrogates and marks that turn the direction of writing."""
    text = TURNING.sub("", text)
    if text.isprintable():
        return text
    return "".join(
        each
        for each in text
        if each.isprintable() or each in "\n\t" or unicodedata.category(each) in ("Zs", "Cf")
    )


def one_line(text: str) -> str:
    """The text on one line, without addresses, tags and references to footnotes."""
    text = html.unescape(printable(text))
    text = TAG.sub("", BREAK.sub(" ", FOOTNOTE.sub("", text)))
    if "/" in text or "www" in text:
        text = EMPTY_BRACKETS.sub("", ADDRESS.sub("", text))
    text = SPACES.sub(" ", text).strip()
    return re.sub(r"[ \u00a0]([,.)\]])(?!\w)", r"\1", text)


def inline(source: str) -> list[Token]:
    """The parts of a paragraph; none if it is too long to have been written by a person."""
    if len(source) > LONGEST_TEXT:
        return []
    tokens = _inline_parser().parseInline(FOOTNOTE.sub("", source))
    return tokens[0].children or [] if tokens else []


@lru_cache(1)
def _inline_parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"maxNesting": 40}).enable("strikethrough")


def words(tokens: list[Token]) -> str:
    """What a reader sees of these parts: no addresses, pictures, marks of emphasis, or brackets of links only."""
    found = []
    for token in tokens:
        if token.type in ("text", "code_inline", "text_special"):
            found.append(token.content.replace(OPEN, "").replace(CLOSE, ""))
        elif token.type in ("softbreak", "hardbreak") or BREAK.fullmatch(token.content):
            found.append(" ")
        elif token.type == "link_open":
            found.append(OPEN)
        elif token.type == "link_close":
            found.append(CLOSE)
    text = ONLY_LINKS.sub("", "".join(found))
    return one_line(text.replace(OPEN, "").replace(CLOSE, ""))


def plain(source: str) -> str:
    """Markdown or HTML of one paragraph or cell as words."""
    if not MARKUP.search(source):
        return one_line(source[:LONGEST_TEXT])
    return words(inline(source)) if len(source) <= LONGEST_TEXT else ""


def is_navigation(tokens: list[Token]) -> bool:
    """Whether a paragraph only leads elsewhere: a table of contents, badges, "back to top", "see also"."""
    depth, outside, links, inner = 0, "", 0, 0
    for token in tokens:
        if token.type == "link_open":
            depth, links = depth + 1, links + 1
            inner += str(token.attrGet("href") or "").startswith("#")
        elif token.type == "link_close":
            depth -= 1
        elif token.type in ("text", "code_inline") and not depth:
            outside += token.content
    letters = sum(each.isalnum() for each in outside)
    pictures = any(token.type == "image" for token in tokens)
    return bool(links or pictures) and (letters == 0 or (inner == links and letters < 20))


def bold(tokens: list[Token]) -> list[str]:
    """The phrases in bold, in their order."""
    found, begin = [], None
    for at, token in enumerate(tokens):
        if token.type == "strong_open" and begin is None:
            begin = at
        elif token.type == "strong_close" and begin is not None:
            found.append(words(tokens[begin + 1 : at]))
            begin = None
    return [each for each in found if each]
