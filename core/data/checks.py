"""What a conversation must be to be learned from, and what is worth saying about it although it is."""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from os.path import commonprefix

from core.data.examples import Example, Message, Problem
from core.data.remarks import Remark, RowError, excerpt, quoted, visible

LONG = 100_000  # characters; about 25,000 tokens
CHUNK = 1_000_000  # characters looked at together, so that long texts are not copied whole
CONTROLS = bytes({*range(32), 127} - set(b"\t\n\r"))
MARKER = re.compile(r"<\|[\w-]{1,40}\|>")

CONTROL_CHARACTER = Remark(
    "control-character",
    r"A text holds a control character, such as \u0000, \b or \f; it is kept.",
    r"Remove it; where a LaTeX command such as \frac is meant, write its backslash twice.",
)
ANSWER_FIRST = Remark(
    "answer-first",
    "The conversation begins with an answer to no question; it is used as it is.",
    "Add the question before it.",
)
SAME_ROLE = Remark(
    "same-role-twice",
    "Two messages in a row come from the same side; they are used as they are.",
    "Join them, or add the message that is missing between them.",
)
UNANSWERED = Remark(
    "unanswered-question",
    "The conversation ends with a question; it is used up to its last answer.",
    "Add the answer, or delete the question.",
)


def check(messages: tuple[Message, ...]) -> tuple[tuple[Message, ...], list[Remark]]:
    """The messages to learn from, and warnings; raises RowError if there is nothing to learn.

    Empty system messages are left out, and with a warning also questions after the last answer.
    """
    remarks: list[Remark] = []
    if len(messages) != 2 or messages[0].role != "user" or messages[1].role != "assistant":
        messages = _in_order(messages, remarks)
    for number, message in enumerate(messages, 1):
        if not message.content or message.content.isspace():
            raise _empty(message, number, len(messages))
    remarks += _about_texts([message.content for message in messages])
    return messages, remarks


def repeats(examples: Iterable[Example]) -> Iterator[Problem]:
    """Warnings about conversations that are there twice, and questions that have several answers."""
    asked: dict[tuple[Message, ...], Example] = {}  # question -> the first example of it
    answered: dict[tuple[Message, ...], Example] = {}  # conversations with another answer than the first
    for example in examples:
        question = example.messages[:-1]
        first = asked.setdefault(question, example)
        if first is example:
            continue
        same = first if first.messages == example.messages else answered.setdefault(example.messages, example)
        remark = _other_answer(example, first) if same is example else _duplicate(same)
        yield Problem(example.source, "warning", *remark)


def _duplicate(same: Example) -> Remark:
    return Remark(
        "duplicate",
        f"The row is the same as {visible(str(same.source))}; it is kept, and counts twice.",
        "Delete one of them, unless it should weigh more.",
    )


def _other_answer(example: Example, first: Example) -> Remark:
    answers = [each.messages[-1].content for each in (example, first)]
    begin = max(0, len(commonprefix(answers)) - 15)  # shortly before the first difference
    here, there = (excerpt(answer[begin:], 30) for answer in answers)
    return Remark(
        "other-answer",
        f"{visible(str(first.source))} asks the same but answers “{there}”, not “{here}”. Both are kept.",
        "Delete one of them, unless both are right.",
    )


def _in_order(messages: tuple[Message, ...], remarks: list[Remark]) -> tuple[Message, ...]:
    """An optional system message, then turns that end with an answer."""
    messages = tuple(
        each for each in messages if each.role != "system" or (each.content and not each.content.isspace())
    )
    if any(message.role == "system" for message in messages[1:]):
        raise RowError(
            "system-not-first",
            "A system message comes after other messages.",
            "Write one system message, at the beginning.",
        )
    answers = [number for number, message in enumerate(messages, 1) if message.role == "assistant"]
    if not answers:
        raise RowError(
            "no-answer",
            "The conversation has no answer to learn.",
            "Add an assistant message, or delete the line.",
        )
    if answers[-1] < len(messages):
        remarks.append(UNANSWERED)
        messages = messages[: answers[-1]]
    turns = messages[1:] if messages[0].role == "system" else messages
    if turns[0].role == "assistant":
        remarks.append(ANSWER_FIRST)
    if any(one.role == other.role for one, other in pairwise(turns)):
        remarks.append(SAME_ROLE)
    return messages


def _empty(message: Message, number: int, of: int) -> RowError:
    side = "question" if message.role == "user" else "answer"
    where = f" (message {number} of {of})" if of > 2 else ""
    return RowError(f"empty-{side}", f"The {side} is empty{where}.", "Write it, or delete the line.")


def _about_texts(texts: list[str]) -> Iterator[Remark]:
    """What is to be said of the texts of a row; RowError if they cannot be written as UTF-8."""
    controls = False
    for text in texts:
        for begin in range(0, len(text), CHUNK):
            raw = _utf8(text[begin : begin + CHUNK])
            # Deleting and comparing takes a fifth of the time of a regular expression.
            controls = controls or len(raw.translate(None, CONTROLS)) < len(raw)
    if controls:
        yield CONTROL_CHARACTER
    markers = {marker: None for text in texts if "<|" in text for marker in MARKER.findall(text)}
    if markers:
        yield Remark(
            "template-marker",
            f"The row holds {quoted(markers)}, as chat templates mark turns; it is kept, as text.",
            "Remove it, unless the text is about chat templates.",
        )
    characters = sum(map(len, texts))
    if characters > LONG:
        yield Remark(
            "long-row",
            f"The row holds {characters:,} characters, more than most models read at once.",
            "Split it; otherwise train.max_length and train.overlong decide what becomes of it.",
        )


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise RowError(
            "lone-surrogate",
            f"A text holds half a character ({visible(text[error.start])}), as when an emoji was cut in two.",
            "Write the whole character, or remove the half.",
        ) from None
