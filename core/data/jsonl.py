"""JSON lines -> rows: one object per line, and a precise sentence for every line that is none."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO

from core.data.lines import HEAD, lines
from core.data.lookalikes import lookalike
from core.data.remarks import Remark, excerpt, quoted

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
    "The line is a Python dict, not JSON: single quotes, None, True or False.",
    "Write it with json.dumps(row), not with print(row) or str(row).",
)
TOO_DEEP = Remark(
    "too-deep",
    "The line is nested too deeply to be read.",
    "Delete the line; a row needs three levels at most.",
)
SEVERAL = Remark(
    "not-json",
    "There is more than one JSON value on the line.",
    "Put each object on a line of its own, without commas.",
)


class Number(str):
    """A number as it is written in the file: 1.50 stays 1.50, and one of 5,000 digits is no trouble."""


Row = dict[str, Any]


def read_jsonl(file: BinaryIO) -> Iterator[tuple[int, Row | Remark | None, tuple[Remark, ...]]]:
    """Each line's number; its row, or why it has none, or None where it is blank; and warnings.

    A file that is something else gives one reason, on line 1. Numbers in rows are of type Number.
    """
    file.seek(0)
    other = lookalike(file.read(HEAD))
    if other:
        yield 1, other, ()
        return
    parser = _Parser()
    for number, text, remarks in lines(file):
        if isinstance(text, Remark):
            yield number, text, remarks
        elif not text or text.isspace():
            yield number, None, (*remarks, BLANK)
        else:
            row = parser.parse(text)
            if parser.remarks:
                remarks = (*remarks, *parser.remarks)
            del text  # a row can be large, and whoever takes it need not hold it twice
            yield number, row, remarks


class _Parser:
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

    def parse(self, text: str) -> Row | Remark:
        self._repeated.clear()
        self.remarks.clear()
        try:
            value = self._decode(text)
        except json.JSONDecodeError as error:
            return _not_json(text, error)
        except RecursionError:
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


def _not_an_object(value: Any) -> Remark:
    if isinstance(value, list):
        return Remark(
            "json-array" if value and isinstance(value[0], dict) else "not-an-object",
            f"The line is a JSON array of {len(value):,}, not an object.",
            'Put each row on a line of its own, without brackets; messages are written {"messages": [...]}.',
        )
    kinds = {Number: "a number", str: "a text", bool: "true or false"}
    kind = kinds.get(type(value), "null")
    return Remark("not-an-object", f"The line is {kind}, not a JSON object.", f"Write {AN_OBJECT}.")


def _not_json(text: str, error: json.JSONDecodeError) -> Remark:
    """The sentence for a line that json refused, by what stands where it gave up."""
    at = error.pos
    here, rest = text[at : at + 1], text[at : at + 80].strip()
    if error.msg.startswith("Unterminated string") or not rest:
        return _broken_off(text)
    if here == "'" or rest.startswith(("None", "True", "False")):
        return PYTHON
    # Python 3.13 points at the comma, earlier versions at the bracket after it.
    at_comma = here == "," and rest[1:].lstrip()[:1] in ("", "}", "]")
    if at_comma or (here in "}]" and text[max(0, at - 80) : at].rstrip().endswith(",")):
        where = _where(text, text.rindex(",", 0, at + 1))
        return Remark("trailing-comma", f"There is a comma too many {where}.", "Delete the comma.")
    if error.msg == "Extra data" and here in "{,":
        return SEVERAL
    why, fix = "The line is not JSON", f"Write one object per line: {AN_OBJECT}."
    if here in "“”„«»‘’":
        why, fix = "There are typographic quotation marks", 'Write straight ones: ".'
    elif error.msg.startswith("Invalid \\"):
        why, fix = "There is a backslash that means nothing in JSON", r"Write a backslash as \\."
    elif error.msg.startswith("Expecting ',' delimiter"):
        why = "The line is not JSON: a text or value ends too early"
        fix = r"Add the comma or bracket that is missing; a quotation mark inside a text is written \"."
    return Remark("not-json", f"{why} {_where(text, at)}.", fix)


def _where(text: str, at: int) -> str:
    return f"at column {at + 1:,}, near “{excerpt(text[max(0, at - 20) : at + 20].strip(), 40)}”"


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
