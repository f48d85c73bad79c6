"""What is refused, and in which words; what is accepted."""

import json

import pytest

from core.data.examples import Call, Message
from core.talk.answers import calls_in
from core.talk.requests import RefusedError, Request, read

SIDES = ("tuned", "base")
HELLO = {"model": "tuned", "messages": [{"role": "user", "content": "Hello"}]}
HALF_A_CALL = {"function": {"name": "clock", "arguments": '{"zone": "\ud83d"}'}}
TOOL = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}}


def test_a_request_that_says_nothing_more_has_the_defaults_of_the_protocol():
    assert read(HELLO, SIDES) == Request((Message("user", "Hello"),), "tuned", temperature=1.0, top_p=1.0)


@pytest.mark.parametrize(
    "more, param",
    [
        ({"model": "gpt-5"}, "model"),
        ({"model": ["tuned"]}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": [], "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "assistant", "content": "x", "tool_calls": 5}]}, "messages[0].tool_calls"),
        ({"messages": [{"role": "assistant", "content": "x", "tool_calls": {}}]}, "messages[0].tool_calls"),
        ({"messages": [{"role": "assistant", "tool_calls": [HALF_A_CALL]}]}, "messages[0].tool_calls"),
        ({"messages": [{"role": "user", "content": "x", "\ud83d": True}]}, "messages[0].\\ud83d"),
        ({"messages": [{"role": "user", "content": "\ud83d"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "x", "prefix": True}]}, "messages[0].prefix"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "1"}]}]}, "messages[0].tool_calls"),
        ({"temperature": 2.5}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"seed": 1.5}, "seed"),
        ({"seed": 2**70}, "seed"),
        ({"stop": ["a", 1]}, "stop"),
        ({"stop": list("abcde")}, "stop"),
        ({"stream": "yes"}, "stream"),
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": {"50": 1}}, "logit_bias"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"tools": [TOOL | {"about": "\ud83d"}]}, "tools"),
        ({"stop": "\ud83d"}, "stop"),
        ({"top_k": 50}, "top_k"),
        ({"repetition_penalty": 1.1}, "repetition_penalty"),
    ],
)  # fmt: skip
def test_what_would_change_the_answer_and_is_not_done_is_refused_by_name(more, param):
    with pytest.raises(RefusedError) as refused:
        read(HELLO | more, SIDES)
    assert refused.value.param == param and refused.value.status == 400
    assert str(refused.value).endswith(".") and "\n" not in str(refused.value)


@pytest.mark.parametrize("body", [None, [], "text", 3])
def test_a_body_that_is_no_request_is_refused(body):
    with pytest.raises(RefusedError, match="no JSON object"):
        read(body, SIDES)


def test_what_changes_nothing_is_accepted():
    harmless = {
        "user": "me", "metadata": {"a": "b"}, "store": False, "n": 1, "presence_penalty": 0, "logprobs": False,
        "logit_bias": {}, "response_format": {"type": "text"}, "tool_choice": "auto", "top_logprobs": None, "top_k": None,
    }  # fmt: skip
    assert read(HELLO | harmless, SIDES) == read(HELLO, SIDES)


def test_the_lower_one_of_the_two_bounds_counts_and_one_stop_is_a_list_of_one():
    asked = read(HELLO | {"max_tokens": 9, "max_completion_tokens": 5, "stop": "\n"}, SIDES)
    assert (asked.max_new_tokens, asked.stop) == (5, ("\n",))


def test_a_conversation_with_tools_is_read_as_training_reads_it():
    call = {"id": "1", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
    messages = [
        {
            "role": "developer",
            "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}],
        },
        {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None, "audio": None},
        {"role": "tool", "content": "noon", "tool_call_id": "1"},
    ]
    asked = read(HELLO | {"messages": messages, "tools": [TOOL]}, SIDES)
    assert asked.messages == (
        Message("system", "Be brief."), Message("assistant", "", calls=(Call("clock", "{}"),)), Message("tool", "noon"),
    )  # fmt: skip
    assert [json.loads(tool) for tool in asked.tools] == [TOOL]
    assert read(HELLO | {"tools": [TOOL], "tool_choice": "none"}, SIDES).tools == ()


def test_a_call_in_an_answer_is_told_from_a_text_that_only_looks_like_one():
    said, calls = calls_in(
        'Let me see.\n<tool_call>\n{"name": "clock", "arguments": {"zone": "UTC"}}\n</tool_call>'
    )
    assert said == "Let me see."
    assert calls[0]["function"] == {"name": "clock", "arguments": '{"zone": "UTC"}'}
    for text in ("<tool_call>{}</tool_call>", "<tool_call>no</tool_call>", "<tool_call>", "plain"):
        assert calls_in(text) == (text, [])
