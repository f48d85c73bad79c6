"""Rows -> conversations: the shapes in which people write examples. A new shape is one entry in FORMATS.

    {"instruction": ..., "input": ..., "output": ...}                    alpaca
    {"question": ..., "answer": ...}                                     question/answer
    {"messages": [{"role": "user", "content": ...}, ...]}                messages

Texts are taken as they are written; nothing is stripped.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

from core.data.doctor.checks import ANSWER_FIRST
from core.data.examples import Message, Role
from core.data.remarks import Remark, RowError
from core.data.rows import Row
from core.data.shapes import columns, misfits, oasst, squad
from core.data.shapes.columns import value_of
from core.data.shapes.fields import NumberError, Remembered, joined, kind, lower_keys, text
from core.data.shapes.shape import Conversation, Format, Reading
from core.data.shapes.turns import OPENING, holds_reasoning, opening, tools, turns

__all__ = [
    "FORMATS",
    "Conversation",
    "Format",
    "NumberError",
    "Reading",
    "detect",
    "keyed",
    "lower_keys",
    "unknown",
    "value_of",
]

AS_IT_STANDS = Reading()

WHOLE_TEXT = Remark(
    "whole-text",
    "The rows are texts without questions: every word of them is learned, to go on writing rather than to answer.",
    "Nothing to do, if it is meant; otherwise write a question and an answer, such as `prompt` and `response`.",
)


REASONING = Remark(
    "reasoning-left-out",
    "A message has reasoning beside its content, which is not learned.",
    "To learn it, write it into the content, as the model's template has it; or leave it out.",
)


def keyed(row: Row, reading: Reading) -> Row:
    """The row as `detect` and its format want it: in lower case, unless the reading says which columns they are."""
    return row if reading.names_shape else lower_keys(row)


def detect(row: Row, reading: Reading = AS_IT_STANDS) -> Format | None:
    """The format a row is written in, judged by the keys that hold something; None if no format fits.

    {"instruction": "Hi", "output": "Hello"} -> alpaca        {"story": "Hi"} -> None

    Columns that the reading names come before all; RowError if one of them is not there.
    """
    if reading.columns:
        format = None if reading.names_shape else detect(row)
        if format is None and not reading.names_shape:
            return None
        return _of_columns(format, tuple(columns.keys(row, reading.columns).items()))
    known = tuple(row)
    if None in row.values():
        # No other row is remembered under this: keys stand once in a row, and the first that is null ends them here.
        known += tuple(key for key, value in row.items() if value is None)
    candidates = _CANDIDATES.get(known)
    if candidates is None:
        candidates = _CANDIDATES.keep(known, _candidates(row))
    for each in candidates:
        if each.fits is None or each.fits(row):
            return each
    return None


def unknown(row: Row) -> RowError:
    """Why no format fits a row: the nearest one, and what is missing for it."""
    return misfits.why(lower_keys(row), FORMATS.values(), PAIRS.values())


_CANDIDATES = Remembered()


def _candidates(row: Row) -> tuple[Format, ...]:
    """The formats that have their keys filled, up to the first that nothing else must hold for."""
    keys = {key.strip().lower() for key in row}
    filled = {key.strip().lower() for key, value in row.items() if value is not None}
    found: list[Format] = []
    nearest = None
    for each in FORMATS.values():
        if nearest is None and each.fits is None and keys.issuperset(each.required):
            nearest = each
        if filled.issuperset(each.required):
            if nearest and set(each.required) & set(nearest.optional):
                break  # {"instruction": null, "input": ..., "output": ...} lacks its question; its context is not one.
            found.append(each)
            if each.fits is None:
                break
    return tuple(found)


@lru_cache(maxsize=64)
def _of_columns(format: Format | None, named: tuple[tuple[str, str], ...]) -> Format:
    """The format of rows whose columns were named, or the one found, in which the named columns are used too."""
    keys = dict(named)
    if "question" in keys:
        context = (keys["context"],) if "context" in keys else ()
        format = _pair("question/answer", keys["question"], keys["answer"], *context)
    elif "messages" in keys:
        format = _chat("messages", keys["messages"])
    elif "text" in keys:
        format = _whole_text(keys["text"])
    more = (keys[name] for name in ("system", "difficulty") if name in keys)
    return replace(format, optional=(*format.optional, *more))


def _pair(name: str, question: str, answer: str, *context: str) -> Format:
    """One question and one answer; context, where there is any, follows the question after an empty line.

    Without context, each side may also be a list of messages. Then those of the question are not learned.
    """

    def conversations(row: Row, reading: Reading) -> tuple[Conversation, ...]:
        if question == "prompt":
            _refuse_a_bad_answer(row)
        asked, answered = row[question], row[answer]
        if type(asked) is not str or type(answered) is not str:
            if not context and (_holds_messages(asked) or _holds_messages(answered)):
                told = _side(row, question, "user") + _side(row, answer, "assistant")
                return _with_opening(told, row, reading)
            asked, answered = text(row, question), text(row, answer)
        for key in context:
            if row.get(key) is not None:
                asked = joined(asked, text(row, key))
        return _with_opening((Message("user", asked), Message("assistant", answered)), row, reading)

    label = ("label",) if question == "prompt" else ()
    return Format(name, (question, answer), (*context, *label, *sorted(OPENING)), conversations)


def _holds_messages(value: Any) -> bool:
    return type(value) is list and bool(value) and type(value[0]) is dict


def _side(row: Row, key: str, role: Role) -> tuple[Message, ...]:
    """What stands under the question's or the answer's key: a text, or a list of messages."""
    if not _holds_messages(row[key]):
        return (Message(role, text(row, key)),)
    told = turns(row, key)
    if role == "user":
        told = [replace(each, trained=False) if each.role == "assistant" else each for each in told]
    return tuple(told)


def _chat(name: str, key: str) -> Format:
    """A list of messages: {"role", "content"}, {"from", "value"} or {"human", "assistant"}."""

    def conversations(row: Row, reading: Reading) -> tuple[Conversation, ...]:
        _refuse_a_bad_answer(row)
        told = turns(row, key)
        if misfits.prefers(row) and told[-1].role != "assistant":
            raise misfits.preference(row)
        (found,) = _with_opening(tuple(told), row, reading)
        alone = len(told) <= 2 and told[-1].role == "assistant" and told[0].role != "user"
        remarks = (ANSWER_FIRST,) if alone else ()
        if holds_reasoning(row[key]):
            remarks = (*remarks, REASONING)
        return (found._replace(remarks=remarks),) if remarks else (found,)

    return Format(name, (key,), ("label", *sorted(OPENING)), conversations)


def _whole_text(key: str, fits: Callable[[Row], bool] | None = None) -> Format:
    """A text to be learned as it stands."""

    def conversations(row: Row, reading: Reading) -> tuple[Conversation, ...]:
        return _with_opening((Message("assistant", text(row, key)),), row, reading)

    return Format("text", (key,), tuple(sorted(OPENING)), conversations, fits, WHOLE_TEXT)


def _with_opening(told: tuple[Message, ...], row: Row, reading: Reading) -> tuple[Conversation, ...]:
    """The conversation, after the row's system prompt and earlier rounds if it has any."""
    if OPENING.isdisjoint(row) and not reading.columns:  # of most rows; 1 microsecond less for each
        return (Conversation(told),)
    system = reading.columns.get("system")
    key = columns.find(row, system) if system else None
    return (Conversation((*opening(row, key), *told), tools(row)),)


def _refuse_a_bad_answer(row: Row) -> None:
    if row.get("label") is False:
        raise RowError(
            "bad-answer",
            "The row has a false `label`, as answers have that were judged to be bad; it is not learned.",
            "Delete the line; or rename `label`, if it says something else.",
        )


def _instances(row: Row, reading: Reading) -> list[Conversation]:
    """One instruction, {"instruction": ..., "instances": [{"input": ..., "output": ...}]}, with several inputs."""
    instances = row["instances"]
    if type(instances) is not list or not instances:
        raise RowError(
            "wrong-type",
            f"`instances` is {'an empty list' if instances == [] else kind(instances)}, not a list of examples.",
            'Write [{"input": "...", "output": "..."}].',
        )
    found: list[Conversation] = []
    for number, instance in enumerate(instances, 1):
        texts = instance if type(instance) is dict else {}
        given, answer = texts.get("input") or "", texts.get("output")
        if type(given) is not str or type(answer) is not str:
            raise RowError(
                "wrong-type",
                f"Entry {number} of `instances` does not hold an input and an output, both of them texts.",
                'Write {"input": "...", "output": "..."}.',
            )
        asked = joined(text(row, "instruction"), given)
        found.append(Conversation((Message("user", asked), Message("assistant", answer))))
    return found


def _holds_no_half(row: Row) -> bool:
    """Whether a text stands alone: not beside a question, whose answer is missing, or the like."""
    return HALVES.isdisjoint(row) or all(row[key] is None for key in HALVES & row.keys())


CHATS = {key: _chat(key, key) for key in ("messages", "conversations", "conversation")}
PAIRS = {
    each.name: each
    for each in (
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
OF_A_MESSAGE = ("parent_id", "rank", "deleted", "review_result", "replies", "message_tree_id")
HALVES = frozenset({"chosen", "rejected", *(key for each in PAIRS.values() for key in each.required)})

# In order of preference: a row is written in the first format whose required keys it has.
FORMATS: dict[str, Format] = (
    CHATS
    | PAIRS
    | {
        each.name: each
        for each in (
            Format("seed tasks", ("instruction", "instances"), (), _instances),
            Format("SQuAD question", ("question", "answers"), ("context",), squad.of_question),
            Format("SQuAD paragraph", ("context", "qas"), (), squad.of_paragraph),
            Format("SQuAD article", ("paragraphs",), ("title",), squad.of_article),
            Format("SQuAD", ("data",), ("version",), squad.of_articles, squad.holds_articles),
            Format(
                "OASST tree", ("prompt",), ("message_tree_id", "tree_state"), oasst.of_tree, oasst.is_tree
            ),
            Format("OASST message", ("message_id", "text", "role"), OF_A_MESSAGE, oasst.of_message),
            _whole_text("text", _holds_no_half),
        )
    }
)
