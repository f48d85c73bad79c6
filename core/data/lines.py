"""Bytes -> numbered lines of text, whatever the encoding. A line ends at a line feed and nowhere else."""

import codecs
import io
import re
from collections.abc import Iterator
from typing import BinaryIO

from core.data.remarks import Remark, excerpt

HEAD = 65536  # bytes looked at before reading
UNDECODABLE = "\udfff"  # stands for bytes that are no text; no decoder makes it of valid ones

# UTF-32's little-endian mark begins with UTF-16's, so it comes first.
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

Line = tuple[int, str | Remark, tuple[Remark, ...]]  # number, text or why there is none, warnings

BYTE_ORDER_MARK = Remark(
    "byte-order-mark",
    "The line begins with a byte order mark (U+FEFF), which is not part of the text; it is skipped.",
    "Save the file as UTF-8 without BOM.",
)
UNREADABLE = Remark(
    "not-utf-8",
    "The line is not UTF-8: some of its bytes are damaged or in another encoding.",
    "Repair the line or delete it, and save the file as UTF-8.",
)


def encoding(head: bytes) -> tuple[str, int]:
    """The codec of a file by its first bytes, and the length of the byte order mark to skip."""
    for mark, codec in MARKS:
        if head.startswith(mark):
            return codec, len(mark)
    # JSON begins with two ASCII characters, so a zero among the first two bytes gives UTF-16 away.
    if len(head) >= 4 and head[0] and not head[1] and head[2] and not head[3]:
        return "utf-16-le", 0
    if len(head) >= 4 and not head[0] and head[1] and not head[2] and head[3]:
        return "utf-16-be", 0
    return "utf-8", 0


def lines(file: BinaryIO) -> Iterator[Line]:
    """Each line with its line end. One is held in memory at a time."""
    file.seek(0)
    codec, mark = encoding(file.read(HEAD))
    file.seek(mark)
    if codec == "utf-8":
        yield from _utf8(file, marked=mark > 0)
    else:
        yield from _wide(file, codec)


def _utf8(file: BinaryIO, marked: bool) -> Iterator[Line]:
    for number, raw in enumerate(file, 1):
        # Decoded while it is handed over, not before: a generator that waits keeps its variables in memory.
        if raw.startswith(codecs.BOM_UTF8):  # files that were joined carry marks in the middle
            yield number, *_decoded(raw[3:], BYTE_ORDER_MARK)
        elif marked and number == 1:
            yield number, *_decoded(raw, BYTE_ORDER_MARK)
        else:
            yield number, *_decoded(raw)


def _decoded(raw: bytes, *remarks: Remark) -> tuple[str | Remark, tuple[Remark, ...]]:
    try:
        return raw.decode(), remarks
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and not raw.endswith(b"\n"):
            return raw.decode(
                errors="replace"
            ), remarks  # the file was cut in a character; this is no JSON anyway
    return _western(raw, remarks)


def _western(raw: bytes, remarks: tuple[Remark, ...]) -> tuple[str | Remark, tuple[Remark, ...]]:
    """A line in Windows-1252, of which Latin-1 text is a part, if that is what it is.

    Nearly every byte means something there, so two signs speak against it: valid UTF-8 in the same line, and
    long runs of accented letters, which no Western language has; Cyrillic, Greek and Chinese look like that.
    """
    mixed = any(each > "\x7f" for each in raw.decode(errors="ignore"))
    foreign = any(len(set(run)) > 2 for run in re.findall(rb"[\x80-\xff]{4,}", raw))
    if mixed or foreign:
        return UNREADABLE, remarks
    try:
        text = raw.decode("cp1252")
    except UnicodeDecodeError:
        return UNREADABLE, remarks
    accent = next(at for at, each in enumerate(text) if each > "\x7f")
    near = excerpt(text[max(0, accent - 15) : accent + 15], 30)
    converted = Remark(
        "converted",
        f"The line is not UTF-8; it is read as Windows-1252 (“{near}”).",
        "Look whether the accents are right, and save the file as UTF-8.",
    )
    return text, (*remarks, converted)


def _wide(file: BinaryIO, codec: str) -> Iterator[Line]:
    """Lines in UTF-16 or UTF-32, where a line feed is two or four bytes long."""
    converted = Remark("converted", f"The file is {codec[:6].upper()}; read as that.", "Save it as UTF-8.")
    decoded = io.TextIOWrapper(file, codec, errors="core.data.undecodable", newline="\n")
    for number, text in enumerate(decoded, 1):
        remarks = (converted,) if number == 1 else ()
        yield number, UNREADABLE if UNDECODABLE in text else text, remarks


def _mark_undecodable(error: UnicodeError) -> tuple[str, int]:
    return UNDECODABLE, error.end


codecs.register_error("core.data.undecodable", _mark_undecodable)
