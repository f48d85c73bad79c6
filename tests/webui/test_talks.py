"""One pair of models in memory per server, and a conversation that each side remembers for itself."""

import shutil

import pytest

from core.errors import RunError
from core.runs.process import lives
from core.runs.store import RunStore
from core.talk import address
from webui.talks import Said, Sampling, Talks, Turn, history, kept, recalled

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
    talks.open(full_run)
    first = address.read(full_run)
    assert (talks.state, talks.run_name) == ("ready", "full")
    talks.open(lora_run)
    assert not lives(first.pid, first.born)
    assert (talks.state, talks.run_name) == ("ready", "lora")
    talks.close()
    assert talks.state == "closed"


def test_an_empty_question_is_not_asked(talks, lora_run):
    with pytest.raises(RunError, match="write a question"):
        next(talks.converse(lora_run, [], "  ", ("tuned",), BRIEF))
    assert talks.state == "closed"


def test_a_run_that_was_deleted_and_made_again_is_not_answered_by_the_process_of_the_old_one(
    talks, lora_run, full_run, tmp_path
):
    store = RunStore(tmp_path)
    without = shutil.ignore_patterns("*serve.json*")
    shutil.copytree(lora_run.folder, tmp_path / "poems", ignore=without)
    before = talks.open(store.get("poems"))
    shutil.rmtree(tmp_path / "poems")
    shutil.copytree(full_run.folder, tmp_path / "poems", ignore=without)
    assert talks.state == "closed"
    assert talks.open(store.get("poems")).pid != before.pid
    assert talks.loaded.shared is False  # a full run's


TURNS = [Turn("Who?", {"tuned": Said("Me.", "turn", 2, 0.5), "base": Said("You.", "length", 3, 0.25)})]


def test_a_conversation_is_the_same_after_a_reload_and_another_runs_is_not_shown():
    assert recalled(kept("poems", TURNS), "poems") == TURNS
    assert recalled(kept("poems", TURNS), "songs") == recalled(kept("poems", TURNS), None) == []
    assert len(recalled(kept("poems", TURNS * 200), "poems")) == 50


@pytest.mark.parametrize(
    "sent", [{}, [], None, {"run": "poems"}, {"run": "poems", "turns": 3}, {"run": "poems", "turns": [{"question": 1}]},
             {"run": "poems", "turns": [{"question": "?", "answers": {"tuned": {"text": "a"}}}]}]
)  # fmt: skip
def test_what_a_browser_did_not_keep_so_is_no_conversation(sent):
    assert recalled(sent, "poems") == []
