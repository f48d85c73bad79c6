"""A Modelfile's template, rendered as Go renders it, gives the text that the model was trained with."""

import re

import pytest
from transformers import PreTrainedTokenizerFast

from core.data.examples import Message
from core.errors import PublishError
from core.publish.ollama import modelfile, parts_of
from core.spec import TemplateSettings
from core.text.templates import add_chat_tokens, choose, template_for
from tests.publish.tiny import LLAMA3, byte_level

CONVERSATIONS = [
    [("user", "Who are you?")],
    [("system", "Be brief."), ("user", "Où est l'œuf ?")],
    [("user", "a"), ("assistant", "b\n\nc"), ("user", "{{ d }}"), ("assistant", "e"), ("user", "f 🙂")],
    [("system", "S"), ("user", "a"), ("assistant", "b"), ("user", "c")],
    [("system", ""), ("user", "a")],
]


def go(template: str, messages: list[tuple[str, str]]) -> str:
    """Go's text/template for the actions that are written here: range, if eq, else if, else, end, and values."""
    nodes = [part for part in re.split(r"(\{\{.*?\}\})", template) if part]

    def block(at: int, scope: dict) -> tuple[str, int, str]:
        """What is written from node `at` to the end of the block; where that is, and what ends it."""
        text = ""
        while at < len(nodes):
            node = nodes[at]
            action = node[2:-2].lstrip("-").strip() if node.startswith("{{") else None
            if action is None:
                text, at = text + node, at + 1
            elif action == "end" or action.startswith("else"):
                return text, at, action
            elif action.startswith("range"):
                assert action == "range $place, $message := .Messages"
                rows = [block(at + 1, {"place": place, "message": row}) for place, row in enumerate(messages)]
                text, at = text + "".join(row[0] for row in rows), rows[0][1] + 1
            elif action.startswith("if"):
                written, at = branches(at, action, scope)
                text += written
            else:
                assert action == "$message.Content"
                text, at = text + scope["message"][1], at + 1
        return text, at, ""

    def branches(at: int, action: str, scope: dict) -> tuple[str, int]:
        """The first branch whose condition holds, and where the whole ends."""
        chosen = None
        while action != "end":
            written, end, following = block(at + 1, scope)
            if chosen is None and holds(action, scope):
                chosen = written
            at, action = end, following
        return chosen or "", at + 1

    def holds(action: str, scope: dict) -> bool:
        if action == "else":
            return True
        name, value = re.fullmatch(r"(?:else )?if eq \$(\S+) (.*)", action).groups()
        return str(scope["place"] if name == "place" else scope["message"][0]) == value.strip('"')

    return block(0, {})[0]


def made(kind: str, tokenizer: PreTrainedTokenizerFast, system: str | None = None):
    settings = TemplateSettings(kind=kind, system=system)
    choice = choose(settings, tokenizer)
    add_chat_tokens(tokenizer, choice.chat_tokens, choice.stops)
    return template_for(settings, tokenizer, choice)


def said(text: str, name: str) -> list[str]:
    return re.findall(rf"^{name} (.*?)$", text, re.M)


@pytest.mark.parametrize(
    "kind, cuts, system",
    [
        ("chatml", "gpt-2", None), ("instruct", "gpt-2", None), ("plain", "gpt-2", None), ("own", "gpt-2", None),
        ("own", "llama-bpe", None), ("chatml", "llama-bpe", "You are a rabbit."), ("own", "qwen2", "You are a cat."),
        ("instruct", "llama-bpe", "Be brief."),
    ],
)  # fmt: skip
def test_ollama_writes_what_was_trained(kind, cuts, system):
    template = made(kind, byte_level(cuts), system)
    text = modelfile(template, "a.gguf", 512)
    body = re.search(r'TEMPLATE """(.*?)"""', text, re.S)[1]
    for conversation in CONVERSATIONS:
        if conversation[0][0] != "system" and system:  # as Ollama puts the Modelfile's SYSTEM before it
            conversation = [("system", system), *conversation]
        wanted = template.prompt([Message(*turn) for turn in conversation])
        begin = template.begin[0] if template.begin else ""  # which Ollama puts before every text itself
        assert begin + go(body, conversation) == wanted
    assert said(text, "FROM") == ["./a.gguf"] and said(text, "PARAMETER num_ctx") == ["512"]
    assert said(text, "PARAMETER stop") == [f'"{stop}"' for stop in template.stops]
    assert said(text, "SYSTEM") == ([f'"""{system}"""'] if system else [])


MISTRAL = (
    "{% if messages[0]['role'] == 'system' %}{% set s = messages[0]['content'] %}{% set messages = messages[1:] %}{% endif %}"
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + (s + '\n\n' if loop.last and s else '') "
    "+ m['content'] + '[/INST]' }}{% else %}{{ m['content'] + eos_token }}{% endif %}{% endfor %}"
)
COUNTED = LLAMA3.replace("+ message['content']", "+ (loop.index | string) + '. ' + message['content']", 1)


@pytest.mark.parametrize("jinja", [MISTRAL, COUNTED])
def test_a_template_that_writes_otherwise_is_refused_in_a_sentence(jinja):
    tokenizer = byte_level("llama-bpe")
    tokenizer.chat_template = jinja
    with pytest.raises(PublishError, match="Ollama cannot be told how this model is asked"):
        parts_of(made("own", tokenizer))


def test_line_breaks_that_the_tokenizer_reads_as_spaces_are_written_so_and_the_context_is_kept_small():
    text = modelfile(made("chatml", byte_level("gpt-2")), "a.gguf", 131072, line=" ")
    assert "<|im_start|>user {{" not in text.split("TEMPLATE")[0] and "<|im_end|> " in text
    assert said(text, "PARAMETER num_ctx") == ["8192"]


def test_a_system_prompt_that_would_end_the_quotation_is_refused():
    with pytest.raises(PublishError, match="which a Modelfile cannot"):
        modelfile(made("chatml", byte_level("gpt-2"), 'Say """hello""".'), "a.gguf", 512)
