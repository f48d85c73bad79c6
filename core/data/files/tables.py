"""CSV and its relatives -> rows: a header, then one record for each row, which may go over several lines."""

import csv
import re
from collections import deque
from collections.abc import Iterator
from typing import Any, BinaryIO

from core.data.files.jsonl import BLANK
from core.data.files.lines import LongLine, decoded, lines
from core.data.files.lookalikes import DELIMITERS, delimiter
from core.data.remarks import Remark, excerpt, quoted
from core.data.rows import LONGEST, SHOWN, Read, Row, Unread, too_long, unread

HEAD = 65536  # bytes in which the delimiter is looked for
NAME = 60  # characters; what is longer is hardly the name of a column
PATIENCE = 2 * LONGEST  # bytes read in vain for the ends of rows
TRIED = 100  # records that show whether lines are records of their own

csv.field_size_limit(max(csv.field_size_limit(), LONGEST))

REST_UNREAD = Remark(
    "quotation-mark",
    "Here and before, quotation marks open and do not close; the rest of the file is not read.",
    'Export the table again; a quotation mark inside a field is written "", and the field stands in "".',
)


def rows(file: BinaryIO) -> Iterator[Read]:
    """What each record is, on the line on which it begins; the texts are those between the delimiters."""
    feed = _Feed(file)
    header: list[str] | None = None
    in_vain = 0
    records = feed.records()
    while True:
        line = feed.number + 1
        try:
            record = next(records, None)
        except (csv.Error, _UnclosedError) as error:
            in_vain += feed.size
            following = feed.held[1:]
            if header is None or not _are_records(following, len(header), feed.dialect):
                following = []
            if in_vain > PATIENCE or (feed.size > LONGEST and not following):
                yield Read(line, unread(REST_UNREAD, feed.text()), feed.remarks)
                return
            text = feed.held[0] if following else feed.text()
            yield Read(line, unread(_broken(error), text), feed.remarks)
            feed.again(following)
            records = feed.records()
            continue
        if record is None:
            return
        bad, remarks = feed.bad, feed.remarks
        if bad:
            yield Read(line, unread(bad, feed.text()), remarks)
        elif not any(record):
            yield Read(line, None, (*remarks, BLANK))
        elif header is None:
            header, about = _header(record)
            if remarks or about:
                yield Read(line, None, (*remarks, *about))
        else:
            row, about = _row(header, record, feed)
            yield Read(line, row, remarks + about)
        feed.begin()


def _row(header: list[str], record: list[str], feed: "_Feed") -> tuple[Row | Unread, tuple[Remark, ...]]:
    if len(record) == len(header):
        return dict(zip(header, record, strict=True)), ()
    if len(record) == 1 or any(record[len(header) :]):
        return unread(_ragged(record, header, feed.dialect["delimiter"]), feed.text()), ()
    if len(record) > len(header):
        return dict(zip(header, record, strict=False)), ()
    row = dict.fromkeys(header) | dict(zip(header, record, strict=False))
    missing = header[len(record) :]
    about = Remark(
        "ragged-row",
        f"The row ends before {quoted(missing)}; read as null.",
        "Write the delimiters of empty fields, too, or look for a line break in a field without quotation marks.",
    )
    return row, (about,)


def _ragged(record: list[str], header: list[str], separator: str) -> Remark:
    return Remark(
        "ragged-row",
        f"The row has {len(record):,} field{'s'[: len(record) - 1]}, but the header has {len(header):,}.",
        f'Put fields with {DELIMITERS.get(separator, "delimiters")} or line breaks in quotation marks: "...".',
    )


def _header(record: list[str]) -> tuple[list[str], tuple[Remark, ...]]:
    """The names of the columns; those without one, as the index of pandas, are named by their number."""
    names: dict[str, None] = {}
    twice: dict[str, None] = {}
    for number, field in enumerate(record, 1):
        name = field.strip() or f"column {number}"
        if name in names:
            twice[name] = None
            name = f"{name} (column {number})"
        names[name] = None
    remarks = []
    if twice:
        why = f"The header has {quoted(twice)} more than once; the first of each keeps the name."
        remarks.append(Remark("repeated-column", why, "Give each column a name of its own."))
    if any(len(field) > NAME or field.rstrip().endswith(("?", "!", ".")) for field in record):
        why = f"The first line (“{excerpt(' '.join(record), 40)}”) is read as the names of the columns."
        remarks.append(Remark("no-header", why, "If it is a row, write a line with names above it."))
    return list(names), tuple(remarks)


def _broken(error: "csv.Error | _UnclosedError") -> Remark:
    if isinstance(error, _UnclosedError):
        why = "A quotation mark opens a field of the row and does not close."
    else:
        why = f"The row is not CSV ({excerpt(str(error), 60)})."
    return Remark(
        "quotation-mark",
        why,
        'A quotation mark inside a field is written "", and the field stands in quotation marks.',
    )


def _are_records(lines: list[bytes], width: int, dialect: dict[str, Any]) -> bool:
    """Whether lines are rows of their own, and not what a field with line breaks in it holds."""
    counts: list[int] = []
    try:
        for record in csv.reader((line.decode(errors="replace") for line in lines), **dialect):
            counts.append(len(record))
            if len(counts) == TRIED:
                break
    except csv.Error:
        pass  # what was read until then tells enough
    return counts.count(width) * 10 > len(counts) * 9


class _UnclosedError(Exception):
    """The file, or the patience, ends within a field in quotation marks."""


class _Feed:
    """Hands lines to csv.reader, and knows which of them the present record is made of."""

    def __init__(self, file: BinaryIO) -> None:
        self.lines = lines(file)
        self.waiting: deque[bytes] = deque()  # lines to hand over before the next of the file
        self.number = 0  # of the line handed over last
        self.dialect = self._look()
        self.said: set[str] = set()
        self.begin()

    def begin(self) -> None:
        """A record is finished; what comes next is another."""
        self.held: list[bytes] = []  # the lines of the record
        self.size = 0
        self.bad: Remark | None = None  # why one of them cannot be read
        self.remarks: tuple[Remark, ...] = ()

    def again(self, lines: list[bytes]) -> None:
        """These lines, the last ones of the record, are to be handed over once more."""
        self.waiting.extendleft(reversed(lines))
        self.number -= len(lines)
        self.begin()

    def text(self) -> str:
        """The beginning of the record, as it stands in the file."""
        return b"".join(self.held[:SHOWN])[: 4 * SHOWN].decode(errors="replace")

    def records(self) -> Iterator[list[str]]:
        return csv.reader(self, strict=True, **self.dialect)

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        raw = self.waiting.popleft() if self.waiting else next(self.lines, None)
        if raw is None:
            if self.held:
                raise _UnclosedError
            raise StopIteration
        self.number += 1
        self.held.append(raw)
        self.size += len(raw)
        if self.size > LONGEST and len(self.held) > 1:
            raise _UnclosedError
        if type(raw) is LongLine:
            self.bad = too_long("line")
            return "\n"
        text, remarks = decoded(raw)
        if remarks:  # about a whole file, once is enough
            self.remarks += tuple(each for each in remarks if each.code not in self.said)
            self.said.update(each.code for each in remarks)
        if isinstance(text, Remark):
            self.bad = text
            return "\n"
        return text

    def _look(self) -> dict[str, Any]:
        """How the table is written, by its beginning."""
        size = 0
        while size < HEAD and (raw := next(self.lines, None)) is not None:
            self.waiting.append(raw)
            size += len(raw)
        told = re.match(rb'(?:\xef\xbb\xbf)?"?sep=(.)"?\s*$', self.waiting[0]) if self.waiting else None
        if told:  # as Excel reads and writes it
            self.waiting.popleft()
            self.number += 1
            separator = told[1].decode(errors="replace")
        text = b"".join(self.waiting).decode(errors="replace").removeprefix("\ufeff")
        if not told:
            separator = delimiter(text)
        spaced = text.count(f'{separator} "') > text.count(f'{separator}"')
        return {"delimiter": separator, "skipinitialspace": spaced}
