"""How each kind of template looks, and tools in ChatML: in training, in a prompt and in the exported template alike."""

import json
import time

import pytest
from jinja2 import TemplateError
from transformers import PreTrainedTokenizerFast

from core.data.examples import Call, Example, Message, Source
from core.errors import TextError
from core.spec import TemplateSettings
from core.text.encode import Encoded, encode
from core.text.templates import Template, add_chat_tokens, choose, template_for
from tests.text.conftest import KINDS
from tests.text.test_own import CALLING, TOOLS, as_openai
from tests.text.test_templates import messages, stretches

HERE = Source("here.jsonl", 1)
LONG = [
    ("system", "S"),
    ("user", "Q"),
    ("user", "C"),
    ("assistant", "A"),
    ("user", "Q2"),
    ("assistant", "A2"),
]


def made(make_tokenizer, kind: str, **settings: str) -> tuple[PreTrainedTokenizerFast, Template]:
    tokenizer = make_tokenizer("gpt2-like")
    add_chat_tokens(tokenizer)
    return tokenizer, template_for(TemplateSettings(kind=kind, **settings), tokenizer)


def test_instruct_is_alpacas_headings_repeated(make_tokenizer):
    _, template = made(make_tokenizer, "instruct")
    assert template.write(messages(LONG)).text == (
        "S\n\n### Instruction:\nQ\n\n### Input:\nC\n\n### Response:\nA<|endoftext|>"
        "\n\n### Instruction:\nQ2\n\n### Response:\nA2<|endoftext|>"
    )
    assert (
        template.prompt(messages(LONG[:3])) == "S\n\n### Instruction:\nQ\n\n### Input:\nC\n\n### Response:\n"
    )


def test_plain_is_nothing_but_the_texts(make_tokenizer):
    _, template = made(make_tokenizer, "plain")
    assert template.write(messages(LONG)).text == "S\nQ\nC\nA<|endoftext|>\nQ2\nA2<|endoftext|>"
    assert template.prompt(messages(LONG[:3])) == "S\nQ\nC\n"
    assert template.write(messages([("assistant", "Once.")])).text == "Once.<|endoftext|>"
    assert template.prompt([]) == ""


@pytest.mark.parametrize("kind", ["instruct", "plain"])
def test_a_system_prompt_of_the_settings_comes_first_where_there_is_none(make_tokenizer, kind):
    _, template = made(make_tokenizer, kind, system="Be brief.")
    given = messages([("system", "Be brief."), ("user", "Q"), ("assistant", "A")])
    assert template.write(given[1:]) == template.write(given)
    assert template.write(given).text.startswith("Be brief.\n")


@pytest.mark.parametrize("kind", ["instruct", "plain"])
def test_tools_are_refused_where_there_is_no_place_for_them(make_tokenizer, kind):
    tokenizer, template = made(make_tokenizer, kind)
    for conversation, tools in ((CALLING, ()), (CALLING[2:3], ()), (CALLING[:1], TOOLS)):
        with pytest.raises(TextError, match=f"The template {kind} has no place for tools"):
            template.write(conversation, tools)
    with pytest.raises(TemplateError, match="no place for tools"):
        tokenizer.apply_chat_template(
            [as_openai(CALLING[0])], tools=[json.loads(tool) for tool in TOOLS], tokenize=False
        )
    with pytest.raises(TemplateError, match="no place for tools"):
        tokenizer.apply_chat_template([as_openai(each) for each in CALLING[2:3]], tokenize=False)


@pytest.mark.parametrize("kind", ["chatml", "instruct", "plain"])
def test_an_answer_of_weight_nought_is_not_trained_and_neither_is_its_ending(make_tokenizer, kind):
    tokenizer, template = made(make_tokenizer, kind)
    turns = messages(LONG)
    muted = (*turns[:3], Message("assistant", "A", trained=False), *turns[4:])
    whole, row = (encode([Example(each, HERE)], tokenizer, template, 1000).rows[0] for each in (turns, muted))
    stops = template.stop_ids(tokenizer)
    assert row.ids == whole.ids and stretches(row, stops) == stretches(whole, stops)[1:]


def test_the_reason_for_a_template_is_there_to_be_shown(make_tokenizer):
    tokenizer, template = made(make_tokenizer, "plain")
    assert template.reason == "template.kind says so."
    assert template_for(TemplateSettings(), make_tokenizer("qwen-like")).reason == (
        "The base's tokenizer has no chat template of its own."
    )


@pytest.mark.parametrize("kind", ["instruct", "plain"])
def test_a_kind_without_tokens_of_its_own_needs_none(make_tokenizer, kind):
    tokenizer = make_tokenizer("fable-like")
    choice = choose(TemplateSettings(kind=kind), tokenizer)
    assert add_chat_tokens(tokenizer, choice.chat_tokens, choice.stops) == ()
    assert template_for(TemplateSettings(kind=kind), tokenizer, choice).stops == ("</s>",)


# Tools in ChatML

CONVERSATIONS = {
    "a call and its result": CALLING,
    "a system prompt": (Message("system", " Be brief.\n"), *CALLING),
    "words and two calls": (
        Message("user", "Où est-il ?"),
        Message(
            "assistant", " Je cherche. ", calls=(Call("find", "{}"), Call("chercher_é", '{"né":"🙂\\u00e9"}'))
        ),
        Message("tool", " {} "),
        Message("tool", "none\n\nat all"),
        Message("user", "And?"),
        Message("tool", "late"),
        Message("assistant", "Nowhere."),
    ),
    "a call to end with": CALLING[:2],
    "no call": messages(LONG),
    "nested": (
        Message("user", "?"),
        Message(
            "assistant", calls=(Call('a"b', '{"x": {"y": [1, 2.50, true, null, "\\n<&>\'"]}, "z": 1e3}'),)
        ),
    ),
}


@pytest.fixture(params=KINDS)
def tokenizer(make_tokenizer, request) -> PreTrainedTokenizerFast:
    tokenizer = make_tokenizer(request.param)
    add_chat_tokens(tokenizer)
    return tokenizer


@pytest.fixture(params=[None, "Be kind."], ids=["", "system"])
def template(tokenizer, request) -> Template:
    return template_for(TemplateSettings(system=request.param), tokenizer)


def encoded(conversation: tuple[Message, ...], tools: tuple[str, ...], tokenizer, template) -> Encoded:
    encoding = encode([Example(conversation, HERE, tools)], tokenizer, template, 10_000)
    assert not encoding.skipped
    return encoding.rows[0]


@pytest.mark.parametrize("tools", [(), TOOLS], ids=["", "tools"])
@pytest.mark.parametrize("conversation", CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_tools_are_written_alike_in_training_in_prompts_and_by_the_exported_template(
    tokenizer, template, conversation, tools
):
    row = encoded(conversation, tools, tokenizer, template)
    functions = [json.loads(tool) for tool in tools] or None
    dicts = [as_openai(message) for message in conversation]
    assert tokenizer.apply_chat_template(dicts, tools=functions)["input_ids"] == row.ids
    begins = []
    for place, message in enumerate(conversation):
        if message.role == "assistant":
            prompt = template.prompt_ids(conversation[:place], tokenizer, tools)
            asked = tokenizer.apply_chat_template(dicts[:place], tools=functions, add_generation_prompt=True)
            assert prompt == asked["input_ids"] == row.ids[: len(prompt)]
            begins.append(len(prompt))
    assert [begin for begin, _ in stretches(row, template.stop_ids(tokenizer))] == begins


def test_tools_have_the_form_of_hermes_and_qwen(make_tokenizer):
    _, template = made(make_tokenizer, "chatml", system="Be kind.")
    text = template.write(CALLING, TOOLS[:1]).text
    assert text.startswith("<|im_start|>system\nBe kind.\n\n# Tools\n\n")
    assert f"<tools>\n{TOOLS[0]}\n</tools>" in text
    end = "<|im_end|><|endoftext|>\n"
    call = '<tool_call>\n{"name": "find", "arguments": {"who": "rabbit", "far": 2.5}}\n</tool_call>'
    assert text.endswith(
        f"<|im_start|>user\nWhere is he?<|im_end|>\n<|im_start|>assistant\n{call}{end}"
        '<|im_start|>user\n<tool_response>\n{"where": "burrow"}\n</tool_response><|im_end|>\n'
        f"<|im_start|>assistant\nIn his burrow.{end}"
    )


def test_special_tokens_in_tools_calls_and_results_are_rewritten(make_tokenizer):
    tokenizer, template = made(make_tokenizer, "chatml")
    hostile = "<|im_end|>"
    call = Call(hostile, json.dumps({hostile: [hostile]}))
    conversation = (Message("user", "?"), Message("assistant", calls=(call,)), Message("tool", hostile))
    conversation += (Message("assistant", "a"),)
    tool = TOOLS[0].replace("Finds", hostile)
    row = encoded(conversation, (tool,), tokenizer, template)
    assert template.write(conversation, (tool,)).rewritten == (hostile,) * 5
    assert (
        row.ids.count(tokenizer.convert_tokens_to_ids(hostile)) == 5
    )  # system, user, answer, result, answer


def test_arguments_that_are_no_json_are_refused(make_tokenizer):
    _, template = made(make_tokenizer, "chatml")
    for arguments in ("{", "[" * 100_000):
        with pytest.raises(TextError, match="What the tool f is called with is not JSON"):
            template.write([Message("user", "?"), Message("assistant", calls=(Call("f", arguments),))])
    with pytest.raises(TextError, match="A tool is not JSON"):
        template.write([Message("user", "?")], ("nope",))


def test_arguments_that_an_engine_passes_as_text_are_written_as_they_are(make_tokenizer):
    tokenizer, template = made(make_tokenizer, "chatml")
    calls = [{"function": {"name": "find", "arguments": '{"who": "rabbit", "far": 2.5}'}}]
    asked = [as_openai(CALLING[0]), {"role": "assistant", "content": None, "tool_calls": calls}]
    text = tokenizer.apply_chat_template(asked, tokenize=False)
    assert text == template.write(CALLING[:2]).text


@pytest.mark.parametrize("kind", ["chatml", "instruct", "plain"])
def test_a_conversation_is_written_in_microseconds(make_tokenizer, kind):
    _, template = made(make_tokenizer, kind)
    turns = messages([("user", "Where is the rabbit? " * 5), ("assistant", "Down the hole. " * 20)])
    best = min(_seconds(template, turns) for _ in range(5))
    assert best / 2000 < 20e-6  # 4.5 were measured; 100,000 rows have seven seconds for everything


def _seconds(template: Template, turns: tuple[Message, ...]) -> float:
    began = time.perf_counter()
    for _ in range(2000):
        template.write(turns)
    return time.perf_counter() - began
