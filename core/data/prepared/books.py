"""The text of a book, as Project Gutenberg has it -> sections of paragraphs, without what is not the story.

Left out, and counted: headings, pictures, tables, footnotes, notes of those who typed the book, lists of
contents. The words themselves stay as they are; only the line breaks inside prose go.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

Language = Literal["en", "fr"]

LONGEST_PARAGRAPH = 220  # words; longer ones are cut between two sentences

START = re.compile(r"^\*\*\* ?START OF (?:THE|THIS) PROJECT GUTENBERG.{0,500}?\*\*\*", re.M | re.S | re.I)
END = re.compile(
    r"^(?:\*\*\* ?END OF (?:THE|THIS) PROJECT GUTENBERG|End of (?:the |this )?Project Gutenberg)", re.M | re.I
)
NAMED = {
    "title": re.compile(r"^Title:[ \t]*(.+)$", re.M),
    "author": re.compile(r"^Author:[ \t]*(.+)$", re.M),
    "language": re.compile(r"^Language:[ \t]*(.+)$", re.M),
}
LANGUAGES: dict[str, Language] = {"english": "en", "french": "fr", "français": "fr"}
COMMON_WORDS: dict[Language, tuple[str, ...]] = {
    "en": ("the", "and", "of", "to", "was", "that", "he", "she", "it", "his", "her", "with", "had", "they"),
    "fr": ("le", "la", "les", "et", "de", "des", "du", "un", "une", "que", "il", "elle", "qui", "dans", "ne"),
}

PICTURE = re.compile(r"\[(?:illustration|vignette|image|gravure)[^\]]{0,1000}\]", re.I)
EMPHASIS = re.compile(r"(?<!\w)([_=])(?=\S)(.{1,300}?)(?<=\S)\1(?!\w)", re.S)
FOOTNOTE_MARK = re.compile(r"\[(?:\d{1,3}|\*+)\]|\{\d{1,3}\}")
FOOTNOTE = re.compile(r"\s*\[(?:(?:footnote|note)\b[^\]]*|\d{1,3}|\*+)\]?", re.I)
TYPIST = re.compile(
    r"\s*(?:(?:produced|prepared|transcribed|scanned) by|e-?text prepared|this e-?(?:book|text) was)", re.I
)
ADDRESS = re.compile(r"https?://|www\.", re.I)
TYPISTS_HEADING = re.compile(
    r"\s*(?:(?:transcriber|preparer|producer|editor)[’']?s?[’']? note"
    r"|notes? (?:du transcripteur|de transcription|sur la transcription)|au lecteur\b)",
    re.I,
)
CHAPTER = re.compile(
    r"(?i:chapter|chapitre|part|partie|book|livre)\s+[\w.]+\b.{0,60}|[IVXLC]+(?:\.(?: .{1,60})?)?"  # IV. The Storm
)
COLUMNS = re.compile(r"\S {3,}\S")  # a gap inside a line
SUMMARY = re.compile(r"\. [–—-]{1,2} ")  # The storm. -- A ship in danger. -- Four boys on deck.
ENDINGS = ".!?…:;,—–-\"'”’»)"

ABBREVIATED = re.compile(
    r"(?:^|[\s(«“‘\"'])(?:Mr|Mrs|Ms|Dr|St|Capt|Col|Gen|MM?|Mme|Mlle|No|vol|etc|[A-ZÀ-Þ])\.$"
)
BETWEEN_SENTENCES = re.compile(r"(?<=[.!?…])[”’»\"')]*\s+(?=[«“‘\"'(—–-]*\s?[A-ZÀ-ÖØ-Þ])")

# A mark that may be an apostrophe opens before a word and closes after a stop.
QUOTE_MARKS = re.compile(
    r"""(?P<opening>[“«‘]|(?<!\w)'(?=\w))|(?P<closing>[”»]|(?<=[,.!?;:…—-])[’'])|(?P<either>")"""
)


@dataclass(frozen=True, slots=True)
class Book:
    """A book to make rows of. `language` is None where it is neither English nor French."""

    title: str
    author: str
    language: Language | None
    sections: tuple[tuple[str, ...], ...]  # paragraphs between two headings
    paragraphs: int  # all there are, those left out included; a very long one counts as several
    left_out: Counter[str] = field(default_factory=Counter)  # reason -> paragraphs

    @property
    def key(self) -> str:
        """The same for two files of one book, in whatever encoding and with whatever quotation marks."""
        named = f"{self.title} {self.author}" if self.title else " ".join(map(" ".join, self.sections[:2]))
        return "".join(each for each in named.lower() if each.isascii() and each.isalnum())[:500]


def read_book(text: str) -> Book:
    """What a text file holds; one without Project Gutenberg's frame is taken whole."""
    head, body = _unframed(text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff"))
    named = {key: found[1].strip() if (found := line.search(head)) else "" for key, line in NAMED.items()}
    told = _Sections()
    for block in re.split(r"\n(?:[ \t]*\n)+", body):
        told.take(block)
    sections = tuple(tuple(each) for each in told.sections if each)
    author = "" if named["author"].lower() in ("various", "anonymous", "unknown") else named["author"]
    language = LANGUAGES.get(named["language"].lower()) or (
        _language(paragraph for section in sections for paragraph in section)
        if not named["language"]
        else None
    )
    return Book(named["title"], author, language, sections, told.paragraphs, told.left_out)


def sentences(paragraph: str) -> list[str]:
    """A paragraph's sentences, in order. Where speech is quoted, the cuts are a guess."""
    parts: list[str] = []
    begin = 0
    for gap in BETWEEN_SENTENCES.finditer(paragraph):
        end = gap.end() - len(gap[0]) + len(gap[0].rstrip())
        if not ABBREVIATED.search(paragraph[begin:end]):
            parts.append(paragraph[begin:end])
            begin = gap.end()
    return [*parts, paragraph[begin:]]


def in_speech(text: str) -> bool:
    """Whether somebody is still speaking at the end of a text."""
    marks = [mark.lastgroup for mark in QUOTE_MARKS.finditer(text)]
    pairs = [mark for mark in marks if mark != "either"]
    return (len(marks) - len(pairs)) % 2 == 1 or bool(pairs and pairs[-1] == "opening")


def words(text: str) -> int:
    return len(text.split())


def _unframed(text: str) -> tuple[str, str]:
    """What stands before Project Gutenberg's first mark, and what stands between the two."""
    start = START.search(text)
    head, body = (text[: start.start()], text[start.end() :]) if start else ("", text)
    end = END.search(body)
    return head, body[: end.start()] if end else body


def _language(paragraphs: Iterable[str]) -> Language | None:
    """The language whose commonest words make up a tenth of the text."""
    seen: Counter[str] = Counter()
    for paragraph in paragraphs:
        seen.update(re.findall(r"\w+", paragraph.lower()))
        if seen.total() > 20_000:
            break
    shares = {name: sum(seen[word] for word in common) for name, common in COMMON_WORDS.items()}
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] * 10 > seen.total() else None


class _Sections:
    """Paragraphs put in sections while a book is read."""

    def __init__(self) -> None:
        self.sections: list[list[str]] = [[]]
        self.paragraphs = 0
        self.left_out: Counter[str] = Counter()
        self._typist = False  # within a note of those who typed the book, which lasts until the next heading

    def take(self, block: str) -> None:
        if not block.strip():
            return
        self.paragraphs += 1
        cleaned = _cleaned(block)
        reason = _not_story(cleaned)
        if reason in ("heading", "ornament"):
            self._typist = bool(TYPISTS_HEADING.match(cleaned))
        elif reason is None and self._typist:
            reason = "note of those who typed the book"
        if reason:
            self.left_out[reason] += 1
            if reason not in ("picture", "footnote"):  # around which the story goes on
                self.sections.append([])
        else:
            parts = list(_short_enough(_unwrapped(cleaned)))
            self.paragraphs += len(parts) - 1
            if max(map(words, parts)) > 4 * LONGEST_PARAGRAPH:
                self.left_out["too long, and with nowhere to cut it"] += len(parts)
                self.sections.append([])
            else:
                self.sections[-1] += parts


def _cleaned(block: str) -> str:
    block = FOOTNOTE_MARK.sub("", PICTURE.sub("", block)) if not FOOTNOTE.match(block) else block
    return EMPHASIS.sub(r"\2", block).strip("\n").rstrip()


def _not_story(block: str) -> str | None:
    """Why a paragraph is left out; None if it is part of the story."""
    lines = [line for line in block.split("\n") if line.strip()]
    text = block.strip()
    letters = [each for each in text if each.isalpha()]
    if not text:
        return "picture"
    if not letters:
        return "ornament"
    if FOOTNOTE.match(block):
        return "footnote"
    if TYPIST.match(block) or ADDRESS.search(block):
        return "note of those who typed the book"
    if sum(bool(COLUMNS.search(line)) for line in lines) * 3 >= len(lines):
        return "table or list"
    if TYPISTS_HEADING.match(text) and words(text) <= 12:
        return "heading"
    if len(lines) <= 3 and words(text) <= 20:
        capital = sum(each.isupper() for each in letters) * 10 > len(letters) * 7
        if capital or CHAPTER.fullmatch(text) or (text[-1] not in ENDINGS and words(text) <= 12):
            return "heading"
    if sum(
        line.strip()[-1] not in ENDINGS and line.strip() == line.strip().upper() for line in lines
    ) * 2 > len(lines):
        return "table or list"
    if len(SUMMARY.findall(text)) >= 3 and not text.startswith(("«", "—", "–", "-")):
        return "summary of a chapter"
    if text[-1] not in ENDINGS and not lines[0].startswith("  "):
        return "no end of a sentence"
    return None


def _unwrapped(block: str) -> str:
    """Prose on one line; verse, which has short lines, or indented ones of their own lengths, keeps them."""
    lines = [re.sub(r"\s+", " ", line.strip()) for line in block.split("\n") if line.strip()]
    lengths = [len(line) for line in lines[:-1]]
    ragged = bool(lengths) and min(lengths) < 0.8 * max(lengths)
    verse = bool(lengths) and (max(lengths) < 50 or (block.startswith("  ") and ragged))
    return "\n".join(lines) if verse else " ".join(lines)


def _short_enough(paragraph: str) -> Iterator[str]:
    """The paragraph, or its parts of about equal length where it is a very long one."""
    total = words(paragraph)
    if total <= LONGEST_PARAGRAPH or "\n" in paragraph:
        yield paragraph
        return
    share = total / (total // LONGEST_PARAGRAPH + 1)
    part: list[str] = []
    for sentence in sentences(paragraph):
        part.append(sentence)
        now = " ".join(part)
        if words(now) >= share and (words(now) >= 2 * LONGEST_PARAGRAPH or not in_speech(now)):
            yield now
            part = []
    if part:
        yield " ".join(part)
