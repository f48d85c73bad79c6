"""Rows -> conversations: the shapes that are understood, and the sentence for those that are not."""

from time import perf_counter

import pytest

from core.data.doctor.checks import check
from core.data.examples import Message
from core.data.remarks import RowError
from core.data.rows import Number
from core.data.shapes.formats import _CANDIDATES, FORMATS, Conversation, Reading, detect, keyed, unknown


def told(row: dict) -> list[Conversation]:
    reading = Reading()
    row = keyed(row, reading)
    format = detect(row, reading)
    if format is None:
        raise unknown(row)
    return list(format.conversations(row, reading))


def messages(row: dict) -> list[tuple[str, str]]:
    (conversation,) = told(row)
    return [(message.role, message.content) for message in check(conversation.messages)[0]]


def remarks(row: dict) -> list[str]:
    (conversation,) = told(row)
    found = (*check(conversation.messages)[1], *conversation.remarks)
    return [remark.code for remark in found]


def refused(row: dict):
    with pytest.raises(RowError) as caught:
        messages(row)
    return caught.value.remark


PAIR = [("user", "Q"), ("assistant", "A")]
TREE = {"text": "Q", "role": "prompter", "replies": [{"text": "A", "role": "assistant"}]}


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
        ("seed tasks", {"instruction": "Q", "instances": [{"input": "", "output": "A"}]}),
        ("SQuAD question", {"question": "Q", "answers": {"text": ["A"], "answer_start": [0]}}),
        ("SQuAD question", {"question": "Q", "context": None, "answers": ["A"]}),
        ("SQuAD paragraph", {"context": "", "qas": [{"question": "Q", "answers": [{"text": "A"}]}]}),
        ("SQuAD article", {"paragraphs": [{"qas": [{"question": "Q", "answers": [{"text": "A"}]}]}]}),
        ("SQuAD", {"data": [{"paragraphs": [{"qas": [{"question": "Q", "answers": [{"text": "A"}]}]}]}]}),
        ("OASST tree", {"prompt": TREE}),
        ("OASST message", {"message_id": "1", "parent_id": None} | TREE),
    ],
)
def test_a_known_shape_becomes_a_question_and_an_answer(name, row):
    assert detect(row).name == name
    assert messages(row) == PAIR


def test_every_format_is_tried_above():
    rows = test_a_known_shape_becomes_a_question_and_an_answer.pytestmark[0].args[1]
    assert {name for name, _ in rows} == set(FORMATS) - {"text"}


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
            {"story": "Once."},
            "unknown-shape",
            "The keys `story` are no known shape.",
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


def test_a_question_after_the_last_answer_is_left_out_with_a_warning():
    row = chat(("user", "Q"), ("assistant", "A"), ("user", "And?"), ("user", ""))
    assert (messages(row), remarks(row)) == (PAIR, ["unanswered-question"])


def test_two_messages_in_a_row_from_one_side_are_kept_with_a_warning():
    row = chat(("user", "Hello."), ("user", "Q"), ("assistant", "A"))
    assert (len(messages(row)), remarks(row)) == (3, ["same-role-twice"])


def test_a_conversation_that_begins_with_an_answer_is_kept_with_a_warning():
    row = chat(("system", "S"), ("assistant", "Welcome."), ("user", "Q"), ("assistant", "A"))
    assert (len(messages(row)), remarks(row)) == (4, ["answer-first"])


def test_a_conversation_of_an_answer_alone_is_kept_with_a_warning():
    assert remarks(chat(("assistant", "Welcome."))) == ["answer-first"]
    assert remarks(chat(("system", "S"), ("assistant", "Welcome."))) == ["answer-first"]


def test_a_text_alone_is_learned_whole_and_that_is_said_once_of_its_file():
    assert messages({"text": "Once.", "source": "a book"}) == [("assistant", "Once.")]
    assert remarks({"text": "Once."}) == []
    assert detect({"text": "Once."}).remark.code == "whole-text"
    assert [name for name, format in FORMATS.items() if format.remark] == ["text"]


@pytest.mark.parametrize("half", [{"question": "Q"}, {"output": "A"}, {"chosen": "A", "rejected": "B"}])
def test_a_text_beside_half_of_a_pair_is_not_learned_as_a_text(half):
    assert detect({"text": "Once."} | half) is None
    assert detect({"text": "Once."} | dict.fromkeys(half)).name == "text"


def test_each_side_of_a_pair_may_be_a_list_of_messages_of_which_the_answers_are_learned():
    row = {
        "prompt": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": "a"},
            {"role": "user", "content": "Q"},
        ],
        "completion": [{"role": "assistant", "content": "A"}],
    }
    assert messages(row) == [("user", "q"), ("assistant", "a"), *PAIR]
    assert [each.trained for each in told(row)[0].messages if each.role == "assistant"] == [False, True]
    assert messages({"prompt": "Q", "response": row["completion"]}) == PAIR
    row["prompt"][0]["content"] = Number("7")
    assert "Message 1 of `prompt`" in refused(row).why


def test_each_instance_of_a_task_is_a_conversation():
    instances = [{"input": "one", "output": "un"}, {"input": "", "output": "?"}, {"output": "!"}]
    found = told({"instruction": "Translate.", "instances": instances})
    assert [each.messages[0].content for each in found] == ["Translate.\n\none", "Translate.", "Translate."]
    assert [each.messages[1].content for each in found] == ["un", "?", "!"]


@pytest.mark.parametrize("entry", ["x", {}, {"output": 7}, {"input": Number("7"), "output": "A"}])
def test_an_instance_without_texts_is_refused(entry):
    why = refused({"instruction": "Q", "instances": [{"input": "", "output": "A"}, entry]}).why
    assert why.startswith("Entry 2 of `instances`")


def test_a_system_prompt_may_be_called_system_prompt():
    assert messages({"prompt": "Q", "response": "A", "system_prompt": "S"}) == [("system", "S"), *PAIR]
    both = {"prompt": "Q", "response": "A", "system_prompt": "other", "system": "S"}
    assert messages(both) == [("system", "S"), *PAIR]


@pytest.mark.parametrize(
    ("row", "fix"),
    [
        ({"prompt": "Q", "chosen": "A", "rejected": "B"}, "rename `chosen` to `response`"),
        ({"question": "Q", "chosen": "A", "rejected": "B"}, "rename `chosen` to `answer`"),
        ({"chosen": "H: Q A: A", "rejected": "H: Q A: B"}, "write each as a question and an answer"),
        ({"chosen": [{"role": "user"}], "rejected": []}, "rename `chosen` to `messages`"),
        (
            {"prompt": [{"role": "user"}], "chosen": [{"role": "assistant"}], "rejected": []},
            "rename `chosen` to `completion`",
        ),
        (
            {"prompt": "Q", "chosen": [{"role": "user"}, {"role": "assistant"}], "rejected": []},
            "rename `chosen` to `messages`",
        ),
        (
            {"conversations": [{"from": "human", "value": "Q"}], "chosen": {"from": "gpt"}, "rejected": {}},
            "add each of them to the end of its `conversations`",
        ),
    ],
)
def test_a_preference_is_refused_and_it_is_said_how_to_learn_what_was_chosen(row, fix):
    remark = refused(row)
    assert (remark.code, fix in remark.fix) == ("unknown-shape", True), remark


def test_an_answer_that_was_judged_bad_is_not_learned():
    good = chat(("user", "Q"), ("assistant", "A"))
    assert messages(good | {"label": True}) == PAIR
    assert refused(good | {"label": False}).code == "bad-answer"
    assert refused({"prompt": "Q", "completion": "A", "label": False}).code == "bad-answer"
    assert messages({"question": "Is it?", "answer": "No.", "label": False})[1] == ("assistant", "No.")


def test_a_row_of_ten_thousand_keys_is_refused_at_once():
    rows = [{f"key {number} of {row}": "x" for number in range(10_000)} for row in range(10)]
    begin = perf_counter()
    for row in rows:
        assert "and 9992 more" in refused(row).why
    assert perf_counter() - begin < 2


def test_rows_whose_keys_are_all_different_do_not_fill_the_memory():
    for number in range(3_000):
        detect({f"{number}": "x", "prompt": "Q", "response": "A"})
        detect({f"{number}" * 1_000: "x", "prompt": "Q", "response": "A"})
    assert 0 < len(_CANDIDATES) <= 500
    assert max(len(key) for keys in _CANDIDATES for key in keys) < 4_000


def test_what_was_found_out_about_filled_keys_does_not_count_for_null_ones():
    assert detect({"instruction": "Q", "output": "A", "response": "B"}).name == "alpaca"
    assert detect({"instruction": "Q", "output": None, "response": "B"}).name == "dolly"
    assert detect({"instruction": "Q", "output": "A", "response": None}).name == "alpaca"


@pytest.mark.parametrize("answer", ["NULL", "nan", "#N/A", " ... ", "[object Object]"])
def test_words_for_nothing_are_said(answer):
    messages = (Message("user", "What is it?"), Message("assistant", answer))
    assert [remark.code for remark in check(messages)[1]] == ["no-words"]
    assert check((Message("user", answer), Message("assistant", "Nothing.")))[1] == []


def test_a_long_white_space_or_characters_that_nobody_sees_are_no_answer():
    for answer in ("\u200b\u2060", " " * 50, "\n" * 5000):
        with pytest.raises(RowError) as caught:
            check((Message("user", "What is it?"), Message("assistant", answer)))
        assert caught.value.remark.code == "empty-answer"
