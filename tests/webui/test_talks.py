"""One pair of models in memory per server, and a conversation that each side remembers for itself."""

import json
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import gradio as gr
import pytest

from core.errors import DataError, RunError
from core.runs.process import lives
from core.runs.store import RunStore
from core.talk import Talk, address
from tests.conftest import until as come_true
from tests.webui.answering import answering
from webui import sampling
from webui.programs.talking import Talking
from webui.render import chat as render
from webui.shared import Shared
from webui.talks import Sampling, Talks
from webui.turns import FILE, Said, Turn, as_lines, corrected, history, kept, read, recalled, until

BRIEF = Sampling(temperature=0.0, max_new_tokens=6, system="")


@pytest.fixture
def talks():
    talks = Talks()
    yield talks
    talks.close()


@pytest.fixture(scope="module")
def loaded(trained_runs):
    """The run `lora` with a process that answers for it, which lives for as long as anybody has joined it: here for all tests
    that ask this one."""
    talk = Talk(trained_runs.get("lora"))
    yield trained_runs.get("lora")
    talk.close()


@pytest.fixture
def shared(loaded):
    shared = Shared(RunStore(loaded.folder.parent))
    yield shared
    shared.talks.close()


@pytest.fixture
def asked_by():
    """What an act answers whoever has this page open, or is this program."""

    def answer(who: str, act):
        with answering(gr.Request(request=SimpleNamespace(headers={}), session_hash=who)):
            return act()

    return answer


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


def test_both_sides_answer_one_after_the_other(talks, loaded):
    grown = list(talks.converse(loaded, [], "Who are you?", ("tuned", "base"), BRIEF, "ada"))
    (turn,) = grown[-1]
    assert turn.question == "Who are you?"
    assert all(said.ended in ("turn", "length") and said.tokens <= 6 for said in turn.answers.values())
    first_of_base = next(step[0] for step in grown if step[0].answers["base"].ended != "waiting")
    assert first_of_base.answers["tuned"] == turn.answers["tuned"]


def test_a_question_is_answered_by_itself_and_learned_from_by_itself(talks, loaded):
    first = Turn("Who led Alice?", {"base": Said("Nobody, and the Mouse, and the Mouse.", "turn")})

    def answer(turns: list[Turn], alone: bool) -> Turn:
        how = replace(BRIEF, max_new_tokens=12, alone=alone)
        *_, grown = talks.converse(loaded, turns, "Who raised Mowgli?", ("base",), how, "ada")
        return grown[-1]

    never, alone, after = answer([], False), answer([first], True), answer([first], False)
    text = {
        each: turn.answers["base"].text
        for each, turn in {"alone": alone, "never": never, "after": after}.items()
    }
    assert text["alone"] == text["never"] != text["after"]
    assert "Answered by itself" in render.conversation([first, alone], "lora")
    assert "Answered by itself" not in render.conversation([alone, after], "lora")
    assert len(corrected([first, alone], 1, "base", "Wolves.", "")) == 2
    assert len(corrected([first, after], 1, "base", "Wolves.", "")) == 4
    assert recalled(kept("lora", [first, alone]), "lora") == [first, alone]


KEPT = {
    "run": "lora",
    "who": "base",
    "seed": None,
    "temperature": 0,
    "longest": 32,
    "alone": False,
    "system": "Be kind.",
}


def test_how_they_answer_is_as_the_browser_kept_it_and_what_it_did_not_keep_so_stays(lora_run, full_run):
    assert sampling.recalled(KEPT, lora_run) == ["base", None, 0, 32, False, "Be kind."]
    assert sampling.recalled(KEPT, full_run)[4] is True  # as its examples are
    odd = {
        "run": "lora",
        "who": ["both"],
        "seed": "1",
        "temperature": 3,
        "longest": float("nan"),
        "alone": 1,
        "system": "\ud800",
    }
    for sent in (odd, [], None, {"run": "lora"}):
        assert {str(each) for each in sampling.recalled(sent, lora_run) if each is not True} == {
            str(gr.skip())
        }


def test_the_same_seed_gives_both_sides_the_same_answers_and_another_seed_others(talks, loaded):
    def answers(seed: int) -> dict[str, str]:
        drawn = Sampling(temperature=1.5, max_new_tokens=10, system="", seed=seed)
        *_, (turn,) = talks.converse(loaded, [], "Who are you?", ("tuned", "base"), drawn, "ada")
        assert turn.seed == seed
        return {side: said.text for side, said in turn.answers.items()}

    first = answers(7)
    assert first == answers(7)
    other = answers(8)
    assert all(first[side] != other[side] for side in ("tuned", "base"))


def test_a_stop_ends_an_answer_at_once_also_while_the_models_load_and_only_for_whoever_pressed_it(
    talks, full_run
):
    endless = Sampling(temperature=0.0, max_new_tokens=400, system="")
    grown = talks.converse(full_run, [], "Who are you?", ("base", "tuned"), endless, "ada")
    next(grown)
    next(grown)
    come_true(lambda: talks.state == "loading")
    with pytest.raises(RunError, match="still being answered"):
        next(talks.converse(full_run, [], "And I?", ("base",), endless, "ada"))
    talks.stop("bob")
    assert next(grown)[0].answers["base"].ended == "waiting"
    began = time.monotonic()
    talks.stop("ada")
    *_, (turn,) = grown
    assert time.monotonic() - began < 0.5
    assert turn.answers == {"base": Said("", "stopped")}
    assert talks.open(full_run) and talks.state == "ready"  # what was begun to load can be used
    grown = talks.converse(full_run, [turn], "Who are you?", ("base", "tuned"), endless, "ada")
    until_said = next(each for each in grown if each[-1].answers["base"].tokens > 2)
    talks.stop("ada")
    *_, last = grown
    assert last[-1].answers["base"].ended == "stopped"
    assert last[-1].answers["base"].text.startswith(until_said[-1].answers["base"].text)


def test_a_program_asks_several_questions_at_once_and_stops_its_own_and_nobody_elses(shared, asked_by):
    """Here the page is everybody's: who stops is told apart by the page or program that asks."""
    question = {"run": "lora", "messages": [{"role": "user", "content": "Who are you?"}], "temperature": 0.0}
    with ThreadPoolExecutor(3) as pool:
        acts = Talking(shared)
        shared.talks.open(shared.run("lora"))
        ask = partial(acts.ask, **question)
        hers = [pool.submit(asked_by, "ada", partial(ask, max_new_tokens=400)) for _ in range(2)]
        come_true(lambda: len(shared.talks._stops.get("ada", ())) == 2)
        his = pool.submit(asked_by, "bob", partial(ask, max_new_tokens=6))
        come_true(lambda: "bob" in shared.talks._stops)
        asked_by("ada", acts.stop_answer)
        assert {each.result(30)["ended"] for each in hers} == {"stopped"}
        assert his.result(30)["ended"] in ("turn", "length")
    assert shared.talks._stops == {}


def test_models_that_are_unloaded_while_they_answer_say_so_and_the_question_stays(talks, full_run):
    grown = talks.converse(full_run, [], "Who are you?", ("tuned",), BRIEF, "ada")
    next(grown)
    threading.Timer(0.5, talks.close).start()
    said = []
    with pytest.raises(RunError, match="unloaded meanwhile"):
        for each in grown:
            said.append(each)
    assert said[-1][0].question == "Who are you?" and said[-1][0].answers["tuned"].ended == "broken"


def test_opening_another_run_closes_the_first(talks, full_run, loaded):
    talks.open(full_run)
    first = address.read(full_run)
    assert (talks.state, talks.run_name) == ("ready", "full")
    talks.open(loaded)
    assert not lives(first.pid, first.born)
    assert (talks.state, talks.run_name) == ("ready", "lora")
    talks.close()
    assert talks.state == "closed"


def test_an_empty_question_is_not_asked(talks, lora_run):
    with pytest.raises(RunError, match="write a question"):
        next(talks.converse(lora_run, [], "  ", ("tuned",), BRIEF, "ada"))
    assert talks.state == "closed"


def test_a_run_that_was_deleted_and_made_again_is_not_answered_by_the_process_of_the_old_one(
    talks, lora_run, full_run, tmp_path
):
    store = RunStore(tmp_path)
    without = shutil.ignore_patterns("*serve.json*", "checkpoints")
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
             {"run": "poems", "turns": [{"question": "?", "answers": {"tuned": {"text": "a"}}}]},
             *({"run": "poems", "turns": [{"question": "?", "answers": {"tuned": {"text": "a", "ended": "turn", "tokens": 2,
                                                                                  "seconds": 0.5} | odd}}]}
               for odd in ({"ended": {}}, {"tokens": float("inf")}, {"tokens": 10**400}, {"seconds": float("nan")}))]
)  # fmt: skip
def test_what_a_browser_did_not_keep_so_is_no_conversation(sent):
    assert recalled(sent, "poems") == []


LONGER = [
    replace(TURNS[0], answers=TURNS[0].answers | {"tuned": Said("Me,\n  « moi ».", "turn", 2, 0.5)}),
    Turn("Since?", {"tuned": Said("Ever.", "stopped", 2, 0.5)}, 42),
]


def test_a_conversation_is_the_same_as_a_file_and_back_and_both_sides_go_on_from_it(tmp_path):
    file = tmp_path / "poems.jsonl"
    file.write_text(as_lines(LONGER, "tuned", "Be kind."), encoding="utf-8")
    system, turns, many = read(file, "poems.jsonl")
    assert (system, many) == ("Be kind.", 1)
    assert as_lines(turns, "base", system).encode() == file.read_bytes()
    assert [turn.answers[FILE].text for turn in turns] == ["Me,\n  « moi ».", "Ever."]
    assert recalled(kept("poems", turns), "poems") == turns
    with pytest.raises(RunError, match="no answer of this side"):
        as_lines([], "base", "Be kind.")


def test_questions_answered_by_themselves_are_lines_of_their_own_and_one_conversation_again(tmp_path):
    file = tmp_path / "poems.jsonl"
    alone = [replace(turn, alone=True) for turn in LONGER]
    file.write_text(as_lines(alone, "tuned", "Be kind."), encoding="utf-8")
    rows = [json.loads(line)["messages"] for line in file.read_text("utf-8").splitlines()]
    assert [[each["role"] for each in row] for row in rows] == [["system", "user", "assistant"]] * 2
    system, turns, many = read(file, "poems.jsonl")
    assert (system, many, [turn.alone for turn in turns]) == ("Be kind.", 1, [True, True])
    assert as_lines(turns, "base", system).encode() == file.read_bytes()


@pytest.mark.parametrize(
    "line, why",
    [
        ("{'messages': []}", "not with print"),
        ('{"text": "a"}', "no list of messages"),
        ('{"messages": [{"role": "user", "content": 5}]}', "no text as its content"),
        ('{"messages": [{"role": "user", "content": "\\ud800"}]}', "no text|half of a character"),
        (
            '{"messages": [{"role": "assistant", "content": "a"}]}',
            "message of assistant stands where one of user",
        ),
        ('{"messages": [{"role": "system", "content": "a"}]}', "nobody asks"),
    ],
)
def test_a_file_that_is_no_conversation_is_a_sentence_with_file_and_line(tmp_path, line, why):
    file = tmp_path / "kept.jsonl"
    file.write_text(as_lines(LONGER, "tuned", "") + "\n" + line + "\n")
    with pytest.raises(DataError, match=rf"^poems\.jsonl, line 3: .*({why})"):
        read(file, "poems.jsonl")


def test_a_correction_is_the_conversation_up_to_the_answer_in_other_words():
    row = corrected(LONGER, 1, "tuned", "Since Monday.", "Be kind.")
    assert [each["content"] for each in row] == [
        "Be kind.",
        "Who?",
        "Me,\n  « moi ».",
        "Since?",
        "Since Monday.",
    ]
    with pytest.raises(RunError, match="cannot be empty"):
        corrected(LONGER, 1, "tuned", " ", "")
    for at in (2, -1):
        with pytest.raises(RunError, match="no longer there"):
            until(LONGER, at)
    assert json.loads(as_lines(LONGER[:1], "base", ""))["messages"][1]["content"] == "You."
