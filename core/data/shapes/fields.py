"""Values in a row: its keys, the texts under them, and what is said where something else stands there."""

import json
import math
from collections import Counter
from typing import Any

from core.data.remarks import RowError, excerpt, quoted
from core.data.rows import Number, Row

DEEP = 100  # levels of lists and objects in a tool's definition or arguments; more are refused


class NumberError(RowError):
    """A number or true or false where a text belongs. Whether it is meant, the rest of the file tells."""

    def __init__(self, key: str, value: Any):
        self.key = key
        self.kind = kind(value)
        self.literal = str(value).lower() if isinstance(value, bool) else str(value)
        super().__init__(
            "wrong-type",
            f"`{excerpt(key, 30)}` is {excerpt(self.literal, 20)}, which is no text, "
            "while most rows have a text there.",
            f'Write it in quotation marks if it is meant: "{excerpt(self.literal, 20)}".',
        )


class Remembered(dict):
    """What was found out about a tuple of keys. Rows of a file have the same few, so this is looked up 100,000 times
    and computed once; long ones and many are not kept, as a file of nothing but keys would fill the memory.
    """

    def keep(self, keys: tuple[str, ...], found: Any) -> Any:
        if len(keys) <= 64 and sum(map(len, keys)) <= 4_000:
            if len(self) >= 500:
                self.clear()
            self[keys] = found
        return found


_LOWER = Remembered()  # keys -> the same in lower case, or None if they are


def lower_keys(row: Row) -> Row:
    """The row under the keys that formats know; RowError if two of them become one."""
    keys = tuple(row)
    try:
        lowered = _LOWER[keys]
    except KeyError:
        lowered = _LOWER.keep(keys, _lowered(keys))
    return row if lowered is None else dict(zip(lowered, row.values(), strict=True))


def _lowered(keys: tuple[str, ...]) -> tuple[str, ...] | None:
    lowered = tuple(key.strip().lower() for key in keys)
    if len(set(lowered)) < len(keys):
        times = Counter(lowered)
        names = [key for key, low in zip(keys, lowered, strict=True) if times[low] > 1]
        raise RowError("repeated-key", f"The keys {quoted(names)} differ only in case.", "Keep one of them.")
    return None if lowered == keys else lowered


def text(row: Row, key: str) -> str:
    """The text under a key; RowError, or NumberError, if there is none."""
    value = row[key]
    if type(value) is str:
        return value
    if isinstance(value, (Number, int, float)):
        raise NumberError(key, value)
    name = f"`{excerpt(key, 30)}`"
    if value is None:
        raise RowError(
            "null-field", f"{name} is null.", "Write the text that belongs there, or delete the line."
        )
    raise RowError(
        "wrong-type", f"{name} is {kind(value)}, not a text.", "Write one text, or delete the line."
    )


def joined(question: str, context: str) -> str:
    """A question with what it is about after an empty line; the one of them where the other is empty."""
    if not context or context.isspace():
        return question
    if not question or question.isspace():
        return context
    return f"{question}\n\n{context}"


def kind(value: Any) -> str:
    """What JSON calls a value, for a sentence."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (Number, int, float)):
        return "a number"
    return {str: "a text", list: "a list", dict: "an object"}.get(type(value), type(value).__name__)


def from_json(text: str) -> Any:
    """The value of a JSON text, numbers as they are written; ValueError if it is none."""
    try:
        return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def as_json(value: Any, levels: int = DEEP) -> str:
    """The value as JSON text, its numbers as they were written; ValueError if JSON cannot hold it."""
    if levels < 0:
        raise ValueError("nested too deeply")
    if isinstance(value, Number):
        return str(value)
    if type(value) is dict:
        pairs = (f"{_quote(str(key))}: {as_json(inner, levels - 1)}" for key, inner in value.items())
        return f"{{{', '.join(pairs)}}}"
    if type(value) in (list, tuple):
        return f"[{', '.join(as_json(inner, levels - 1) for inner in value)}]"
    if type(value) is float and not math.isfinite(value):
        return "null"
    if value is None or isinstance(value, (str, bool, int, float)):
        return _quote(value)
    raise ValueError(f"{type(value).__name__} is not of JSON")


def _no_constant(name: str) -> None:
    raise ValueError(f"JSON has no {name}")


def _quote(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
