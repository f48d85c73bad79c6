"""JSON lines -> rows: one object per line, and a precise sentence for every line that is none."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO

import orjson

from core.data.files.lines import LongLine, decoded, lines
from core.data.remarks import Remark, excerpt, quoted
from core.data.rows import Number, Read, Row, too_long, unread

LARGE = 2**20  # bytes from which json reads a row: orjson allocates 12 times as much as it reads
DEEPEST = 250  # levels; orjson writes 254, and whatever walks through a row may use recursion
AN_OBJECT = '{"prompt": "...", "response": "..."}'

BLANK = Remark("blank-line", "The line is blank; it is skipped.", "Delete the line.")
NAN = Remark(
    "nan",
    "The row holds NaN or Infinity, which JSON does not have; read as null.",
    "Write null, or leave the field out.",
)
RAW_CONTROL = Remark(
    "raw-control",
    "A tab or other control character stands unescaped in a text, which JSON does not allow; it is kept.",
    r"Write a tab as \t.",
)
PYTHON = Remark(
    "python-dict",
    "The row is a Python dict, not JSON: single quotes, None, True or False.",
    "Write it with json.dumps(row), not with print(row) or str(row).",
)
TOO_DEEP = Remark(
    "too-deep",
    "The row is nested too deeply to be read.",
    "Delete it; a row needs a few levels only.",
)
SEVERAL = Remark(
    "not-json",
    "There is more than one JSON value on the line.",
    "Put each object on a line of its own, without commas.",
)


BLANK_LINES = (b"\n", b"\r\n")
MOST_BLANK = 1000  # blank lines that are said one by one


def rows(file: BinaryIO) -> Iterator[Read]:
    """What stands on each line."""
    parser = Parser()
    number = blank = 0
    for raw in lines(file):
        number += 1  # noqa: SIM113 (enumerate would keep the line in memory while its row is used)
        if raw in BLANK_LINES:
            blank += 1
            if blank > MOST_BLANK:
                continue
        row = plain_row(raw) if type(raw) is bytes else None
        read = parser.read(number, raw) if row is None else Read(number, row)
        del raw, row  # a row can be large, and whoever takes it need not hold it twice
        yield read
    if blank > MOST_BLANK:
        yield Read(number, None, (_more_blank(blank - MOST_BLANK),))


def _more_blank(count: int) -> Remark:
    return Remark(
        "blank-line", f"{count:,} more lines of the file are blank; they are skipped.", "Delete them."
    )


def plain_row(raw: bytes) -> Row | None:
    """The row, if it is one about which there is nothing to say; else None, and a Parser tells more.

    Numbers are int or float where these say the same as the text in the file.
    """
    if (
        len(raw) > LARGE or b'"arguments' in raw or b'"tools"' in raw
    ):  # numbers in there stay as they are written
        return None
    try:
        row = orjson.loads(raw)
        # Written again, an object has fewer quotation marks exactly if a repeated key was lost.
        if (
            type(row) is not dict
            or raw.count(b'"') != orjson.dumps(row).count(b'"')
            or b"\\u0022" in raw  # a quotation mark that would be written with one
        ):
            return None
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):  # the latter if it is too deep
        return None
    for key, value in row.items():
        if type(value) is float and not _written_so(raw, key, value):
            return None
    return row


def _written_so(raw: bytes, key: str, value: float) -> bool:
    """Whether the number of this key surely stands in the file as Python writes it."""
    name = b'"%b":' % key.encode()
    at = raw.find(name)
    if at < 0 or raw.count(name) > 1:
        return False
    return raw[at + len(name) : at + len(name) + 40].strip().startswith((b"%r," % value, b"%r}" % value))


class Parser:
    """json.loads that notices what it forgives: repeated keys and NaN."""

    def __init__(self) -> None:
        hooks = {
            "object_pairs_hook": self._object,
            "parse_int": Number,
            "parse_float": Number,
            "parse_constant": self._constant,
        }
        self._strict = json.JSONDecoder(**hooks)
        self._lenient = json.JSONDecoder(**hooks, strict=False)
        self._repeated: list[str] = []
        self.remarks: list[Remark] = []  # on the line parsed last

    def read(self, line: int, raw: bytes, column: int = 0) -> Read:
        """What the bytes are that begin on that line, after so many columns."""
        if type(raw) is LongLine:
            return Read(line, unread(too_long("line"), raw))
        text, remarks = decoded(raw)
        if isinstance(text, Remark):
            return Read(line, unread(text, raw), remarks)
        if not text or text.isspace():
            return Read(line, None, (*remarks, BLANK))
        row = self.parse(text, column)
        if isinstance(row, Remark):
            row = unread(row, text)
        return Read(line, row, (*remarks, *self.remarks))

    def parse(self, text: str, column: int = 0) -> Row | Remark:
        self._repeated.clear()
        self.remarks.clear()
        try:
            value = self._decode(text)
        except json.JSONDecodeError as error:
            return _not_json(text, error, column)
        except RecursionError:
            return TOO_DEEP
        if text.count("{") + text.count("[") > DEEPEST and _deeper(value, DEEPEST):
            return TOO_DEEP
        if type(value) is not dict:
            return _not_an_object(value)
        if self._repeated:
            names = quoted(dict.fromkeys(self._repeated))
            return Remark(
                "repeated-key",
                f"An object has {names} more than once, of which only one would be read.",
                "Keep one of them.",
            )
        return value

    def _decode(self, text: str) -> Any:
        try:
            return self._strict.decode(text)
        except json.JSONDecodeError as error:
            if not error.msg.startswith("Invalid control character"):
                raise
        self._repeated.clear()
        self.remarks.clear()
        value = self._lenient.decode(text)
        self.remarks.append(RAW_CONTROL)
        return value

    def _object(self, pairs: list[tuple[str, Any]]) -> Row:
        row = dict(pairs)
        if len(row) != len(pairs):
            times = Counter(name for name, _ in pairs)
            self._repeated += [name for name in row if times[name] > 1]
        return row

    def _constant(self, _name: str) -> None:
        if NAN not in self.remarks:
            self.remarks.append(NAN)


def _deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects lie in each other in more levels than that."""
    inside = [value]
    for _ in range(levels):
        inside = [
            each
            for outer in inside
            for each in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(each, (dict, list))
        ]
        if not inside:
            return False
    return True


def _not_an_object(value: Any) -> Remark:
    if isinstance(value, list):
        return Remark(
            "json-array" if value and isinstance(value[0], dict) else "not-an-object",
            f"The row is a JSON array of {len(value):,}, not an object.",
            'Put each row on a line of its own, without brackets; messages are written {"messages": [...]}.',
        )
    kinds = {Number: "a number", str: "a text", bool: "true or false"}
    kind = kinds.get(type(value), "null")
    return Remark("not-an-object", f"The row is {kind}, not a JSON object.", f"Write {AN_OBJECT}.")


def _not_json(text: str, error: json.JSONDecodeError, column: int) -> Remark:
    """The sentence for a row that json refused, by what stands where it gave up."""
    at = error.pos
    here, rest = text[at : at + 1], text[at : at + 80].strip()
    if error.msg.startswith("Unterminated string") or not rest:
        return _broken_off(text)
    if here == "'" or rest.startswith(("None", "True", "False")):
        return PYTHON
    # Python 3.13 points at the comma, earlier versions at the bracket after it.
    at_comma = here == "," and rest[1:].lstrip()[:1] in ("", "}", "]")
    if at_comma or (here in "}]" and text[max(0, at - 80) : at].rstrip().endswith(",")):
        where = _where(text, text.rindex(",", 0, at + 1), column)
        return Remark("trailing-comma", f"There is a comma too many {where}.", "Delete the comma.")
    if error.msg == "Extra data" and here in "{,":
        return SEVERAL
    why, fix = "The row is not JSON", f"Write one object per line: {AN_OBJECT}."
    if here in "“”„«»‘’":
        why, fix = "There are typographic quotation marks", 'Write straight ones: ".'
    elif error.msg.startswith("Invalid \\"):
        why, fix = "There is a backslash that means nothing in JSON", r"Write a backslash as \\."
    elif error.msg.startswith("Expecting ',' delimiter"):
        why = "The row is not JSON: a text or value ends too early"
        fix = r"Add the comma or bracket that is missing; a quotation mark inside a text is written \"."
    return Remark("not-json", f"{why} {_where(text, at, column)}.", fix)


def _where(text: str, at: int, column: int) -> str:
    line = text.rfind("\n", 0, at) + 1
    column = at - line + 1 + (0 if line else column)
    return f"at column {column:,}, near “{excerpt(text[max(0, at - 20) : at + 20].strip(), 40)}”"


def _broken_off(text: str) -> Remark:
    if text.endswith("\n"):
        return Remark(
            "not-json",
            "The line ends before its object does.",
            r"Put the whole object on one line; a line break inside a text is written \n.",
        )
    return Remark(
        "truncated",
        f"The file breaks off in the middle of its last line (“…{excerpt(text[-40:], 40)}”).",
        "Download or export the file again, or delete the line.",
    )
