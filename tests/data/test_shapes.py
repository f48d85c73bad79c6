"""Rows -> messages: the shapes that are understood, and the sentence for those that are not."""

import pytest

from core.data.checks import check
from core.data.formats import FORMATS, detect, lower_keys, unknown
from core.data.jsonl import Number
from core.data.remarks import RowError


def messages(row: dict) -> list[tuple[str, str]]:
    row = lower_keys(row)
    format = detect(row)
    if format is None:
        raise unknown(row)
    return [(message.role, message.content) for message in check(format.messages(row))[0]]


def remarks(row: dict) -> list[str]:
    return [remark.code for remark in check(detect(row).messages(row))[1]]


def refused(row: dict):
    with pytest.raises(RowError) as caught:
        messages(row)
    return caught.value.remark


PAIR = [("user", "Q"), ("assistant", "A")]


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("prompt/response", {"prompt": "Q", "response": "A"}),
        ("prompt/completion", {"prompt": "Q", "completion": "A"}),
        ("question/answer", {"question": "Q", "answer": "A"}),
        ("query/response", {"query": "Q", "response": "A"}),
        ("user/assistant", {"user": "Q", "assistant": "A"}),
        ("problem/solution", {"problem": "Q", "solution": "A"}),
        ("input/output", {"input": "Q", "output": "A"}),
        ("input/target", {"input": "Q", "target": "A"}),
        ("alpaca", {"instruction": "Q", "output": "A"}),
        ("alpaca", {"instruction": "Q", "input": "", "output": "A"}),
        ("alpaca", {"instruction": "Q", "input": None, "output": "A"}),
        ("dolly", {"instruction": "Q", "response": "A", "category": "qa"}),
        ("dolly", {"instruction": "Q", "context": " \n", "response": "A"}),
        ("prompt/response", {"Prompt": "Q", " RESPONSE ": "A"}),
        ("messages", {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]}),
        ("messages", {"messages": [{"Role": "User", "Content": "Q"}, {"role": "model", "content": "A"}]}),
        (
            "conversations",
            {"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]},
        ),
        (
            "conversations",
            {"conversations": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]},
        ),
        ("conversation", {"conversation": [{"human": "Q", "assistant": "A"}]}),
    ],
)
def test_a_known_shape_becomes_a_question_and_an_answer(name, row):
    assert detect(row).name == name
    assert messages(row) == PAIR


def test_every_format_is_tried_above():
    rows = test_a_known_shape_becomes_a_question_and_an_answer.pytestmark[0].args[1]
    assert {name for name, _ in rows} == set(FORMATS)


def test_an_alpaca_input_follows_the_instruction_after_an_empty_line():
    row = {"instruction": "Translate.", "input": "fox", "output": "renard"}
    assert messages(row)[0] == ("user", "Translate.\n\nfox")


def test_a_dolly_context_follows_the_instruction_after_an_empty_line():
    row = {"instruction": "Who?", "context": "A fox came.", "response": "A fox."}
    assert messages(row)[0] == ("user", "Who?\n\nA fox came.")


def test_an_input_alone_is_the_question_where_the_instruction_is_empty():
    assert messages({"instruction": "", "input": "Q", "output": "A"}) == PAIR


def test_a_system_prompt_and_earlier_rounds_come_first():
    row = {"query": "Q", "response": "A", "system": "S", "history": [["q", "a"]]}
    assert messages(row) == [("system", "S"), ("user", "q"), ("assistant", "a"), *PAIR]
    assert messages({"conversation": [{"human": "Q", "assistant": "A"}], "system": "S"}) == [
        ("system", "S"),
        *PAIR,
    ]


def test_an_empty_system_prompt_is_none():
    assert messages({"prompt": "Q", "response": "A", "system": "", "history": []}) == PAIR
    turns = [{"from": "system", "value": " "}, {"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]
    assert messages({"conversations": turns}) == PAIR


def test_content_in_text_parts_is_joined():
    parts = [{"type": "text", "text": "Who "}, {"type": "text", "value": "goes?"}]
    row = {"messages": [{"role": "user", "content": parts}, {"role": "assistant", "content": "A"}]}
    assert messages(row)[0] == ("user", "Who goes?")


def test_columns_that_are_null_since_tables_were_joined_are_absent():
    assert messages({"messages": None, "prompt": "Q", "response": "A"}) == PAIR
    assert messages({"instruction": "Q", "output": None, "response": "A"}) == PAIR


def test_a_question_that_is_null_is_not_replaced_by_its_context():
    row = {"instruction": None, "input": "the context", "output": "A"}
    assert detect(row) is None
    assert (refused(row).code, refused(row).why) == ("null-field", "`instruction` is null.")


@pytest.mark.parametrize(
    ("row", "code", "why", "fix"),
    [
        ({"instruction": "Q", "input": "x"}, "missing-answer", "no `output` or `response`", "Add `output`"),
        (
            {"prompt": "Q", "reponse": "A"},
            "missing-answer",
            "no `response` or `completion`",
            "Rename `reponse` to `response`.",
        ),
        ({"answer": "A"}, "missing-question", "no `question`", "Add `question`"),
        ({"prompt": "Q", "response": None}, "null-field", "`response` is null", "delete the line"),
        (
            {"text": "Once."},
            "unknown-shape",
            "The keys `text` are no known shape.",
            "`prompt` and `response`",
        ),
        ({}, "unknown-shape", "empty", "Delete"),
        (
            {"questions": "Q", "anwser": "A"},
            "unknown-shape",
            "nearest is question/answer",
            "Rename `anwser` to `answer`.",
        ),
        ({"prompt": {"text": "Q"}, "tree": 1}, "unknown-shape", "`prompt` and `tree`", "Write"),
        ({"prompt": "Q", "chosen": "A", "rejected": "B"}, "unknown-shape", "preference", "rename `chosen`"),
        ({"prompt": "Q", "PROMPT": "q", "response": "A"}, "repeated-key", "differ only in case", "Keep one"),
        ({"prompt": "Q", "response": ["A", "B"]}, "wrong-type", "`response` is a list", "one text"),
        ({"prompt": {"a": 1}, "response": "A"}, "wrong-type", "`prompt` is an object", "one text"),
        ({"prompt": "Q", "response": ""}, "empty-answer", "The answer is empty", "delete"),
        ({"prompt": "Q", "response": " \n\u3000"}, "empty-answer", "The answer is empty", "delete"),
        ({"prompt": "\t", "response": "A"}, "empty-question", "The question is empty", "delete"),
        ({"prompt": "Q", "response": "A", "history": 5}, "wrong-type", "`history` is a number", "[["),
        ({"prompt": "Q", "response": "A", "history": [["q"]]}, "wrong-type", "Entry 1 of `history`", "[["),
        (
            {"prompt": "Q", "response": "A", "history": [["q", ""]]},
            "empty-answer",
            "(message 2 of 4)",
            "delete",
        ),
    ],
)
def test_a_row_that_is_not_understood_says_what_is_there_and_what_to_do(row, code, why, fix):
    remark = refused(row)
    assert (remark.code, why in remark.why, fix in remark.fix) == (code, True, True), remark


def chat(*turns) -> dict:
    return {"messages": [dict(zip(("role", "content"), turn, strict=True)) for turn in turns]}


@pytest.mark.parametrize(
    ("row", "code", "why"),
    [
        ({"messages": []}, "wrong-type", "`messages` is an empty list"),
        ({"messages": "[]"}, "wrong-type", "`messages` is a text, not a list"),
        ({"messages": ["Q", "A"]}, "wrong-type", "Message 1 of `messages` is a text"),
        ({"messages": [{"content": "Q"}]}, "unknown-role", "no `role`"),
        ({"messages": [{"role": "user"}]}, "null-field", "has no content"),
        (chat(("user", None), ("assistant", "A")), "null-field", "Message 1 of `messages` has no content"),
        (
            chat(("user", "Q"), ("assistant", {"text": "A"})),
            "wrong-type",
            "Message 2 of `messages` has an object",
        ),
        (chat(("user", "Q"), ("narrator", "A")), "unknown-role", "“narrator”"),
        (chat(("user", "Q"), ("tool", "A"), ("assistant", "A")), "unknown-role", "“tool”"),
        (chat(("user", "Q")), "no-answer", "no answer"),
        (chat(("system", "S")), "no-answer", "no answer"),
        (chat(("system", "")), "no-answer", "no answer"),
        (chat(("user", "Q"), ("assistant", "")), "empty-answer", "The answer is empty."),
        (
            chat(("user", "Q"), ("assistant", "A"), ("user", ""), ("assistant", "A")),
            "empty-question",
            "message 3 of 4",
        ),
        (
            chat(("user", "Q"), ("system", "S"), ("assistant", "A")),
            "system-not-first",
            "after other messages",
        ),
        (
            chat(("system", "S"), ("system", "S"), ("user", "Q"), ("assistant", "A")),
            "system-not-first",
            "after",
        ),
        (chat(("user", [{"type": "image_url"}]), ("assistant", "A")), "not-text", "“image_url”"),
        (chat(("user", ["Q"]), ("assistant", "A")), "not-text", "a text"),
    ],
)
def test_a_conversation_that_cannot_be_learned_says_which_message(row, code, why):
    remark = refused(row)
    assert (remark.code, why in remark.why) == (code, True), remark


def test_a_number_in_a_conversation_is_refused():
    assert "a number" in refused(chat(("user", "Q"), ("assistant", Number("7")))).why


@pytest.mark.parametrize("extra", [{"tool_calls": [{"name": "f"}]}, {"function_call": {"name": "f"}}])
def test_a_tool_call_is_refused_and_not_lost(extra):
    assert (
        refused(
            {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"} | extra]}
        ).code
        == "tool-call"
    )


@pytest.mark.parametrize("key", ["weight", "loss_weight"])
def test_an_answer_that_is_not_to_be_learned_is_refused_and_not_learned(key):
    def row(side, weight):
        return {
            "messages": [
                {"role": role, "content": "x"} | ({key: weight} if role == side else {})
                for role in ("user", "assistant")
            ]
        }

    assert refused(row("assistant", Number("0"))).code == "weight-zero"
    assert refused(row("assistant", Number("0.0"))).code == "weight-zero"
    assert len(messages(row("assistant", Number("1")))) == 2
    assert len(messages(row("user", Number("0")))) == 2


def test_a_question_after_the_last_answer_is_left_out_with_a_warning():
    row = chat(("user", "Q"), ("assistant", "A"), ("user", "And?"), ("user", ""))
    assert (messages(row), remarks(row)) == (PAIR, ["unanswered-question"])


def test_two_messages_in_a_row_from_one_side_are_kept_with_a_warning():
    row = chat(("user", "Hello."), ("user", "Q"), ("assistant", "A"))
    assert (len(messages(row)), remarks(row)) == (3, ["same-role-twice"])


def test_a_conversation_that_begins_with_an_answer_is_kept_with_a_warning():
    row = chat(("system", "S"), ("assistant", "Welcome."), ("user", "Q"), ("assistant", "A"))
    assert (len(messages(row)), remarks(row)) == (4, ["answer-first"])
