"""Files -> Documents: Markdown, plain text, and rows of CSV, JSON lines and whatever else is opened as rows."""

import io
import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from core.data.files.lines import LongLine, decoded, lines
from core.data.files.opening import expand, opened
from core.data.files.unpack import AsUtf8, Unpacked, encoding, packing
from core.data.generate import clean, markdown, tables
from core.data.generate.documents import Block, Document, Passage, Section
from core.data.generate.languages import language_of
from core.data.remarks import Remark, visible
from core.data.rows import Number, Unread
from core.errors import DataError

MOST_BYTES = 16 * 2**20  # of one text; more than fifty thick books
MOST_ROWS = 100_000  # of one table
LONGEST_TITLE_LINE = 80


def documents(names: Sequence[str], language: str = "auto") -> list[Document]:
    """What the files hold, in their order. DataError if one cannot be read."""
    found = [_document(name) for name in expand(names)]
    for each in found:
        text = _sample(each)
        each.language = language if language in ("en", "fr") else language_of(text)
        if each.language == "fr":
            each.apostrophe = "’" if text.count("’") > text.count("'") else "'"
        each.licence = (
            "licence" if text.casefold().count("licence") > text.casefold().count("license") else "license"
        )
    return found


def _document(name: str) -> Document:
    from core.presets import data_file  # brings pydantic, for which importing this need not wait

    source = opened(name)
    if source.kind in ("text", "Markdown"):
        document = Document(name, source.sha256, "text")
        text = _text(data_file(name), document)
        if source.kind == "Markdown":
            markdown.read(document, text)
        else:
            _read_plain(document, text)
        return document
    document = Document(name, source.sha256, "table")
    _read_rows(document, source)
    return document


def _text(path: Path, document: Document) -> str:
    """The text of a file, lines that are no text left blank so that the others keep their numbers."""
    try:
        with path.open("rb") as file:
            data = _unpacked(file).read(MOST_BYTES + 1)
    except OSError as error:
        raise DataError(f"The file {visible(document.file)} cannot be read: {error.strerror}.") from None
    if len(data) > MOST_BYTES:
        document.left_out[f"text after the first {MOST_BYTES // 2**20} MB of a file"] += 1
        data = data[:MOST_BYTES]
    found = []
    for raw in lines(io.BytesIO(data)):
        text = "" if isinstance(raw, LongLine) else decoded(raw)[0]
        if isinstance(text, Remark) or isinstance(raw, LongLine):
            document.left_out["lines that are no readable text"] += 1
            text = ""
        found.append(clean.printable(text.rstrip("\r\n")))
    return "\n".join(found)


def _unpacked(file: BinaryIO) -> BinaryIO:
    packed = packing(file.read(4))
    file.seek(0)
    stream = io.BufferedReader(Unpacked(file, packed)) if packed else io.BufferedReader(file)
    codec, mark = encoding(stream.peek(8)[:8])
    if codec == "utf-8":
        return stream
    stream.read(mark)
    return io.BufferedReader(AsUtf8(stream, codec))


def _read_plain(document: Document, text: str) -> None:
    """Paragraphs between blank lines; a short line alone that looks like one is a heading."""
    heading, blocks, begin = "", [], 1

    def finish() -> None:
        if blocks:
            passage = Passage(
                document.file, begin, blocks[-1].last, "\n".join(block.text for block in blocks)
            )
            document.sections.append(Section(heading, tuple(blocks), passage))

    for first, last, paragraph in _paragraphs(text):
        if len(paragraph) > clean.LONGEST_TEXT:
            document.left_out[f"paragraphs longer than {clean.LONGEST_TEXT:,} characters"] += 1
        elif _is_heading(paragraph):
            finish()
            heading, blocks, begin = clean.one_line(paragraph), [], first
        else:
            words = clean.one_line(paragraph)
            if any(each.isalnum() for each in words):
                blocks.append(Block(words, first, last))
                begin = begin if len(blocks) > 1 or heading else first
    finish()


def _paragraphs(text: str):
    number = 0
    for blank, group in itertools.groupby(text.split("\n"), key=lambda line: not line.strip()):
        found = list(group)
        if not blank:
            yield number + 1, number + len(found), "\n".join(found)
        number += len(found)


def _is_heading(paragraph: str) -> bool:
    line = paragraph.strip()
    if "\n" in line or not 3 <= len(line) <= LONGEST_TITLE_LINE or not any(each.isalpha() for each in line):
        return False
    return (
        line.isupper()
        or line.endswith("?")
        or (line[:1].isupper() and line[-1:].isalnum() and len(line.split()) <= 8)
    )


def _read_rows(document: Document, source: Any) -> None:
    rows: list[tuple[int, dict[str, str]]] = []
    names: dict[str, None] = {}
    unread: Counter[str] = Counter()
    for read in source.rows():
        if read.row is None:
            continue
        if isinstance(read.row, Unread):
            unread["rows that cannot be read"] += 1
            continue
        if len(rows) >= MOST_ROWS:
            unread[f"rows after the first {MOST_ROWS:,} of a table"] += 1
            break
        row = {_plain_key(name): _plain(value) for name, value in itertools.islice(read.row.items(), 200)}
        names |= dict.fromkeys(row)
        rows.append((read.line, row))
    document.left_out += unread
    header = list(names)[: tables.MOST_COLUMNS]
    if not rows:
        return
    section = next((name for name in header if _is_prose(name, rows)), None)
    if _are_answers(header):
        document.left_out[
            "rows that are questions and answers already; vary them with --method augmented"
        ] += len(rows)
        return
    table = tables.Table(header, [(line, line, [row.get(name, "") for name in header]) for line, row in rows])
    if section:
        _read_texts(document, rows, header, section)
        return
    document.records += tables.records(document.file, [table], {}, document.left_out)


def _are_answers(header: list[str]) -> bool:
    names = {name.casefold() for name in header}
    return any(
        pair <= names
        for pair in (
            {"messages"},
            {"conversations"},
            {"question", "answer"},
            {"instruction", "output"},
            {"instruction", "response"},
            {"prompt", "response"},
            {"prompt", "completion"},
        )
    )


def _is_prose(name: str, rows: list[tuple[int, dict[str, str]]]) -> bool:
    """Whether a column holds whole texts under which a question can only be asked by their title."""
    lengths = [len(row.get(name, "")) for _, row in rows[:200]]
    return name.casefold() in ("text", "texte", "content", "contenu", "body", "corps") and sum(
        lengths
    ) > 200 * len(lengths)


def _read_texts(
    document: Document, rows: list[tuple[int, dict[str, str]]], header: list[str], text: str
) -> None:
    """Rows that are a title and a text each."""
    others = [name for name in header if name != text]
    title = tables.name_column([row for _, row in rows], others)
    for line, row in rows:
        blocks = tuple(
            Block(words, line, line)
            for each in row.get(text, "").split("\n\n")
            if (words := clean.one_line(each))
        )
        if blocks:
            whole = Passage(document.file, line, line, "\n".join(block.text for block in blocks))
            document.sections.append(Section(row.get(title, "") if title else "", blocks, whole))


def _plain_key(name: Any) -> str:
    return clean.one_line(str(name))[:100]


def _plain(value: Any) -> str:
    """A cell as words; lists of words are joined, and what is nested more is left out."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (Number, int, float)):
        return str(value)[:100]
    if isinstance(value, list):
        words = [_plain(each) for each in value[:50] if isinstance(each, (str, Number, int, float))]
        return "; ".join(each for each in words if each)
    if not isinstance(value, str) or len(value) > clean.LONGEST_TEXT:
        return ""
    if "\n" in value.strip():
        return "\n\n".join(clean.plain(each) for each in value.split("\n\n"))
    return clean.plain(value)


def _sample(document: Document) -> str:
    """Words from the whole of a document, in which its language shows."""
    texts = [document.title]
    texts += [section.heading + "\n" + section.passage.text for section in document.sections[:200]]
    step = max(1, len(document.records) // 300)
    texts += [record.passage.text for record in document.records[::step]]
    return "\n".join(texts)[:200_000]
