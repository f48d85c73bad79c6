"""What a reader of files hands on: rows, and why there is none where something stood that is no row."""

from typing import Any, NamedTuple

from core.data.remarks import Remark

Row = dict[str, Any]

LONGEST = 8 * 2**20  # bytes of one row; longer ones are refused, so that memory stays bounded
SHOWN = 10_000  # characters kept of what could not be read


class Number(str):
    """A number as it is written in the file: 1.50 stays 1.50, and one of 5,000 digits is no trouble."""


class Unread(NamedTuple):
    """Why there is no row, and the beginning of the text that stood there."""

    remark: Remark
    text: str


class Read(NamedTuple):
    """What stands on a line: a row, or why there is none; None where nothing is that could be one."""

    line: int
    row: Row | Unread | None
    remarks: tuple[Remark, ...] = ()


def unread(remark: Remark, text: str | bytes) -> Unread:
    """The text cut to what is kept of it; bytes that are no UTF-8 show as question marks."""
    if isinstance(text, bytes):
        text = text[: 4 * SHOWN].decode(errors="replace")
    return Unread(remark, text[:SHOWN])


def too_long(what: str) -> Remark:
    """`what` is "line", "row", "record"."""
    return Remark(
        "too-long",
        f"The {what} is longer than {LONGEST // 2**20} MB; it is skipped.",
        "Split it, or look whether line breaks or quotation marks were lost when the file was written.",
    )
