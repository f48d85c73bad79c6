"""Asking another process: answers, sentences, and processes that nobody waits for any more."""

import threading

import pytest

from core import children
from core.errors import UserError
from webui.intake.reading import Readings

QUESTION = ["data", "check", "sample:fables-en", "--no-tokens"]


def test_a_file_of_which_nothing_is_usable_comes_back_with_its_problems(tmp_path):
    file = tmp_path / "bad.jsonl"
    file.write_text("not JSON\n")
    seen = children.ask("data", "check", str(file))
    assert seen["error"] and seen["problems"][0]["line"] == 1 and seen["rejected"] == 1


def test_a_request_that_cannot_be_understood_is_a_sentence():
    with pytest.raises(UserError, match=r"train\.epochs"):
        children.ask(*QUESTION, "--train.epochs", "0")


def test_an_answer_that_takes_too_long_is_given_up_and_its_process_ended():
    with pytest.raises(UserError, match="`atelier data check` did not answer within 0 seconds"):
        children.ask(*QUESTION, timeout=0.01)


def test_leaving_ends_the_process():
    with children.Asked(*QUESTION) as asked:
        process = asked._process
        assert process.poll() is None
    assert process.returncode is not None


def test_a_page_that_asks_for_something_else_gets_the_later_answer_alone():
    readings, found = Readings(), {}

    def ask(question, *arguments):
        found[question] = [each for each in readings.answer("page", question, [*QUESTION, *arguments])]

    first = threading.Thread(target=ask, args=("first",))
    first.start()
    while "page" not in readings._asked:
        pass
    ask("second", "--data.drop", "duplicate")
    first.join()
    assert not [each for each in found["first"] if isinstance(each, dict)]
    assert found["second"][-1]["kept"] == 296


def test_what_is_being_read_is_not_read_twice_at_once():
    readings = Readings()
    running = readings.answer("page", "the same", QUESTION)
    readings._asked["page"] = "the same"
    assert list(running) == []
