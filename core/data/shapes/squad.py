"""Questions about a text, as SQuAD and its kin have them: articles, paragraphs, or one question a row.

{"paragraphs": [{"context": "A fox came.", "qas": [{"question": "Who came?", "answers": [{"text": "A fox"}]}]}]}
{"context": "A fox came.", "question": "Who came?", "answers": {"text": ["A fox"], "answer_start": [0]}}
"""

from collections.abc import Iterator
from typing import Any

from core.data.examples import Message
from core.data.remarks import Remark, RowError
from core.data.rows import Row
from core.data.shapes.fields import joined, kind
from core.data.shapes.shape import Conversation, Reading


def holds_articles(row: Row) -> bool:
    listed = row["data"]
    return type(listed) is list and any(type(each) is dict and "paragraphs" in each for each in listed)


def of_articles(row: Row, _reading: Reading) -> list[Conversation]:
    return _answered(asked for article in row["data"] for asked in _in_article(article))


def of_article(row: Row, _reading: Reading) -> list[Conversation]:
    return _answered(_in_article(row))


def of_paragraph(row: Row, _reading: Reading) -> list[Conversation]:
    return _answered(_in_paragraph(row))


def of_question(row: Row, _reading: Reading) -> list[Conversation]:
    return _answered([(row.get("context"), row)])


Asked = tuple[Any, Any]  # a context, and the object that holds a question about it


def _in_article(article: Any) -> Iterator[Asked]:
    for paragraph in _list(article, "paragraphs"):
        yield from _in_paragraph(paragraph)


def _in_paragraph(paragraph: Any) -> Iterator[Asked]:
    for asked in _list(paragraph, "qas"):
        yield paragraph.get("context"), asked


def _list(holder: Any, key: str) -> list[Any]:
    listed = holder.get(key) if type(holder) is dict else None
    if type(listed) is not list:
        what = (
            f"`{key}` is {kind(listed)}" if type(holder) is dict else f"What holds `{key}` is {kind(holder)}"
        )
        raise RowError("wrong-type", f"{what}, not a list.", f'Write {{"{key}": [...]}}, or delete the line.')
    return listed


def _answered(questions: Iterator[Asked] | list[Asked]) -> list[Conversation]:
    """A conversation for each question that has an answer; how many have none is said on the first."""
    found: list[Conversation] = []
    unanswerable = broken = ambiguous = 0
    for context, asked in questions:
        question = asked.get("question") if type(asked) is dict else None
        if not _says(question) or not (context is None or type(context) is str):
            broken += 1
            continue
        answers = [] if _true(asked.get("is_impossible")) else _texts(asked.get("answers"))
        if answers is None:
            broken += 1
        elif not answers:
            unanswerable += 1
        else:
            ambiguous += len(set(answers)) > 1
            asked = joined(question, context or "")
            found.append(Conversation((Message("user", asked), Message("assistant", answers[0]))))
    if not found:
        raise _no_question(unanswerable, broken)
    remarks = tuple(_remarks(unanswerable, broken, ambiguous))
    if remarks:
        found[0] = found[0]._replace(remarks=remarks)
    return found


def _says(value: Any) -> bool:
    return type(value) is str and not (not value or value.isspace())


def _true(value: Any) -> bool:
    return value is True or value in ("true", "True", "1")


def _texts(answers: Any) -> list[str] | None:
    """The answers that say something; None if they are written in no known way.

    [{"text": "A fox"}]        {"text": ["A fox"]}        ["A fox"]
    """
    if type(answers) is dict:
        answers = answers.get("text")
    if answers is None:
        return []
    if type(answers) is not list:
        answers = [answers]
    texts = [each.get("text") if type(each) is dict else each for each in answers]
    if any(type(text) is not str for text in texts):
        return None
    return [text for text in texts if _says(text)]


def _remarks(unanswerable: int, broken: int, ambiguous: int) -> Iterator[Remark]:
    if unanswerable:
        yield Remark(
            "unanswerable",
            f"Questions that have no answer: {unanswerable:,}; they are left out.",
            "Nothing to do, unless they should be answered with a refusal: write it as their answer.",
        )
    if broken:
        yield Remark(
            "wrong-type",
            f"Questions without a text for the question, its context or its answers: {broken:,}; they are left out.",
            'Write {"question": "...", "answers": [{"text": "..."}]}.',
        )
    if ambiguous:
        yield Remark(
            "several-answers",
            f"Questions that have several answers: {ambiguous:,}; the first of each is learned.",
            "Nothing to do, unless another is meant: write it first.",
        )


def _no_question(unanswerable: int, broken: int) -> RowError:
    if broken:
        fix = 'Write {"question": "...", "answers": [{"text": "..."}]}.'
        return RowError("wrong-type", "No question has texts for itself, its context and its answer.", fix)
    if unanswerable:
        why = "The question has no answer." if unanswerable == 1 else "None of the questions has an answer."
        return RowError("unanswerable", why, "Write an answer, such as a refusal, or delete the line.")
    return RowError("no-answer", "There is no question in it.", "Delete the line.")
