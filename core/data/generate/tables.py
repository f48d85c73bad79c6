"""Rows of cells -> records, whatever the table was written in; and the tables that are written in HTML."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser

from core.data.generate.clean import LONGEST_TEXT, plain
from core.data.generate.documents import Field, Passage, Record
from core.data.generate.fields import (
    NOUNS,
    SENTENCE_END,
    is_empty,
    key_of,
    name_column,
    opaque_columns,
)
from core.data.generate.fields import field as field_of
from core.data.generate.lexicon import word_set

MOST_ROWS = 20_000
MOST_COLUMNS = 60
LONGEST_NAME = 100
LONGEST_VALUE = 1500
CHECK_MARKS = word_set("x ✓ ✔ ✗ ✘ ☑ ☒ ● ○ •")
BEGINS = re.compile(r"<(table|dl)\b", re.IGNORECASE)


@dataclass
class Table:
    """`rows` are (first line, last line, cells); cells beyond the header's are left out."""

    header: list[str]
    rows: list[tuple[int, int, list[str]]] = field(default_factory=list)
    section: str = ""


def records(
    file: str, tables: Sequence[Table], legends: dict[str, dict[str, str]], left_out: Counter[str]
) -> Iterator[Record]:
    """The rows of all tables of a document; what a column is good for is judged over all that have its header."""
    kinds: dict[tuple[str, ...], list[Table]] = {}
    for table in tables:
        kinds.setdefault(tuple(table.header), []).append(table)
    for header, alike in kinds.items():
        names = _unique(header)
        rows = [dict(zip(names, cells, strict=False)) for table in alike for _, _, cells in table.rows]
        about = name_column(rows, names)
        if about is None:
            left_out["tables in which no column says what a row is about"] += len(rows)
            continue
        told = [name for name in names if any(decoded(name, row.get(name, ""), legends) for row in rows)]
        opaque = opaque_columns(rows, [name for name in names if name != about and name not in told])
        for name, why in opaque.items():
            left_out[f"{why} ({name})"] += 1
        for table in alike:
            yield from _records(file, table, names, about, opaque, legends, left_out)


def _records(
    file: str,
    table: Table,
    names: list[str],
    about: str,
    opaque: dict[str, str],
    legends: dict[str, dict[str, str]],
    left_out: Counter[str],
) -> Iterator[Record]:
    noun = key_of(about).split(" ")[0] if key_of(about).split(" ")[0] in NOUNS else ""
    for first, last, cells in table.rows:
        row = dict(zip(names, cells, strict=False))
        name = tidy_name(row.get(about, ""))
        if not name or is_empty(name):
            left_out["rows without a name"] += 1
            continue
        if len(name) > LONGEST_NAME:
            left_out["rows whose name is longer than 100 characters"] += 1
            continue
        fields = []
        for column in names:
            value = row.get(column, "")
            if column == about or column in opaque or not column or value.casefold().strip() in CHECK_MARKS:
                continue
            found = decoded(column, value, legends) or field_of(column, value[:LONGEST_VALUE])
            if found and found.value != name and not is_empty(found.value):
                fields.append(found)
        shown = "; ".join(
            f"{column}: {value}" for column, value in row.items() if column and not is_empty(value)
        )
        passage = Passage(file, first, last, shown[: 4 * LONGEST_VALUE])
        yield Record(name, tuple(fields), table.section, passage, noun, "column")


def decoded(column: str, value: str, legends: dict[str, dict[str, str]]) -> Field | None:
    """The field with what the document's legend says its code means; None if it says nothing of it."""
    words = key_of(column).split()
    for label, codes in legends.items():
        alike = any(word.startswith(label) or (len(word) > 2 and label.startswith(word)) for word in words)
        meaning = codes.get(value.strip().casefold())
        if alike and meaning:
            return Field(column, meaning, (meaning,))
    return None


def tidy_name(text: str) -> str:
    """A name without the half of a pair of quotation marks, and without what ends a sentence."""
    text = text.strip().rstrip(":").strip()
    if text.count('"') % 2:
        text = text.strip('"').strip()
    return text


def tidy_value(text: str) -> str:
    """A value without the full stop of a single sentence."""
    text = text.strip()
    if text.endswith(".") and not text.endswith("..") and not SENTENCE_END.search(text):
        return text[:-1]
    return text


def _unique(header: Sequence[str]) -> list[str]:
    seen: Counter[str] = Counter()
    names = []
    for name in header[:MOST_COLUMNS]:
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} {seen[name]}")
    return names


def regions(lines: list[str]) -> Iterator[tuple[int, int]]:
    """Where the HTML tables and definition lists of a Markdown text stand: from line, to line (exclusive)."""
    fence, begin, tag = "", None, ""
    for number, line in enumerate(lines):
        head = line.lstrip()[:3]
        if begin is None and head in ("```", "~~~"):
            fence = "" if fence == head else fence or head
        if fence:
            continue
        if begin is None:
            found = BEGINS.match(line.lstrip()[:20])
            if found:
                begin, tag = number, f"</{found[1].lower()}"
        if begin is not None and tag in line.lower():
            yield begin, number + 1
            begin = None


class HtmlTable(HTMLParser):
    """Reads one table, or one definition list as a table of names and descriptions."""

    def __init__(self, first_line: int) -> None:
        super().__init__(convert_charrefs=True)
        self.first_line = first_line
        self.rows: list[tuple[int, int, list[str], bool]] = []  # the last: whether all its cells are headings
        self.terms: list[tuple[int, int, str, str]] = []
        self._cell: list[str] | None = None
        self._row: list[str] = []
        self._heads = 0
        self._began = 0
        self._span = 1
        self._hanging: dict[int, tuple[int, str]] = {}  # column -> rows it still reaches into, its text
        self._term = ""
        self._length = 0
        self._silent = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style"):
            self._silent += 1
        elif tag == "tr":
            self._end_row()
            self._began = self._line()
        elif tag in ("td", "th", "dt", "dd"):
            self._end_cell()
            self._cell, self._length = [], 0
            self._heads += tag == "th"
            self._tag = tag
            spans = dict(attributes)
            self._span = _small(spans.get("rowspan"))
            self._wide = _small(spans.get("colspan"))
            if tag in ("dt", "dd"):
                self._began = self._line()
        elif tag in ("br", "p", "li", "div") and self._cell is not None:
            self._cell.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._silent = max(0, self._silent - 1)
        elif tag in ("td", "th", "dt", "dd"):
            self._end_cell()
        elif tag in ("tr", "table"):
            self._end_row()

    def handle_data(self, data: str) -> None:
        if self._cell is not None and not self._silent and self._length < LONGEST_TEXT:
            self._cell.append(data)
            self._length += len(data)

    def _line(self) -> int:
        return self.first_line + self.getpos()[0] - 1

    def _end_cell(self) -> None:
        if self._cell is None:
            return
        text = plain(re.sub(r"[<>]", "", "".join(self._cell)).strip())
        self._cell = None
        if self._tag == "dt":
            self._term = text
        elif self._tag == "dd":
            if self._term and text and len(self.terms) < MOST_ROWS:
                self.terms.append((self._began, self._line(), self._term, text))
        elif len(self._row) < MOST_COLUMNS:
            self._fill()
            if self._span > 1:
                self._hanging[len(self._row)] = (self._span - 1, text)
            self._row.append(text)
            self._row += [""] * min(self._wide - 1, MOST_COLUMNS)

    def _fill(self) -> None:
        """Put in the cells that reach down from rows above."""
        while len(self._row) in self._hanging:
            left, text = self._hanging.pop(len(self._row))
            if left > 1:
                self._hanging[len(self._row)] = (left - 1, text)
                self._row.append(text)
                continue
            self._row.append(text)

    def _end_row(self) -> None:
        self._end_cell()
        if self._row and len(self.rows) < MOST_ROWS:
            self._fill()
            self.rows.append((self._began, self._line(), self._row, self._heads == len(self._row)))
        self._row, self._heads = [], 0


def _small(number: str | None) -> int:
    return (
        min(int(number), 200) if number and number.isascii() and number.isdigit() and len(number) < 5 else 1
    )


def html_table(lines: list[str], begin: int, end: int, section: str) -> Table | None:
    """The table in these lines; None if it has no header or no row."""
    parser = HtmlTable(begin + 1)
    parser.feed("\n".join(line[:LONGEST_TEXT] for line in lines[begin:end]))
    parser.close()
    if parser.terms:
        rows = [(first, last, [term, text]) for first, last, term, text in parser.terms]
        return Table(["name", "description"], rows, section)
    if len(parser.rows) < 2:
        return None
    header = parser.rows[0][2]
    return Table(
        header, [(first, last, cells) for first, last, cells, heads in parser.rows[1:] if not heads], section
    )
