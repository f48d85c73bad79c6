"""A model's own chat template: what is trained is what it writes, and what it writes otherwise is refused."""

import json
from collections.abc import Sequence

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from core.data.examples import Call, Example, Message, Source
from core.errors import TextError
from core.spec import TemplateSettings
from core.text.encode import Encoded, encode
from core.text.templates import Template, add_chat_tokens, choose, special_ids, template_for
from tests.text.shapes import ALTERNATING, ASK, DOUBTFUL, REFUSED, THINKING, TURN, USED, Shape, chatml_shape
from tests.text.test_templates import CONVERSATIONS, SYSTEM, as_dicts, messages, stretches

HERE = Source("here.jsonl", 1)
OWN = TemplateSettings(kind="own")
ALTERNATING_TURNS = ("one turn", "spaces around", "several turns", "nothing asked")
THREE = [
    ("user", "a"),
    ("assistant", "b"),
    ("user", "c"),
    ("assistant", "d"),
    ("user", "e"),
    ("assistant", "f"),
]
TOOL = '{"type": "function", "function": {"name": "find", "description": "Finds é <b>.", "parameters": {}}}'
TOOLS = (TOOL, TOOL.replace('"find"', '"hide"'))
CALLING = (
    Message("user", "Where is he?"),
    Message("assistant", "", calls=(Call("find", '{"who": "rabbit", "far": 2.50}'),)),
    Message("tool", '{"where": "burrow"}'),
    Message("assistant", "In his burrow."),
)


def dressed(shape: Shape, make, settings: TemplateSettings = OWN) -> tuple[PreTrainedTokenizerFast, Template]:
    tokenizer = shape.tokenizer(make)
    choice = choose(settings, tokenizer)
    add_chat_tokens(tokenizer, choice.chat_tokens, choice.stops)
    return tokenizer, template_for(settings, tokenizer, choice)


def fitting(shape: Shape) -> list[list[tuple[str, str]]]:
    """The conversations that a template of this shape takes."""
    names = [name for name in CONVERSATIONS if shape.takes_any_order or name in ALTERNATING_TURNS]
    if shape.takes_system and "a system prompt of its own" not in names:
        names.append("a system prompt of its own")
    found = [CONVERSATIONS[name] for name in names if CONVERSATIONS[name][0][0] != "assistant"]
    return [turns for turns in found if shape.takes_system or turns[0][0] != "system"] + [THREE]


def encoded(example: Example, tokenizer: PreTrainedTokenizerFast, template: Template) -> Encoded:
    encoding = encode([example], tokenizer, template, 10_000)
    assert not encoding.skipped, encoding.problems
    return encoding.rows[0]


def as_openai(message: Message) -> dict:
    calls = [
        {"type": "function", "function": {"name": call.name, "arguments": json.loads(call.arguments)}}
        for call in message.calls
    ]
    return {"role": message.role, "content": message.content} | ({"tool_calls": calls} if calls else {})


def check(
    conversation: Sequence[Message],
    tools: tuple[str, ...],
    tokenizer: PreTrainedTokenizerFast,
    template: Template,
) -> None:
    """The ids are transformers' own, and so is every prompt; training begins where a prompt ends."""
    row = encoded(Example(tuple(conversation), HERE, tools), tokenizer, template)
    functions = [json.loads(tool) for tool in tools] or None
    dicts = [as_openai(message) for message in conversation]
    assert row.ids == tokenizer.apply_chat_template(dicts, tools=functions)["input_ids"]
    begins = []
    for place, message in enumerate(conversation):
        if message.role == "assistant":
            prompt = template.prompt_ids(conversation[:place], tokenizer, tools)
            asked = tokenizer.apply_chat_template(dicts[:place], tools=functions, add_generation_prompt=True)
            assert prompt == asked["input_ids"] == row.ids[: len(prompt)]
            begins.append(len(prompt))
    stops = list(template.stop_ids(tokenizer))
    found = stretches(row, stops)
    assert [begin for begin, _ in found] == begins
    answers = [message for message in conversation if message.role == "assistant"]
    for (begin, end), answer in zip(found, answers, strict=True):
        assert row.ids[end - len(stops) : end] == stops
        said = tokenizer.decode(row.ids[begin : end - len(stops)]).strip()
        alone = tokenizer.decode(tokenizer(answer.content.strip(), add_special_tokens=False).input_ids)
        assert (
            all(call.name in said for call in answer.calls)
            if answer.calls
            else said.startswith(alone.strip())
        )


@pytest.mark.parametrize("name", USED)
def test_what_is_trained_and_asked_is_what_transformers_writes_id_by_id(make_tokenizer, name):
    tokenizer, template = dressed(USED[name], make_tokenizer)
    for turns in fitting(USED[name]):
        check(messages(turns), (), tokenizer, template)


@pytest.mark.parametrize("name", USED)
def test_the_template_that_is_exported_is_the_models_unchanged(make_tokenizer, tmp_path, name):
    tokenizer, template = dressed(USED[name], make_tokenizer)
    tokenizer.save_pretrained(tmp_path)
    opened = AutoTokenizer.from_pretrained(tmp_path)
    assert template.jinja == tokenizer.chat_template == opened.chat_template == USED[name].template
    assert template_for(OWN, opened) == template


@pytest.mark.parametrize("name", USED)
def test_auto_takes_a_template_that_can_be_used_without_doubt(make_tokenizer, name):
    _, template = dressed(USED[name], make_tokenizer, TemplateSettings())
    assert template.kind == "own" and template.reason.endswith("without doubt.")


@pytest.mark.parametrize("name", USED)
def test_no_chat_token_is_added_for_a_template_that_does_not_use_it(make_tokenizer, name):
    tokenizer = USED[name].tokenizer(make_tokenizer)
    before = {*tokenizer.get_vocab()}
    choice = choose(OWN, tokenizer)
    added = add_chat_tokens(tokenizer, choice.chat_tokens, choice.stops)
    assert {*tokenizer.get_vocab()} - before == {*added} <= {"<|pad|>"}
    assert tokenizer.pad_token not in template_for(OWN, tokenizer).stops


@pytest.mark.parametrize("name", [name for name, shape in USED.items() if shape.takes_system])
def test_a_system_prompt_of_the_settings_is_for_rows_that_have_none(make_tokenizer, name):
    tokenizer, template = dressed(USED[name], make_tokenizer, TemplateSettings(kind="own", system=SYSTEM))
    assert template.reason.endswith("does not hold template.system, which has to be sent with each chat.")
    turns = [("user", "Q"), ("assistant", "A")]
    row = encoded(Example(messages(turns), HERE), tokenizer, template)
    dicts = as_dicts([("system", SYSTEM), *turns])
    assert row.ids == tokenizer.apply_chat_template(dicts)["input_ids"]
    row = encoded(Example(messages([("system", "S"), *turns]), HERE), tokenizer, template)
    assert row.ids == tokenizer.apply_chat_template(as_dicts([("system", "S"), *turns]))["input_ids"]


@pytest.mark.parametrize("name", USED)
def test_a_bos_is_written_once_where_template_and_tokenizer_both_know_it(make_tokenizer, name):
    tokenizer, template = dressed(USED[name], make_tokenizer)
    ids = encoded(Example(messages(CONVERSATIONS["several turns"]), HERE), tokenizer, template).ids
    if tokenizer.bos_token != tokenizer.eos_token:
        assert ids.count(tokenizer.bos_token_id) == ("bos_token" in USED[name].template)


@pytest.mark.parametrize("name", USED)
def test_special_tokens_in_words_are_rewritten_and_never_obeyed(make_tokenizer, name):
    tokenizer, template = dressed(USED[name], make_tokenizer)
    special = special_ids(tokenizer)
    for role in ("user", "assistant"):
        harmless = encoded(Example(messages(CONVERSATIONS["one turn"]), HERE), tokenizer, template)
        for token in [*special][:12]:
            hostile = f"x{token} y{token}{token} {token[:1]}{token}{token[1:]}z"
            turns = [(who, hostile if who == role else "b") for who in ("user", "assistant")]
            written = template.write(messages(turns))
            row = encoded(Example(messages(turns), HERE), tokenizer, template)
            numbers = {*special.values()} - {tokenizer.unk_token_id}
            assert [i for i in row.ids if i in numbers] == [i for i in harmless.ids if i in numbers]
            assert len(written.rewritten) == 4 and f"x{token[0]} {token[1:]}" in written.text


@pytest.mark.parametrize("name", USED)
def test_a_text_that_nothing_precedes_is_written_as_the_tokenizer_begins_texts(make_tokenizer, name):
    tokenizer, template = dressed(USED[name], make_tokenizer)
    row = encoded(Example((Message("assistant", "Once upon a time."),), HERE), tokenizer, template)
    begin = [tokenizer.bos_token_id] * (tokenizer("a").input_ids[0] == tokenizer.bos_token_id)
    assert row.ids[: len(begin)] == begin and row.trained == [False] * len(begin) + [True] * (
        len(row.ids) - len(begin)
    )
    stops = list(template.stop_ids(tokenizer))
    assert row.ids[-len(stops) :] == stops
    assert tokenizer.decode(row.ids[len(begin) : -len(stops)]).strip() == "Once upon a time."


@pytest.mark.parametrize("name", USED)
def test_an_answer_of_weight_nought_is_not_trained_and_neither_is_its_ending(make_tokenizer, name):
    tokenizer, template = dressed(USED[name], make_tokenizer)
    turns = messages(THREE)
    first, second, third = stretches(
        encoded(Example(turns, HERE), tokenizer, template), template.stop_ids(tokenizer)
    )
    muted = (*turns[:3], Message("assistant", "d", trained=False), *turns[4:])
    row = encoded(Example(muted, HERE), tokenizer, template)
    assert stretches(row, template.stop_ids(tokenizer)) == [first, third]
    assert row.ids == encoded(Example(turns, HERE), tokenizer, template).ids


@pytest.mark.parametrize("name", USED)
def test_a_conversation_that_begins_with_an_answer_is_refused_unless_its_weight_is_nought(
    make_tokenizer, name
):
    tokenizer, template = dressed(USED[name], make_tokenizer)
    turns = messages([("assistant", "Hello!"), ("user", "a"), ("assistant", "b")])
    with pytest.raises(TextError, match="chat template"):
        template.write(turns)
    if USED[name].takes_any_order:
        muted = (Message("assistant", "Hello!", trained=False), *turns[1:])
        row = encoded(Example(muted, HERE), tokenizer, template)
        assert len(stretches(row, template.stop_ids(tokenizer))) == 1


# Tools


@pytest.mark.parametrize("name", [name for name, shape in USED.items() if shape.takes_tools])
def test_tools_calls_and_results_are_written_as_the_model_has_them(make_tokenizer, name):
    tokenizer, template = dressed(USED[name], make_tokenizer)
    check(CALLING, TOOLS, tokenizer, template)
    check(CALLING, (), tokenizer, template)
    check((Message("system", "Be brief."), *CALLING), TOOLS, tokenizer, template)


@pytest.mark.parametrize("name", [name for name, shape in USED.items() if not shape.takes_tools])
def test_tools_that_the_template_would_leave_out_are_refused(make_tokenizer, name):
    _, template = dressed(USED[name], make_tokenizer)
    with pytest.raises(TextError, match="has no place for tools"):
        template.write(messages(CONVERSATIONS["one turn"]), TOOLS)
    with pytest.raises(TextError, match="chat template"):
        template.write(CALLING)


def test_a_call_that_the_template_refuses_is_told_in_its_words(make_tokenizer):
    _, template = dressed(USED["headers and tools, as Llama 3.1"], make_tokenizer)
    calls = (Call("find", "{}"), Call("hide", "{}"))
    with pytest.raises(TextError, match="does not take this conversation: Only one call at a time."):
        template.write([Message("user", "?"), Message("assistant", "", calls=calls)])


def test_words_beside_a_call_that_the_template_leaves_out_are_missed(make_tokenizer):
    _, template = dressed(USED["headers and tools, as Llama 3.1"], make_tokenizer)
    answer = Message("assistant", "I shall look for him.", calls=(Call("find", "{}"),))
    with pytest.raises(TextError, match="a part of the message “I shall look for him.”"):
        template.write([Message("user", "?"), answer])


def test_special_tokens_in_tools_and_calls_are_rewritten(make_tokenizer):
    _, template = dressed(USED["a system prompt by itself, as Qwen 2.5 and SmolLM 2"], make_tokenizer)
    call = Call("find<|im_end|>", '{"<|im_end|>": ["<|im_end|>"]}')
    tool = TOOL.replace("Finds", "<|im_start|>")
    written = template.write([Message("user", "?"), Message("assistant", "", calls=(call,))], (tool,))
    assert written.rewritten.count("<|im_end|>") == 3 and written.rewritten.count("<|im_start|>") == 1
    assert sum(part.special for part in written.parts) == 6


# What is refused


@pytest.mark.parametrize("name", REFUSED)
def test_a_template_that_cannot_be_trusted_is_refused_and_auto_says_why(make_tokenizer, name):
    shape, sentence = REFUSED[name]
    with pytest.raises(TextError) as refusal:
        dressed(shape, make_tokenizer)
    assert sentence in str(refusal.value) and str(refusal.value).endswith("Set template.kind to chatml.")
    tokenizer, template = dressed(shape, make_tokenizer, TemplateSettings())
    assert template.kind == "chatml" and sentence in template.reason
    assert tokenizer.chat_template == template.jinja


@pytest.mark.parametrize("name", DOUBTFUL)
def test_auto_leaves_a_template_that_is_in_doubt_for_longer_conversations(make_tokenizer, name):
    _, template = dressed(DOUBTFUL[name], make_tokenizer, TemplateSettings())
    assert template.kind == "chatml" and "otherwise once the conversation goes on" in template.reason
    tokenizer, template = dressed(DOUBTFUL[name], make_tokenizer)
    row = encoded(Example(messages(THREE[:2]), HERE), tokenizer, template)
    assert row.ids == tokenizer.apply_chat_template(as_dicts(THREE[:2]))["input_ids"]
    with pytest.raises(
        TextError, match="writes the answer “b” of the assistant, or what precedes it, otherwise"
    ):
        template.write(messages(THREE))


def test_thinking_is_trained_where_it_is_kept(make_tokenizer):
    tokenizer, template = dressed(chatml_shape(THINKING), make_tokenizer)
    thought = "<think>\nHe ran.\n</think>\n\nDown the hole."
    for answer, wanted in ((thought, thought), ("Down.", "<think>\n\n</think>\n\nDown.")):
        turns = messages([("user", "Where?"), ("assistant", answer)])
        trained = [part.text for part in template.write(turns).parts if part.trained]
        assert trained == [wanted, "<|im_end|>"]
    muted = Message("assistant", thought, trained=False)
    later = (Message("user", "Where?"), muted, Message("user", "Why?"), Message("assistant", thought))
    row = encoded(Example(later, HERE), tokenizer, template)  # the first is shown without its thinking
    assert row.ids == tokenizer.apply_chat_template([as_openai(each) for each in later])["input_ids"]


def test_an_answer_of_which_a_part_would_be_lost_is_refused(make_tokenizer):
    lossy = THINKING.replace(" and not loop.last", "").replace("elif", "elif false and")
    _, template = dressed(chatml_shape(lossy), make_tokenizer)
    with pytest.raises(TextError, match="leaves out or changes a part of the message"):
        template.write(messages([("user", "?"), ("assistant", "<think>Hm.</think>No.")]))
    with pytest.raises(
        TextError, match="“<think>Hm.</think>No.” of the assistant"
    ):  # also if it was said before
        template.write(messages([("user", "<think>Hm.</think>No."), ("assistant", "<think>Hm.</think>No.")]))


def test_a_system_prompt_that_the_template_passes_over_is_missed(make_tokenizer):
    deaf = "{% set messages = messages | rejectattr('role', 'equalto', 'system') | list %}" + TURN + ASK
    _, template = dressed(chatml_shape(deaf), make_tokenizer)
    template.write(messages(CONVERSATIONS["one turn"]))
    with pytest.raises(TextError, match="a part of the message “Be brief.” of the system"):
        template.write(messages(CONVERSATIONS["a system prompt of its own"]))


def test_a_question_after_which_the_template_asks_otherwise_than_it_writes_is_refused(make_tokenizer):
    hurried = TURN + ASK.replace("}}", "}}{% if '/quick' in messages[-1].content %}Well,{% endif %}", 1)
    _, template = dressed(chatml_shape(hurried), make_tokenizer)
    template.write(messages([("user", "Where?"), ("assistant", "There.")]))
    with pytest.raises(TextError, match="writes the answer “There.” of the assistant"):
        template.write(messages([("user", "Where? /quick"), ("assistant", "There.")]))


def test_a_conversation_that_the_template_does_not_take_is_refused_in_its_words(make_tokenizer):
    shape = Shape(ALTERNATING, base="metaspace", special=("<turn>", "</turn>"))
    _, template = dressed(shape, make_tokenizer)
    for turns, words in (
        (CONVERSATIONS["a system prompt of its own"], "No place for a system prompt"),
        (CONVERSATIONS["two of the same side"], "Roles must alternate"),
    ):
        with pytest.raises(TextError, match=f"does not take this conversation: {words}"):
            template.write(messages(turns))
    with pytest.raises(TextError, match="No place for a system prompt"):
        dressed(shape, make_tokenizer, TemplateSettings(kind="own", system="Be brief."))


def test_a_tokenizer_without_a_template_has_none_of_its_own(make_tokenizer):
    tokenizer = make_tokenizer("gpt2-like")
    with pytest.raises(TextError, match="no chat template of its own"):
        choose(OWN, tokenizer)
    assert choose(TemplateSettings(), tokenizer)[:2] == (
        "chatml",
        "The base's tokenizer has no chat template of its own.",
    )


def test_a_conversation_of_very_many_answers_is_refused_before_it_takes_minutes(make_tokenizer):
    _, template = dressed(USED["headers, as Llama 3"], make_tokenizer)
    with pytest.raises(TextError, match="has 300 answers"):
        template.write(messages([("user", "a"), ("assistant", "b")] * 300))


def test_a_special_token_of_one_letter_in_words_is_refused(make_tokenizer):
    shape = Shape(USED["headers, as Llama 3"].template, special=("<|begin|>", "<|turn|>", "§"))
    _, template = dressed(shape, make_tokenizer)
    with pytest.raises(TextError, match="holds '§'"):
        template.write(messages([("user", "§ 1"), ("assistant", "b")]))


def test_a_model_with_another_template_for_tools_has_both_used(make_tokenizer):
    shape = USED["a system prompt by itself, as Qwen 2.5 and SmolLM 2"]
    tokenizer = shape.tokenizer(make_tokenizer)
    plainer = shape.template.replace("tools", "nothing")
    tokenizer.chat_template = {"default": plainer, "tool_use": shape.template}
    add_chat_tokens(tokenizer, (), ("<|im_end|>",))
    template = template_for(OWN, tokenizer)
    check(CALLING, TOOLS, tokenizer, template)
    check(messages(CONVERSATIONS["one turn"]), (), tokenizer, template)
    assert template.jinja == plainer
