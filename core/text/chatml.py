"""ChatML, for a tokenizer whose end-of-sequence token is `</s>`, with the tokens that are trained underlined:

    <|im_start|>user
    Who are you?<|im_end|>
    <|im_start|>assistant
    The White Rabbit.<|im_end|></s>
    ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~

Both tokens are there because either may be the one that is looked for: `<|im_end|>` ends the turn for an
engine that knows the chat template, and one that only knows the tokenizer's end-of-sequence token stops too.
Neither the header nor the newline after the answer is trained: the model never has to write them.

Tools are written as Hermes and Qwen 2.5 have them, so that engines find the calls: the functions in the system
message within <tools></tools>, each call as JSON within <tool_call></tool_call>, and what the tools answer in a turn
of the user's side within <tool_response></tool_response>. Words are trimmed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from core.data.examples import Message
from core.text.writing import Part, Template, Turn, Written, filled, normal_json

IM_START, IM_END = "<|im_start|>", "<|im_end|>"
CHAT_TOKENS = (IM_START, IM_END)
START, END, NEWLINE = Part(IM_START, True), Part(IM_END, True), Part("\n")

TOOLS_BEFORE = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>"
)
TOOLS_AFTER = (
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments within "
    '<tool_call></tool_call> XML tags:\n<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n'
    "</tool_call>"
)
JINJA = """\
{{- BEGIN }}
{%- set system, rest = SYSTEM, messages %}
{%- set has_system = HAS_SYSTEM %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system, rest, has_system = messages[0]['content'] | trim, messages[1:], true %}
{%- endif %}
{%- if tools %}
    {{- '<|im_start|>system\\n' + (system + '\\n\\n' if system else '') + TOOLS_BEFORE }}
    {%- for tool in tools %}{{- '\\n' + (tool | tojson) }}{%- endfor %}
    {{- TOOLS_AFTER + '<|im_end|>\\n' }}
{%- elif has_system %}
    {{- '<|im_start|>system\\n' + system + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in rest %}
    {%- set content = (message['content'] or '') | trim %}
    {%- if message['role'] == 'tool' %}
        {%- if loop.first or loop.previtem['role'] != 'tool' %}{{- '<|im_start|>user' }}{%- endif %}
        {{- '\\n<tool_response>\\n' + content + '\\n</tool_response>' }}
        {%- if loop.last or loop.nextitem['role'] != 'tool' %}{{- '<|im_end|>\\n' }}{%- endif %}
    {%- else %}
        {{- '<|im_start|>' + message['role'] + '\\n' + content }}
        {%- for call in message['tool_calls'] or [] %}
            {%- set call = call['function'] or call %}
            {%- set arguments = call['arguments'] %}
            {%- set arguments = arguments if arguments is string else arguments | tojson %}
            {{- '\\n' if content or not loop.first }}
            {{- '<tool_call>\\n{"name": ' + (call['name'] | tojson) + ', "arguments": ' + arguments + '}' }}
            {{- '\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>' }}
        {%- if message['role'] == 'assistant' %}{{- END }}{%- endif %}
        {{- '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- ASK }}{%- endif %}"""


@dataclass(frozen=True)
class ChatML(Template):
    """See above. `ask` is what stands before an answer."""

    ask: str = f"{IM_START}assistant\n"

    kind = "chatml"
    # Where a newline becomes a space, it is one token with the word after it: asked without the newline.
    asks = (f"{IM_START}assistant\n", f"{IM_START}assistant")

    @property
    def jinja(self) -> str:
        values = {
            "BEGIN": "".join(self.begin),
            "SYSTEM": self.system or "",
            "TOOLS_BEFORE": TOOLS_BEFORE,
            "TOOLS_AFTER": TOOLS_AFTER,
            "END": "".join(self.stops[1:]),
            "ASK": self.ask,
        }
        return filled(JINJA.replace("HAS_SYSTEM", "true" if self.system else "false"), values)

    def write(self, messages: Sequence[Turn], tools: Sequence[str] = ()) -> Written:
        turns, found = self.turns(messages), []
        parts = [Part(token, True) for token in self.begin]
        if tools:
            system = turns[0].content if turns and turns[0].role == "system" else ""
            turns = turns[1:] if turns and turns[0].role == "system" else turns
            parts += START, Part(f"system\n{self._offer(system, tools, found)}"), END, NEWLINE
        if all(message.role != "tool" for message in turns):
            for message in turns:
                self._add(message, parts, found)
            return Written(tuple(parts), tuple(found))
        for is_tool, group in groupby(turns, lambda message: message.role == "tool"):
            if is_tool:
                parts += START, Part(f"user{self._results(group, found)}"), END, NEWLINE
                continue
            for message in group:
                self._add(message, parts, found)
        return Written(tuple(parts), tuple(found))

    def prompt(self, messages: Sequence[Turn], tools: Sequence[str] = ()) -> str:
        return self.write(messages, tools).text + self.ask

    def _add(self, message: Message, parts: list[Part], found: list[str]) -> None:
        content = self.words.clean(message.content.strip(), found)
        if message.calls:
            content = self._calling(message, content, found)
        if message.role != "assistant":
            parts += START, Part(f"{message.role}\n{content}"), END, NEWLINE
        elif message.trained:
            asked, rest = self._header
            parts += START, asked, Part(rest + content, False, True), *self.closing, NEWLINE
        else:
            parts += START, Part(f"assistant\n{content}")
            parts += (Part(token, True) for token in self.stops)
            parts.append(NEWLINE)

    @cached_property
    def _header(self) -> tuple[Part, str]:
        """Of what stands between the token and an answer, what is asked, and what the model writes."""
        asked = self.ask.removeprefix(IM_START)
        return Part(asked), "assistant\n".removeprefix(asked)

    def _offer(self, system: str, tools: Sequence[str], found: list[str]) -> str:
        system = self.words.clean(system.strip(), found)
        texts = [self.words.clean(normal_json(tool, "A tool"), found) for tool in tools]
        offer = "".join([TOOLS_BEFORE, *(f"\n{text}" for text in texts), TOOLS_AFTER])
        return f"{system}\n\n{offer}" if system else offer

    def _calling(self, message: Message, content: str, found: list[str]) -> str:
        calls = []
        for call in message.calls:
            arguments = normal_json(call.arguments, f"What the tool {call.name} is called with")
            text = f'{{"name": {json.dumps(call.name, ensure_ascii=False)}, "arguments": {arguments}}}'
            calls.append(f"<tool_call>\n{self.words.clean(text, found)}\n</tool_call>")
        return "\n".join([content, *calls] if content else calls)

    def _results(self, results: Sequence[Message], found: list[str]) -> str:
        texts = [self.words.clean(result.content.strip(), found) for result in results]
        return "".join(f"\n<tool_response>\n{text}\n</tool_response>" for text in texts)
