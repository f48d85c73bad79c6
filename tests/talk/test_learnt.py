"""What a run learnt from, as far as it decides how one talks to it."""

import pytest

from core.data.examples import Example, Message, Source
from core.data.report import is_single_turn as have_one_question
from core.runs.store import RunStore
from core.show import converse
from core.talk.learnt import is_single_turn
from tests.conftest import quick


def example(*roles: str) -> Example:
    return Example(tuple(Message(role, "words") for role in roles), Source("rows.jsonl", 1))


def test_conversations_with_one_question_each_are_told_from_others():
    once = example("system", "user", "assistant", "tool", "assistant")
    assert have_one_question([once])
    assert not have_one_question([once, example("assistant")])  # a text, that answers nobody
    assert not have_one_question([once, example("user", "assistant", "user", "assistant")])


def test_a_run_knows_whether_it_ever_saw_a_second_question_and_an_older_one_does_not(full_run, tmp_path):
    assert is_single_turn(full_run)
    assert not is_single_turn(RunStore(tmp_path).create("older", quick()))


@pytest.mark.parametrize("remember", [None, True])
def test_in_the_shell_such_a_run_answers_each_question_by_itself_unless_it_is_asked_to_remember(
    full_run, monkeypatch, capsys, remember
):
    asked = iter(["Who led Alice?", "Who raised Mowgli?", "Who raised Mowgli?", ""])
    monkeypatch.setattr("builtins.input", lambda _: next(asked))
    sampling = {"temperature": 0.0, "max_new_tokens": 12}
    converse(full_run, None, ("tuned",), json=False, remember=remember, **sampling)
    said = capsys.readouterr()
    _, second, third = said.out.splitlines()
    assert (second == third) == (remember is None)
    assert ("answered by itself; with --remember" in said.err) == (remember is None)
