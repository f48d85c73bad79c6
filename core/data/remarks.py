"""What is said about a row while it is read, and how text from a file is shown without harm."""

from collections.abc import Iterable
from typing import NamedTuple


class Remark(NamedTuple):
    """A Problem whose place the reader adds."""

    code: str
    why: str
    fix: str


class RowError(Exception):
    """A row cannot be used. Whoever reads the file catches it, reports it and goes on."""

    def __init__(self, code: str, why: str, fix: str):
        super().__init__(why)
        self.remark = Remark(code, why, fix)


def visible(text: str) -> str:
    """The text with everything that does not print written as an escape, so that it moves no cursor.

    "red \\x1b[31m" is what becomes of a terminal's colour code; lone surrogates and marks that turn the
    direction of writing are escaped as well.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def excerpt(text: str, length: int = 60) -> str:
    """The beginning of a text, made visible, in at most `length` characters."""
    shown = visible(text[: length + 1])
    return shown if len(shown) <= length else shown[: length - 1] + "…"


def quoted(names: Iterable[str], join: str = " and ", most: int = 8) -> str:
    """Names for a sentence: `a`, `b` and `c`; after `most` of them, how many more there are."""
    shown = [f"`{excerpt(name, 30)}`" for name in names]
    if len(shown) > most:
        return f"{', '.join(shown[:most])} and {len(shown) - most} more"
    return join.join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
