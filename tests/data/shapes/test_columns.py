"""Columns of other names: named by a person, or guessed and said to be a guess."""

import pytest

from core.data.remarks import RowError
from core.data.shapes import columns
from core.data.shapes.formats import Conversation, Reading, detect, keyed, value_of
from core.errors import DataError

TWO = {"question": "QUESTIONS", "answer": "ANSWERS"}


def told(row: dict, **named: str) -> Conversation:
    reading = Reading(columns=named)
    row = keyed(row, reading)
    (found,) = detect(row, reading).conversations(row, reading)
    return found


def texts(row: dict, **named: str) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in told(row, **named).messages]


def refused(row: dict, **named: str):
    with pytest.raises(RowError) as caught:
        told(row, **named)
    return caught.value.remark


def test_named_columns_are_read_as_named_also_where_another_shape_would_fit():
    row = {"prompt": "p", "response": "r", "Topic": "T", "Explanation": "E", "Source": "S", "Voice": "V"}
    assert texts(row, question="Topic", answer="Explanation") == [("user", "T"), ("assistant", "E")]
    assert texts(row, question="Topic", answer="Explanation", context="Source", system="Voice") == [
        ("system", "V"),
        ("user", "T\n\nS"),
        ("assistant", "E"),
    ]
    assert texts(row, text="Source") == [("assistant", "S")]


def test_messages_may_stand_in_a_column_of_any_name():
    row = {
        "Dialog": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}],
        "tools": "[{}]",
    }
    assert texts(row, messages="Dialog") == [("user", "Q"), ("assistant", "A")]
    assert told(row, messages="Dialog").tools == ("{}",)


def test_a_name_is_looked_for_as_it_is_written_and_then_in_any_case():
    row = {"Q": "upper", "q": "lower", "A": "A"}
    assert texts(row, question="q", answer="a")[0] == ("user", "lower")
    assert texts(row, question="Q", answer="a")[0] == ("user", "upper")
    assert refused({"QQ": "x", "qQ": "y", "A": "A"}, question="qq", answer="A").code == "missing-column"


def test_a_missing_column_is_one_sentence_that_names_those_there_are():
    remark = refused({"Topic": "T", "Explanation": "E"}, question="Topik", answer="Explanation")
    assert remark.code == "missing-column"
    assert remark.why == (
        "There is no column `Topik` for data.columns.question; the columns are `Topic` and `Explanation`."
    )
    assert refused({"prompt": "Q", "response": "A"}, system="persona").code == "missing-column"


def test_a_system_prompt_alone_may_be_named_and_the_shape_is_found():
    row = {"Prompt": "Q", "Response": "A", "Persona": "P"}
    assert texts(row, system="Persona") == [("system", "P"), ("user", "Q"), ("assistant", "A")]
    reading = Reading(columns={"system": "Persona"})
    assert "persona" in detect(keyed(row, reading), reading).optional


@pytest.mark.parametrize(
    "named",
    [{"question": "Q"}, {"answer": "A"}, {"messages": "M", "text": "T"}, {"context": "C"}, {"anwser": "A"}],
)
def test_columns_that_make_no_shape_are_refused_before_any_file_is_read(named):
    with pytest.raises(DataError, match=r"data\.columns"):
        Reading(columns=named)


@pytest.mark.parametrize(
    ("value", "number"),
    [(3, 3.0), ("2.5", 2.5), (" -1 ", -1.0), (None, None), ("", None), (" ", None), (0, 0.0)],
)
def test_the_difficulty_is_a_number_or_empty(value, number):
    assert value_of({"Level": value}, Reading(columns={"difficulty": "level"})) == number
    assert value_of({"Level": value}, Reading()) is None


def test_a_row_without_its_difficulty_can_be_learned_and_that_is_said():
    row = {"prompt": "Q", "response": "A"}
    assert texts(row, difficulty="level") == [("user", "Q"), ("assistant", "A")]
    assert "level" in detect(row | {"level": 3}, Reading(columns={"difficulty": "Level"})).optional
    with pytest.raises(RowError, match=r"no column `level` for data\.columns\.difficulty"):
        value_of(row, Reading(columns={"difficulty": "level"}))


@pytest.mark.parametrize("value", ["Level 3", "nan", "inf", float("nan"), [3], "9" * 5_000, 10**400])
def test_a_difficulty_that_is_no_number_is_said(value):
    with pytest.raises(RowError) as caught:
        value_of({"level": value}, Reading(columns={"difficulty": "level"}))
    assert (caught.value.remark.code, caught.value.remark.why.isprintable()) == ("no-number", True)


@pytest.mark.parametrize(
    ("names", "question", "answer"),
    [
        (("QUESTIONS", "ANSWERS"), "QUESTIONS", "ANSWERS"),
        (("riddle", "answer"), "riddle", "answer"),
        (("Question", "Réponse"), "Question", "Réponse"),
        (("N°", "Devinette", "Solution", "Auteur"), "Devinette", "Solution"),
        (("Frage", "Antwort"), "Frage", "Antwort"),
        (("Fragen", "Antworten"), "Fragen", "Antworten"),
        (("Rätsel", "Lösung"), "Rätsel", "Lösung"),
        (("preguntas", "respuestas"), "preguntas", "respuestas"),
        (("  Pregunta ", "Respuesta:"), "  Pregunta ", "Respuesta:"),
        (("E\u0301nigme", "Re\u0301ponse"), "E\u0301nigme", "Re\u0301ponse"),
    ],
)
def test_columns_are_guessed_from_their_names_and_said_as_a_guess(names, question, answer):
    guess = columns.guess([dict.fromkeys(names, "x")])
    assert guess.columns == {"question": question, "answer": answer}
    assert "guess" in guess.remark.why
    assert f"--data.columns.question {columns.shlex.quote(question)} " in guess.remark.fix
    assert texts(dict.fromkeys(names, "x"), **guess.columns) == [("user", "x"), ("assistant", "x")]


def test_a_context_is_guessed_beside_a_question_and_an_answer():
    guess = columns.guess([{"Question": "Q", "Contexte": "C", "Réponse": "A"}])
    assert guess.columns == {"question": "Question", "answer": "Réponse", "context": "Contexte"}


@pytest.mark.parametrize(
    "names",
    [
        ("nom", "fonction"),
        ("Secteur", "Composant", "FONCTIONNALITÉ", "CAS D’USAGE", "LOGICIEL"),
        ("Question",),
        ("Question", "Answer A", "Answer B"),
        ("Riddle", "Question", "Answer"),
        ("Question", "Réponse", "Solution"),
        ("question 1", "answer 1"),
        ("Question date", "Answer"),
        ("request", "response", "status"),
        ("user", "reply"),
        ("вопрос", "ответ"),
        ("questionnaire", "answered"),
        (),
    ],
)
def test_what_is_not_clear_is_not_guessed(names):
    assert columns.guess([dict.fromkeys(names, "x")]) is None


def test_columns_that_hold_no_texts_are_not_guessed():
    assert columns.guess([]) is None
    assert columns.guess([{"Frage": 1, "Antwort": "A"}]) is None
    assert columns.guess([{"Frage": "Q", "Antwort": "A", "Réponse": None}]) is None
    assert columns.guess([{"Frage": "Q", "Antwort": ""}] * 3 + [{"Frage": "Q", "Antwort": "A"}]) is None
