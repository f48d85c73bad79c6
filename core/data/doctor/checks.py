"""What a conversation must be to be learned from, and what is worth saying about it although it is."""

from itertools import pairwise

from core.data.doctor.texts import about
from core.data.examples import Message
from core.data.remarks import Remark, RowError

SHORT = 100  # characters; a longer message says something
UNSEEN = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))  # characters that nobody sees
NOTHING = {
    *(
        "null",
        "nan",
        "nil",
        "n/a",
        "undefined",
        "[object object]",
        "#n/a",
        "#ref!",
        "#name?",
        "#value!",
    ),
    *("...", "…", "-", "--", "---", "?", "xxx", "tbd", "todo"),
}
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
RESULT_FIRST = Remark(
    "result-without-call",
    "The result of a tool follows no call of one; it is used as it is.",
    "Add the call before it, or delete the result.",
)
UNANSWERED = Remark(
    "unanswered-question",
    "The conversation ends with a question; it is used up to its last answer.",
    "Add the answer, or delete the question.",
)


def check(messages: tuple[Message, ...]) -> tuple[tuple[Message, ...], list[Remark]]:
    """The messages to learn from, and warnings; raises RowError if there is nothing to learn.

    Empty system messages are left out, and with a warning also questions and results after the last answer.
    """
    remarks: list[Remark] = []
    pair = len(messages) == 2 and messages[0].role == "user" and messages[1].role == "assistant"
    if not pair or not messages[1].trained:
        messages = _in_order(messages, remarks)
    for number, message in enumerate(messages, 1):
        content = message.content
        if message.calls or message.role == "tool" or (len(content) > SHORT and not content.isspace()):
            continue
        words = content.translate(UNSEEN).strip()
        if not words:
            raise _empty(message, number, len(messages))
        if message.role == "assistant" and words.lower() in NOTHING:
            remarks.append(_nothing(words))
    remarks += about(messages)
    return messages, remarks


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
    if not any(message.trained for message in messages if message.role == "assistant"):
        raise RowError(
            "weight-zero",
            "Every answer of the conversation has the weight 0, so there is nothing to learn.",
            "Give one of them the weight 1, or delete the line.",
        )
    turns = messages[1:] if messages[0].role == "system" else messages
    if turns[0].role == "assistant" and len(turns) > 1:  # a lone one is a text to go on writing
        remarks.append(ANSWER_FIRST)
    if any(one.role == other.role != "tool" for one, other in pairwise(turns)):
        remarks.append(SAME_ROLE)
    if any(turn.role == "tool" and not _awaits_a_result(before) for before, turn in pairwise((None, *turns))):
        remarks.append(RESULT_FIRST)
    return messages


def _awaits_a_result(before: Message | None) -> bool:
    """Whether a tool's result may follow; tools that were called together give several, one after the other."""
    return before is not None and (before.role == "tool" or bool(before.calls))


def _nothing(words: str) -> Remark:
    return Remark(
        "no-words",
        f"The answer is “{words}”, as programs and spreadsheets write where nothing is; it is learned as it stands.",
        "Write the answer, or delete the line; nothing to do if it is meant.",
    )


def _empty(message: Message, number: int, of: int) -> RowError:
    side = "question" if message.role == "user" else "answer"
    where = f" (message {number} of {of})" if of > 2 else ""
    return RowError(f"empty-{side}", f"The {side} is empty{where}.", "Write it, or delete the line.")
