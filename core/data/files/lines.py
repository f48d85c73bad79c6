"""Bytes -> lines, and lines -> text. A line ends at a line feed and nowhere else."""

import codecs
import re
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

from core.data.remarks import Remark, excerpt
from core.data.rows import LONGEST, SHOWN

SKIPPED_AT_ONCE = 2**20  # bytes of a line that is too long

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


class LongLine(bytes):
    """The beginning of a line that is too long to be read; the rest of it was skipped."""


def lines(file: BinaryIO) -> Iterator[bytes]:
    """Each line with its line end, from here on. Of one that is too long there is only a LongLine."""

    def whole(raw: bytes) -> bytes:
        if len(raw) < LONGEST or raw.endswith(b"\n"):
            return raw
        while (more := file.readline(SKIPPED_AT_ONCE)) and not more.endswith(b"\n"):
            pass
        return LongLine(raw[: 4 * SHOWN])

    # No generator: one that waits keeps its variables in memory, and a line can be large.
    return map(whole, iter(partial(file.readline, LONGEST), b""))


def decoded(raw: bytes) -> tuple[str | Remark, tuple[Remark, ...]]:
    """The text of a line, or why there is none; and warnings."""
    remarks: tuple[Remark, ...] = ()
    if raw.startswith(codecs.BOM_UTF8):  # files that were joined carry marks in the middle, too
        raw, remarks = raw[len(codecs.BOM_UTF8) :], (BYTE_ORDER_MARK,)
    try:
        return raw.decode(), remarks
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and not raw.endswith(b"\n"):
            return raw.decode(errors="replace"), remarks  # the file was cut in a character
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
