"""Plain text and Markdown -> rows {"text": ...}: paragraphs, put together up to a length."""

import re
from collections.abc import Iterator
from typing import BinaryIO

from core.data.files.lines import LongLine, decoded, lines
from core.data.remarks import Remark
from core.data.rows import Read, too_long, unread

LENGTH = 2000  # characters of a row, about 500 tokens: a page of a small book
ENDS = (". ", "! ", "? ", ".” ", ".\n", "; ", ", ", " ", "\n")  # where a long paragraph is cut, best first
SPACE = re.compile(r"\s*")


def rows(file: BinaryIO) -> Iterator[Read]:
    """Pieces of the text, each with the line on which it begins; at last, on line 1, how many there are."""
    pieces = 0
    for read in _pieces(file):
        pieces += type(read.row) is dict
        yield read
    if pieces:
        yield Read(1, None, (_cut_into(pieces),))


def _pieces(file: BinaryIO) -> Iterator[Read]:
    collected = _Collected()
    said: set[str] = set()
    for number, raw in enumerate(lines(file), 1):
        text, remarks = (too_long("line"), ()) if type(raw) is LongLine else decoded(raw)
        news = tuple(each for each in remarks if each.code not in said)  # about a whole file, once is enough
        said.update(each.code for each in news)
        if isinstance(text, Remark):
            yield from collected.rest()
            yield Read(number, unread(text, raw), news)
            continue
        if news:
            yield Read(number, None, news)
        yield from collected.add(number, text.rstrip("\r\n"))
    yield from collected.rest()


def _cut_into(pieces: int) -> Remark:
    return Remark(
        "cut-into-rows",
        f"The text was cut at blank lines into {pieces:,} {'row' if pieces == 1 else 'rows'} "
        f"of up to {LENGTH:,} characters.",
        "Nothing to do; for other pieces, write one row for each.",
    )


class _Collected:
    """Lines that make a paragraph, and paragraphs that make a row."""

    def __init__(self) -> None:
        self.row: list[str] = []  # whole paragraphs
        self.row_line = 0  # on which they begin
        self.lines: list[str] = []  # of the paragraph that goes on
        self.line = 0
        self.length = 0  # of these lines

    def add(self, number: int, line: str) -> Iterator[Read]:
        """What is finished now that this line is there."""
        if not line or line.isspace():
            yield from self._end_paragraph()
            return
        if not self.lines:
            self.line = number
        self.lines.append(line)
        self.length += len(line) + 1
        if self.length > LENGTH:
            yield from self._cut()

    def rest(self) -> Iterator[Read]:
        yield from self._end_paragraph()
        yield from self._end_row()

    def _end_paragraph(self) -> Iterator[Read]:
        if not self.lines:
            return
        paragraph = "\n".join(self.lines)
        if self.row and sum(len(each) + 2 for each in self.row) + len(paragraph) > LENGTH:
            yield from self._end_row()
        if not self.row:
            self.row_line = self.line
        self.row.append(paragraph)
        self.lines, self.length = [], 0

    def _end_row(self) -> Iterator[Read]:
        if self.row:
            yield Read(self.row_line, {"text": "\n\n".join(self.row)})
            self.row = []

    def _cut(self) -> Iterator[Read]:
        """Rows of a paragraph that is longer than one; what is left of it stays."""
        yield from self._end_row()
        text, begin = "\n".join(self.lines), 0
        while len(text) - begin > LENGTH:
            end = _good_end(text, begin)
            yield Read(self.line, {"text": text[begin:end].rstrip()})
            end = SPACE.match(text, end).end()
            self.line += text.count("\n", begin, end)
            begin = end
        left = text[begin:]
        self.lines, self.length = ([left], len(left) + 1) if left else ([], 0)


def _good_end(text: str, begin: int) -> int:
    """Where to cut: after a sentence in the second half of what fits, or else after a word."""
    for end in ENDS:
        at = text.rfind(end, begin + LENGTH // 2, begin + LENGTH)
        if at >= 0:
            return at + len(end)
    return begin + LENGTH
