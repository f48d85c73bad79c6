"""Chat templates in the shapes that models come with, each with a little tokenizer that fits it."""

from collections.abc import Callable
from dataclasses import dataclass

from tokenizers import AddedToken
from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True)
class Shape:
    """`base` is a kind of tests.text.conftest; the tokens come on top of it."""

    template: str
    base: str = "gpt2-like"
    special: tuple[str, ...] = ()
    eats_spaces: bool = False  # whether special tokens swallow the spaces behind them
    named: tuple[tuple[str, str], ...] = ()
    takes_system: bool = True
    takes_any_order: bool = True
    takes_tools: bool = False

    def tokenizer(self, make: Callable[[str], PreTrainedTokenizerFast]) -> PreTrainedTokenizerFast:
        tokenizer = make(self.base)
        tokens = [
            AddedToken(token, special=True, normalized=False, rstrip=self.eats_spaces)
            for token in self.special
        ]
        tokenizer.add_tokens(tokens, special_tokens=True)
        for name, token in self.named:
            setattr(tokenizer, name, token)
        tokenizer.chat_template = self.template
        return tokenizer


HEADERS = """\
{%- for message in messages %}
    {%- if loop.first %}{{ bos_token }}{% endif %}
    {{- '<|head|>' + message['role'] + '<|/head|>\\n\\n' + message['content'] | trim + '<|turn|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|head|>assistant<|/head|>\\n\\n' }}{% endif %}"""

HEADERS_WITH_TOOLS = """\
{{- bos_token }}
{%- if messages[0].role == 'system' %}
    {%- set first, rest = messages[0].content, messages[1:] %}
{%- else %}
    {%- set first, rest = '', messages %}
{%- endif %}
{{- '<|head|>system<|/head|>\\n\\nKnowledge ends: December 2023\\n\\n' + first }}
{%- for tool in tools or [] %}{{ '\\n' + tool | tojson(indent=4) }}{% endfor %}
{{- '<|turn|>' }}
{%- for message in rest %}
    {%- if message.tool_calls %}
        {%- if message.tool_calls | length != 1 %}{{ raise_exception('Only one call at a time.') }}{% endif %}
        {%- set call = message.tool_calls[0].function %}
        {{- '<|head|>assistant<|/head|>\\n\\n{"name": "' + call.name + '", "parameters": ' }}
        {{- call.arguments | tojson + '}<|turn|>' }}
    {%- elif message.role == 'tool' %}
        {{- '<|head|>ipython<|/head|>\\n\\n' + message.content | tojson + '<|turn|>' }}
    {%- else %}
        {{- '<|head|>' + message.role + '<|/head|>\\n\\n' + message.content | trim + '<|turn|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|head|>assistant<|/head|>\\n\\n' }}{% endif %}"""

CHATML_WITH_DEFAULT = """\
{%- set has_system = messages[0].role == 'system' %}
{%- if tools %}
    {{- '<|im_start|>system\\n' + (messages[0].content if has_system else 'You help.') }}
    {{- '\\n\\n<tools>' }}
    {%- for tool in tools %}{{ '\\n' + tool | tojson }}{% endfor %}
    {{- '\\n</tools><|im_end|>\\n' }}
{%- elif not has_system %}
    {{- '<|im_start|>system\\nYou help.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'tool' %}
        {%- if loop.first or loop.previtem.role != 'tool' %}{{ '<|im_start|>user' }}{% endif %}
        {{- '\\n<tool_response>\\n' + message.content + '\\n</tool_response>' }}
        {%- if loop.last or loop.nextitem.role != 'tool' %}{{ '<|im_end|>\\n' }}{% endif %}
    {%- elif not (loop.first and has_system and tools) %}
        {{- '<|im_start|>' + message.role + ('\\n' + message.content if message.content else '') }}
        {%- for call in message.tool_calls or [] %}
            {{- '\\n<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' }}
            {{- call.function.arguments | tojson + '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""

ALTERNATING = """\
{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('No place for a system prompt') }}{% endif %}
{%- for message in messages %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('Roles must alternate') }}
    {%- endif %}
    {{- '<turn>' + ('model' if message['role'] == 'assistant' else 'user') + '\\n' + message['content'] | trim }}
    {{- '</turn>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<turn>model\\n' }}{% endif %}"""

BRACKETS = """\
{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}
    {%- set system, rest = messages[0]['content'] + '\\n\\n', messages[1:] %}
{%- else %}
    {%- set system, rest = '', messages %}
{%- endif %}
{%- for message in rest %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Take turns') }}{% endif %}
    {%- if message['role'] == 'user' %}
        {{- '[INST] ' + (system if loop.first else '') + message['content'] + ' [/INST]' }}
    {%- else %}
        {{- ' ' + message['content'] + eos_token }}
    {%- endif %}
{%- endfor %}"""

SWALLOWING = """\
{% for message in messages %}{{ '<|' + message['role'] + '|>\\n' + message['content'] + '<|end|>\\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}"""

PLAIN_HEADS = """\
{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\\n' + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}"""

IM = ("<|im_start|>", "<|im_end|>")
HEAD = (
    "<|begin|>",
    "<|head|>",
    "<|/head|>",
    "<|turn|>",
    *(f"<|kept_free_{number}|>" for number in range(40)),
)
USED: dict[str, Shape] = {
    "headers, as Llama 3": Shape(HEADERS, special=HEAD, named=(("bos_token", "<|begin|>"),)),
    "headers and tools, as Llama 3.1": Shape(
        HEADERS_WITH_TOOLS,
        special=HEAD,
        named=(("bos_token", "<|begin|>"), ("eos_token", "<|turn|>")),
        takes_tools=True,
    ),
    "a system prompt by itself, as Qwen 2.5 and SmolLM 2": Shape(
        CHATML_WITH_DEFAULT, base="qwen-like", takes_tools=True
    ),
    "no system prompt, as Gemma": Shape(
        ALTERNATING,
        base="metaspace",
        special=("<turn>", "</turn>"),
        takes_system=False,
        takes_any_order=False,
    ),
    "brackets that are tokens, as Mistral": Shape(
        BRACKETS, base="metaspace", special=("[INST]", "[/INST]"), takes_any_order=False
    ),
    "brackets that are text, as Llama 2": Shape(BRACKETS, base="llama-like", takes_any_order=False),
    "tokens that swallow newlines, as Phi 3": Shape(
        SWALLOWING,
        base="llama-like",
        special=("<|user|>", "<|system|>", "<|assistant|>", "<|end|>"),
        eats_spaces=True,
    ),
    "heads that are text, as Zephyr": Shape(PLAIN_HEADS, base="metaspace"),
}

THINKING = """\
{%- for message in messages %}
    {%- set words = message.content %}
    {%- if message.role == 'assistant' and not loop.last %}
        {%- set words = words.split('</think>')[-1].lstrip('\\n') %}
    {%- elif message.role == 'assistant' and '</think>' not in words %}
        {%- set words = '<think>\\n\\n</think>\\n\\n' + words %}
    {%- endif %}
    {{- '<|im_start|>' + message.role + '\\n' + words + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""

TURN = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
)
ASK = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
LAST_ENDS_OTHERWISE = """\
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content }}
    {{- '<|endoftext|>' if loop.last and message.role == 'assistant' else '<|im_end|>\\n' }}
{%- endfor %}"""
NEWEST_MARKED = """\
{%- set newest = messages | selectattr('role', 'equalto', 'user') | list | last %}
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + (' (new)' if message == newest else '') }}
    {{- '<|im_end|>\\n' }}
{%- endfor %}"""


def chatml_shape(template: str) -> Shape:
    return Shape(template, base="qwen-like")


REFUSED: dict[str, tuple[Shape, str]] = {  # and a part of the sentence
    "today's date": (chatml_shape("{{ strftime_now('%d %b %Y') }}" + TURN + ASK), "writes today's date"),
    "a question after every answer": (
        Shape(
            "{% for m in messages %}{{ m.role + ': ' + m.content + '\\n' }}{% endfor %}{{ 'assistant: ' }}"
        ),
        "ends answers with '\\nassistant: ', which is no special token",
    ),
    "an end that is text": (
        Shape(
            "{% for m in messages %}{{ m.role + ': ' + m.content + '\\n' }}{% endfor %}"
            "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
        ),
        "ends answers with '\\n', which is no special token",
    ),
    "no head where it asks": (chatml_shape(TURN), "does not write '<|im_start|>assistant' where it asks"),
    "another head": (
        chatml_shape(TURN + ASK.replace("assistant", "model")),
        "does not ask as it writes answers",
    ),
    "answers are left out": (
        chatml_shape("{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}" + ASK),
        "does not ask as it writes answers",
    ),
    "damaged": (chatml_shape("{% for m in messages %}"), "is damaged"),
    "an error": (chatml_shape("{{ 1 // 0 }}" + TURN + ASK), "does not take this conversation"),
    "out of the sandbox": (
        chatml_shape("{{ ''.__class__.__mro__[1].__subclasses__() }}" + TURN + ASK),
        "does not take this conversation",
    ),
}
DOUBTFUL: dict[str, Shape] = {  # can be used for some conversations
    "earlier answers lose their thinking, as Qwen 3": chatml_shape(THINKING),
    "the last answer ends otherwise, as in harmony": chatml_shape(LAST_ENDS_OTHERWISE + ASK),
    "the newest question is marked": chatml_shape(NEWEST_MARKED + ASK),
}
