"""Rows -> messages: the shapes in which people write examples. A new shape is one entry in FORMATS.

    {"instruction": ..., "input": ..., "output": ...}                    alpaca
    {"question": ..., "answer": ...}                                     question/answer
    {"messages": [{"role": "user", "content": ...}, ...]}                messages

Texts are taken as they are written; nothing is stripped.
"""

import difflib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from core.data.examples import Message, Role
from core.data.jsonl import Number, Row
from core.data.remarks import RowError, excerpt, quoted

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
}
LIKE = 0.8  # likeness from which a key is taken for a misspelt one: "anwser" and "answer" have 0.83


@dataclass(frozen=True, slots=True)
class Format:
    """A shape of rows, its keys in lower case.

    `messages` takes a row that has the required keys, and raises RowError where they do not hold texts.
    """

    name: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    messages: Callable[[Row], tuple[Message, ...]]


class NumberError(RowError):
    """A number or true or false where a text belongs. Whether it is meant, the rest of the file tells."""

    def __init__(self, key: str, value: Any):
        self.key = key
        self.kind = _kind(value)
        self.literal = str(value).lower() if isinstance(value, bool) else str(value)
        super().__init__(
            "wrong-type",
            f"`{key}` is {excerpt(self.literal, 20)}, which is no text, while most rows have a text there.",
            f'Write it in quotation marks if it is meant: "{excerpt(self.literal, 20)}".',
        )


def detect(row: Row) -> Format | None:
    """The format a row is written in, judged by the keys that hold something; None if no format fits.

    {"instruction": "Hi", "output": "Hello"} -> alpaca        {"text": "Hi"} -> None
    """
    keys = {key.strip().lower() for key in row}
    filled = keys
    if None in row.values():
        filled = {key.strip().lower() for key, value in row.items() if value is not None}
    nearest = None
    for each in FORMATS.values():
        if nearest is None and keys.issuperset(each.required):
            nearest = each
        if filled.issuperset(each.required):
            # {"instruction": null, "input": ..., "output": ...} lacks its question; its context is not one.
            return None if set(each.required) & set(nearest.optional) else each
    return None


def lower_keys(row: Row) -> Row:
    """The row under the keys that formats know; RowError if two of them become one."""
    lowered = {key.strip().lower(): value for key, value in row.items()}
    if len(lowered) < len(row):
        times = Counter(key.strip().lower() for key in row)
        names = [key for key in row if times[key.strip().lower()] > 1]
        raise RowError("repeated-key", f"The keys {quoted(names)} differ only in case.", "Keep one of them.")
    return lowered


def unknown(row: Row) -> RowError:
    """Why no format fits a row (keys in lower case): the nearest one, and what is missing for it."""
    for each in FORMATS.values():
        empty = [key for key in each.required if row.get(key, ...) is None]
        if empty and row.keys() >= set(each.required):
            return RowError(
                "null-field",
                f"{quoted(empty)} is null.",
                "Write the text that belongs there, or delete the line.",
            )
    if row.keys() >= {"chosen", "rejected"} and "prompt" in row:
        return RowError(
            "unknown-shape",
            "The row holds a preference, `chosen` over `rejected`, not one answer to learn.",
            "To learn the answers that were chosen, rename `chosen` to `response`.",
        )
    pairs = [each for each in FORMATS.values() if any(isinstance(row.get(key), str) for key in each.required)]
    if pairs:
        most = max(pairs, key=lambda each: len(row.keys() & {*each.required, *each.optional}))
        return _incomplete(most, row)
    return _unlike_any(row)


def _incomplete(nearest: Format, row: Row) -> RowError:
    """Half of a pair is there: which keys could hold the other half."""
    (present,) = row.keys() & set(nearest.required)
    question = nearest.required[0] == present
    pairs = [
        each.required for each in FORMATS.values() if present in each.required and len(each.required) == 2
    ]
    others = dict.fromkeys(pair[question] for pair in pairs if pair[not question] == present)
    near = max((_most_like(name, row) for name in others), key=lambda each: each.likeness)
    fix = near.fix if near.likeness > LIKE else f"Add `{next(iter(others))}`, or delete the line."
    return RowError(
        "missing-answer" if question else "missing-question",
        f"There is `{present}`, but no {quoted(others, ' or ')}; the keys are {quoted(row)}.",
        fix,
    )


def _unlike_any(row: Row) -> RowError:
    if not row:
        return RowError("unknown-shape", "The object is empty.", "Delete the line.")
    near = {each.name: [_most_like(name, row) for name in each.required] for each in FORMATS.values()}
    name, renamings = max(near.items(), key=lambda each: min(one.likeness for one in each[1]))
    if min(one.likeness for one in renamings) > LIKE:
        like, fix = f"; the nearest is {name}", " ".join(one.fix for one in renamings if one.key != one.name)
    else:
        like, fix = "", "Write a question and an answer, such as `prompt` and `response`."
    return RowError("unknown-shape", f"The keys {quoted(row)} are no known shape{like}.", fix)


class _Renaming(NamedTuple):
    name: str
    key: str
    likeness: float  # from 0 to 1

    @property
    def fix(self) -> str:
        return f"Rename {quoted([self.key])} to `{self.name}`."


def _most_like(name: str, row: Row) -> _Renaming:
    """Which key may be a misspelt name."""
    keys = [key for key in row if len(key) < 40][:100] or [""]
    return max((_Renaming(name, key, _likeness(name, key)) for key in keys), key=lambda each: each.likeness)


@lru_cache(maxsize=4096)  # rows of a file have the same keys, and a comparison takes 20 microseconds
def _likeness(name: str, key: str) -> float:
    return difflib.SequenceMatcher(None, name, key).ratio()


def _pair(name: str, question: str, answer: str, *context: str) -> Format:
    """One question and one answer; context, where there is any, follows the question after an empty line."""

    def messages(row: Row) -> tuple[Message, ...]:
        asked = _field(row, question)
        for key in context:
            if row.get(key) is not None:
                asked = _joined(asked, _field(row, key))
        return (*_opening(row), Message("user", asked), Message("assistant", _field(row, answer)))

    return Format(name, (question, answer), (*context, *OPENING), messages)


def _chat(key: str) -> Format:
    """A list of messages: {"role", "content"}, {"from", "value"} or {"human", "assistant"}."""

    def messages(row: Row) -> tuple[Message, ...]:
        turns = row[key]
        if not isinstance(turns, list) or not turns:
            kind = "an empty list" if turns == [] else _kind(turns)
            raise RowError(
                "wrong-type", f"`{key}` is {kind}, not a list of messages.", f"Write {A_CHAT.format(key)}."
            )
        told = list(_opening(row))
        for number, turn in enumerate(turns, 1):
            told += _turn(turn, f"message {number} of `{key}`")
        return tuple(told)

    return Format(key, (key,), OPENING, messages)


HISTORY = 'Write [["question", "answer"], ...], or leave `history` out.'
OPENING = ("system", "history")  # keys that every shape may have besides its own
A_CHAT = '{{"{}": [{{"role": "user", "content": "..."}}, {{"role": "assistant", "content": "..."}}]}}'


def _opening(row: Row) -> Iterator[Message]:
    """What comes before the row's own question: a system prompt, and earlier rounds."""
    if row.get("system") is not None:
        yield Message("system", _field(row, "system"))
    history = row.get("history") or []
    if not isinstance(history, list):
        raise RowError("wrong-type", f"`history` is {_kind(history)}, not a list of pairs.", HISTORY)
    for number, turn in enumerate(history, 1):
        if not isinstance(turn, list) or len(turn) != 2 or not all(type(text) is str for text in turn):
            raise RowError("wrong-type", f"Entry {number} of `history` is not a pair of texts.", HISTORY)
        yield Message("user", turn[0])
        yield Message("assistant", turn[1])


def _field(row: Row, key: str) -> str:
    value = row[key]
    if type(value) is str:
        return value
    if isinstance(value, (Number, int, float)):
        raise NumberError(key, value)
    raise RowError(
        "wrong-type", f"`{key}` is {_kind(value)}, not a text.", "Write one text there, or delete the line."
    )


def _joined(question: str, context: str) -> str:
    if not context or context.isspace():
        return question
    if not question or question.isspace():
        return context
    return f"{question}\n\n{context}"


def _turn(turn: Any, where: str) -> Iterator[Message]:
    if not isinstance(turn, dict):
        raise RowError(
            "wrong-type",
            f"{_capital(where)} is {_kind(turn)}, not an object.",
            'Write {"role": ..., "content": ...}.',
        )
    turn = lower_keys(turn)
    if turn.keys() >= {"human", "assistant"}:
        yield Message("user", _content(turn["human"], where))
        yield Message("assistant", _content(turn["assistant"], where))
        return
    name = turn.get("role", turn.get("from"))
    role = ROLES.get(name.strip().lower()) if isinstance(name, str) else None
    if role is None:
        said = f"the role “{excerpt(name, 30)}”" if isinstance(name, str) else "no `role` (or `from`)"
        fix = "Write system, user or assistant, or delete the line."
        raise RowError("unknown-role", f"{_capital(where)} has {said}.", fix)
    _refuse_what_would_be_lost(turn, role, where)
    yield Message(role, _content(turn.get("content", turn.get("value")), where))


def _refuse_what_would_be_lost(turn: Row, role: Role, where: str) -> None:
    """Things a message can carry that change what should be learned, and that Message has no place for."""
    if turn.get("tool_calls") or turn.get("function_call"):
        raise RowError(
            "tool-call",
            f"{_capital(where)} calls a tool, which cannot be learned here.",
            "Delete the line, or the call.",
        )
    weight = turn.get("weight", turn.get("loss_weight"))
    if role == "assistant" and isinstance(weight, (Number, int, float)) and float(weight) == 0:
        raise RowError(
            "weight-zero",
            f"{_capital(where)} has the weight 0, but every answer of a row is learned.",
            "Delete the weight to learn it too, or delete the line.",
        )


def _content(content: Any, where: str) -> str:
    if type(content) is str:
        return content
    if content is None:
        raise RowError(
            "null-field", f"{_capital(where)} has no content.", "Write its text, or delete the line."
        )
    if isinstance(content, list):
        return "".join(_part(part, where) for part in content)
    raise RowError(
        "wrong-type",
        f"{_capital(where)} has {_kind(content)} for its content.",
        "Write it as text, in quotation marks.",
    )


def _part(part: Any, where: str) -> str:
    """The text of one content part, {"type": "text", "text": ...}; other kinds of parts are refused."""
    if isinstance(part, dict) and part.get("type") == "text":
        text = part.get("text", part.get("value"))
        if type(text) is str:
            return text
    kind = str(part.get("type")) if isinstance(part, dict) else _kind(part)
    raise RowError(
        "not-text",
        f"{_capital(where)} holds “{excerpt(kind, 30)}”; only text is learned.",
        "Delete the line, or that part.",
    )


def _kind(value: Any) -> str:
    """What JSON calls a value, for a sentence."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (Number, int, float)):
        return "a number"
    return {str: "a text", list: "a list", dict: "an object"}.get(type(value), type(value).__name__)


def _capital(where: str) -> str:
    return where[0].upper() + where[1:]


# In order of preference: a row is written in the first format whose required keys it has.
FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        _chat("messages"),
        _chat("conversations"),
        _chat("conversation"),
        _pair("alpaca", "instruction", "output", "input", "context"),
        _pair("dolly", "instruction", "response", "context", "input"),
        _pair("prompt/response", "prompt", "response"),
        _pair("prompt/completion", "prompt", "completion"),
        _pair("question/answer", "question", "answer", "context"),
        _pair("query/response", "query", "response"),
        _pair("user/assistant", "user", "assistant"),
        _pair("problem/solution", "problem", "solution"),
        _pair("input/output", "input", "output"),
        _pair("input/target", "input", "target"),
    )
}
