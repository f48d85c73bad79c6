"""One pair of models in memory per server, and a conversation that each side remembers for itself."""

import pytest

from core.errors import RunError
from webui.talks import Said, Sampling, Talks, Turn, history

BRIEF = Sampling(temperature=0.0, max_new_tokens=6, system="")


@pytest.fixture
def talks():
    talks = Talks()
    yield talks
    talks.close()


def test_each_side_has_heard_its_own_answers_only():
    turns = [
        Turn("One?", {"tuned": Said("Tuned one.", "turn"), "base": Said("Base one.", "turn")}),
        Turn("Two?", {"tuned": Said("Tuned two.", "turn")}),
    ]
    assert [message["content"] for message in history(turns, "base", "Be kind.")] == [
        "Be kind.",
        "One?",
        "Base one.",
    ]
    assert [message["content"] for message in history(turns, "tuned", "")] == [
        "One?",
        "Tuned one.",
        "Two?",
        "Tuned two.",
    ]


def test_both_sides_answer_one_after_the_other(talks, lora_run):
    grown = list(talks.converse(lora_run, [], "Who are you?", ("tuned", "base"), BRIEF))
    (turn,) = grown[-1]
    assert turn.question == "Who are you?"
    assert all(said.ended in ("turn", "length") and said.tokens <= 6 for said in turn.answers.values())
    first_of_base = next(step[0] for step in grown if step[0].answers["base"].ended != "waiting")
    assert first_of_base.answers["tuned"] == turn.answers["tuned"]


def test_opening_another_run_closes_the_first(talks, full_run, lora_run):
    first = talks.open(full_run)
    assert (talks.state, talks.run_name) == ("ready", "full")
    talks.open(lora_run)
    assert first.process.poll() is not None
    assert (talks.state, talks.run_name) == ("ready", "lora")
    talks.close()
    assert talks.state == "closed"


def test_an_empty_question_is_not_asked(talks, lora_run):
    with pytest.raises(RunError, match="write a question"):
        next(talks.converse(lora_run, [], "  ", ("tuned",), BRIEF))
    assert talks.state == "closed"
