"""Messages of chats: calls of tools and their results, and answers that are not to be learned."""

import json

import pytest

from core.data.doctor.checks import check
from core.data.examples import Call
from core.data.remarks import RowError
from core.data.rows import Number
from core.data.shapes.formats import FORMATS, Conversation, Reading

ASKED = {"role": "user", "content": "Q"}
LOOK = {"name": "look", "arguments": {"where": "Wald", "far": Number("1.50")}}


def conversation(*turns: dict, key: str = "messages", **more) -> Conversation:
    (found,) = FORMATS[key].conversations({key: list(turns)} | more, Reading())
    return found


def refused(*turns: dict, **more):
    with pytest.raises(RowError) as caught:
        check(conversation(*turns, **more).messages)
    return caught.value.remark


def warned(*turns: dict) -> list[str]:
    return [remark.code for remark in check(conversation(*turns).messages)[1]]


def test_a_call_may_be_written_with_its_arguments_as_text_or_as_an_object():
    as_text = {"name": "look", "arguments": '{"far":  1.50}'}
    for call in ({"type": "function", "id": "1", "function": LOOK}, LOOK):
        found = conversation(ASKED, {"role": "assistant", "content": None, "tool_calls": [call]})
        assert found.messages[1].calls == (Call("look", '{"where": "Wald", "far": 1.50}'),)
        assert found.messages[1].content == ""
    found = conversation(ASKED, {"role": "assistant", "content": "I look.", "function_call": as_text})
    assert found.messages[1].calls == (Call("look", '{"far":  1.50}'),)
    assert found.messages[1].content == "I look."


@pytest.mark.parametrize("arguments", [None, "", {}, "{}"])
def test_a_call_without_arguments_has_none(arguments):
    call = {"name": "look", "arguments": arguments}
    assert conversation(ASKED, {"role": "assistant", "tool_calls": [call]}).messages[1].calls == (
        Call("look", "{}"),
    )


def test_calls_and_results_in_sharegpt_are_turns_of_their_own():
    found = conversation(
        {"from": "human", "value": "Q"},
        {"from": "function_call", "value": json.dumps(LOOK)},
        {"from": "observation", "value": "A fox."},
        {"from": "gpt", "value": "A"},
        key="conversations",
        tools=json.dumps([{"name": "look", "parameters": {"far": 1.50}}]),
    )
    assert [message.role for message in found.messages] == ["user", "assistant", "tool", "assistant"]
    assert [call.name for call in found.messages[1].calls] == ["look"]
    assert json.loads(found.messages[1].calls[0].arguments) == {"where": "Wald", "far": 1.50} | {
        "far": "1.50"
    }
    assert found.tools == ('{"name": "look", "parameters": {"far": 1.5}}',)
    assert check(found.messages) == (found.messages, [])


def test_several_tools_may_be_called_at_once():
    calls = [LOOK, {"name": "listen", "arguments": {}}]
    result = {"role": "tool", "content": "A fox."}
    answer = {"role": "assistant", "content": "A"}
    for turn in (
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool_call", "content": json.dumps(calls)},
    ):
        found = conversation(ASKED, turn, result, result, answer)
        assert [call.name for call in found.messages[1].calls] == ["look", "listen"]
        assert check(found.messages)[1] == []


@pytest.mark.parametrize(
    "calls",
    [
        [{"arguments": {}}],
        [{"name": 7}],
        [{"name": "look", "arguments": "where"}],
        [{"name": "look", "arguments": "[1]"}],
        [{"name": "look", "arguments": '{"far": NaN}'}],
        [{"name": "look", "arguments": ["where"]}],
        [{"name": "look", "arguments": "[" * 100_000}],
        "look",
        7,
        ["look"],
    ],
)
def test_a_call_that_is_not_understood_is_refused_and_not_lost(calls):
    remark = refused(ASKED, {"role": "assistant", "content": "A", "tool_calls": calls})
    assert (remark.code, remark.why[:24]) == ("tool-call", "Message 2 of `messages` ")
    assert (remark.why + remark.fix).isprintable()


def test_an_answer_without_content_and_without_a_call_is_refused():
    for turn in (
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "assistant", "name": "x"},
    ):
        assert refused(ASKED, turn).code == "null-field"


def test_a_call_by_another_side_is_refused_and_not_lost():
    remark = refused(ASKED | {"tool_calls": [LOOK]}, {"role": "assistant", "content": "A"})
    assert (remark.code, "only answers can" in remark.why) == ("tool-call", True)


def test_arguments_nested_too_deeply_are_refused():
    arguments: dict = {}
    for _ in range(200):
        arguments = {"a": arguments}
    call = {"name": "look", "arguments": arguments}
    assert "too deeply" in refused(ASKED, {"role": "assistant", "tool_calls": [call]}).why


def test_half_a_character_in_a_call_or_a_tool_is_refused():
    call = {"name": "look", "arguments": {"where": "\ud83d"}}
    assert refused(ASKED, {"role": "assistant", "tool_calls": [call]}).code == "lone-surrogate"
    assert refused(ASKED, {"role": "assistant", "content": "A"}, tools=[{"name": "\ud83d"}]).code == "tools"


@pytest.mark.parametrize("tools", [None, [], "", " ", "[]"])
def test_no_tools_are_none(tools):
    assert conversation(ASKED, {"role": "assistant", "content": "A"}, tools=tools).tools == ()


@pytest.mark.parametrize("tools", [7, "look", '["look"]', ["look"], [None], "[" * 100_000, "[NaN]"])
def test_tools_that_are_no_functions_are_refused(tools):
    remark = refused(ASKED, {"role": "assistant", "content": "A"}, tools=tools)
    assert (remark.code, (remark.why + remark.fix).isprintable()) == ("tools", True)


def test_tools_may_stand_in_every_shape_and_each_may_be_text():
    row = {"instruction": "Q", "output": "A", "tools": [{"name": "a"}, '{"name": "b"}']}
    (found,) = FORMATS["alpaca"].conversations(row, Reading())
    assert found.tools == ('{"name": "a"}', '{"name": "b"}')


@pytest.mark.parametrize("key", ["weight", "loss_weight", "train"])
@pytest.mark.parametrize(
    ("weight", "trained"),
    [(0, False), (1, True), (0.0, False), (1.0, True), (False, False), (True, True)]
    + [(Number("0"), False), (Number("0.0"), False), (Number("1"), True), (None, True)],
)
def test_an_answer_is_learned_by_its_weight(key, weight, trained):
    turns = [ASKED | {key: 0}, {"role": "assistant", "content": "A", key: weight}]
    assert conversation(*turns).messages[1].trained is trained


@pytest.mark.parametrize(
    "weight", [0.5, 2, -1, "0", Number("0.5"), Number("1e999"), float("nan"), 10**400, [1]]
)
def test_a_weight_between_is_refused(weight):
    remark = refused(ASKED, {"role": "assistant", "content": "A", "weight": weight})
    assert (remark.code, "Message 2 of `messages`" in remark.why) == ("weight", True)


def test_a_conversation_of_which_nothing_is_to_be_learned_is_refused():
    unlearned = {"role": "assistant", "content": "A", "weight": 0}
    assert refused(ASKED, unlearned).code == "weight-zero"
    assert refused(ASKED, unlearned, ASKED, unlearned).code == "weight-zero"
    assert warned(ASKED, unlearned, ASKED, {"role": "assistant", "content": "A"}) == []


def test_a_result_that_follows_no_call_is_kept_with_a_warning():
    answer = {"role": "assistant", "content": "A"}
    result = {"role": "tool", "content": ""}
    called = {"role": "assistant", "tool_calls": [LOOK]}
    assert warned(ASKED, called, result, answer) == []
    assert warned(ASKED, result, answer) == ["result-without-call"]
    assert warned(result, answer) == ["result-without-call"]


def test_a_result_after_the_last_answer_is_left_out_with_a_warning():
    called = {"role": "assistant", "tool_calls": [LOOK]}
    turns = [ASKED, called, {"role": "tool", "content": "A fox."}]
    assert warned(*turns) == ["unanswered-question"]
    assert len(check(conversation(*turns).messages)[0]) == 2


@pytest.mark.parametrize("role", ["tool", "function", "observation", "tool_response", "Tool "])
def test_a_result_is_known_under_its_names(role):
    assert conversation(ASKED, {"role": role, "content": "A fox."}).messages[1].role == "tool"


def test_messages_in_a_table_may_be_json_text():
    row = {"messages": json.dumps([ASKED, {"role": "assistant", "content": "A"}])}
    (found,) = FORMATS["messages"].conversations(row, Reading())
    assert [message.content for message in found.messages] == ["Q", "A"]


def test_reasoning_beside_an_answer_is_said_to_be_left_out():
    thought = {"role": "assistant", "content": "A", "reasoning_content": "Hm."}
    assert [remark.code for remark in conversation(ASKED, thought).remarks] == ["reasoning-left-out"]
    assert conversation(ASKED, thought | {"reasoning_content": None}).remarks == ()
