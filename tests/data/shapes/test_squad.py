"""Questions about a text: every one that has an answer becomes a conversation, and the others are counted."""

import pytest

from core.data.remarks import RowError
from core.data.shapes.formats import Conversation, Reading, detect


def told(row: dict) -> list[Conversation]:
    return list(detect(row).conversations(row, Reading()))


def asked(question="Who came?", *answers: str, **more) -> dict:
    return {"question": question, "answers": [{"text": each, "answer_start": 0} for each in answers]} | more


def paragraph(*questions) -> dict:
    return {"title": "Fables", "paragraphs": [{"context": "A fox came.", "qas": list(questions)}]}


def test_the_context_follows_the_question_after_an_empty_line():
    (found,) = told(paragraph(asked("Who came?", "A fox")))
    assert [message.content for message in found.messages] == ["Who came?\n\nA fox came.", "A fox"]
    row = {"context": "A fox came.", "question": "Who came?", "answers": {"text": ["A fox"]}}
    assert told(row) == [found]


def test_questions_without_an_answer_are_left_out_and_counted_on_the_first():
    left_out = [asked("Why?"), asked("When?", "Never", is_impossible=True), asked("Where?", " ")]
    first, second = told(paragraph(*left_out, asked("Who?", "A fox"), asked("What?", "It")))
    assert [remark.code for remark in first.remarks] == ["unanswerable"]
    assert "3; they are left out" in first.remarks[0].why
    assert second.remarks == ()


def test_broken_questions_are_left_out_and_counted():
    broken = [asked(7, "A"), "?", {"question": "Q", "answers": [7]}, {"question": "Q", "answers": 7}]
    (found,) = told(paragraph(*broken, asked("Who?", "A fox")))
    assert [(remark.code, "4;" in remark.why) for remark in found.remarks] == [("wrong-type", True)]


def test_the_first_of_several_answers_is_learned_and_that_is_said():
    (found,) = told(paragraph(asked("Who?", "A fox", "Fox", "A fox")))
    assert found.messages[1].content == "A fox"
    assert [remark.code for remark in found.remarks] == ["several-answers"]
    assert told(paragraph(asked("Who?", "A fox", "A fox")))[0].remarks == ()


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"question": "Q", "answers": {"text": []}}, "unanswerable"),
        ({"question": "Q", "answers": []}, "unanswerable"),
        (paragraph(asked("Why?"), asked("When?")), "unanswerable"),
        (paragraph(), "no-answer"),
        ({"question": 7, "answers": ["A"]}, "wrong-type"),
        ({"question": "Q", "context": 7, "answers": ["A"]}, "wrong-type"),
        ({"paragraphs": "A fox came."}, "wrong-type"),
        ({"paragraphs": ["A fox came."]}, "wrong-type"),
        ({"context": "A fox came.", "qas": {"question": "Q"}}, "wrong-type"),
    ],
)
def test_a_row_without_a_question_that_can_be_learned_says_so(row, code):
    with pytest.raises(RowError) as caught:
        told(row)
    assert caught.value.remark.code == code
