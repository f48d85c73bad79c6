"""Templates without tokens of their own: sections under headings (instruct), and nothing but the texts (plain).

An answer ends with the tokenizer's end-of-sequence token, which is trained. Words are trimmed; what a tool is
called with and what it answers have no place in either.

instruct, whose headings are Alpaca's; a message that follows another of the user's side is its input:

    Be brief.                      <- the system prompt

    ### Instruction:
    Who is this?

    ### Input:
    He looks at his watch.

    ### Response:
    The White Rabbit.</s>

    ### Instruction:               <- and so on
    ...

plain, where a text that nothing precedes is only that text:

    Who is this?
    The White Rabbit.</s>
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from core.errors import TextError
from core.text.writing import Part, Template, Turn, Written, filled

JINJA = """\
{%- if tools %}{{- raise_exception("This template has no place for tools.") }}{%- endif %}
{{- BEGIN }}
{%- set last = namespace(role="") %}
{%- if SYSTEM and messages[0]['role'] != 'system' %}
    {{- SYSTEM }}
    {%- set last.role = 'system' %}
{%- endif %}
{%- for message in messages %}
    {{- GAP if last.role }}
    {%- if message['role'] == 'assistant' %}
        {{- ANSWER + (message['content'] | trim) + END }}
    {%- elif message['role'] == 'user' %}
        {{- (MORE if last.role == 'user' else QUESTION) + (message['content'] | trim) }}
    {%- elif message['role'] == 'system' %}
        {{- message['content'] | trim }}
    {%- else %}
        {{- raise_exception("This template has no place for tools.") }}
    {%- endif %}
    {%- set last.role = message['role'] %}
{%- endfor %}
{%- if add_generation_prompt %}{{- ASK }}{%- endif %}"""


@dataclass(frozen=True)
class Sections(Template):
    """See above. `newline_is_asked`: whether the newline before an answer is asked, or written by the model."""

    newline_is_asked: bool = True

    # Where a newline becomes a space, it is one token with the word after it: asked without the newline.
    asks: ClassVar[tuple[bool, ...]] = (True, False)
    gap: ClassVar[str]
    question: ClassVar[str]
    more: ClassVar[str]  # before a message that follows another of the user's side
    answer: ClassVar[str]

    @property
    def jinja(self) -> str:
        values = {
            "BEGIN": "".join(self.begin),
            "SYSTEM": self.system or "",
            "GAP": self.gap,
            "QUESTION": self.question,
            "MORE": self.more,
            "ANSWER": self.answer,
            "END": "".join(self.stops),
            "ASK": self._asked(self.gap),
        }
        return filled(JINJA, values)

    def write(self, messages: Sequence[Turn], tools: Sequence[str] = ()) -> Written:
        parts, found = [Part(token, True) for token in self.begin], []
        if tools:
            raise self._no_tools()
        gap = last = ""
        for message in self.turns(messages):
            content, role = self.words.clean(message.content.strip(), found), message.role
            if role == "tool" or message.calls:
                raise self._no_tools()
            if role == "user":
                parts.append(Part(f"{gap}{self.more if last == 'user' else self.question}{content}"))
            elif role == "system":
                parts.append(Part(gap + content))
            elif message.trained:
                asked = self._asked(gap)
                rest = (gap + self.answer).removeprefix(asked)
                parts += Part(asked), Part(rest + content, False, True), *self.closing
            else:
                parts.append(Part(gap + self.answer + content))
                parts += (Part(token, True) for token in self.stops)
            gap, last = self.gap, role
        return Written(tuple(parts), tuple(found))

    def prompt(self, messages: Sequence[Turn], tools: Sequence[str] = ()) -> str:
        turns = self.turns(messages)
        return self.write(turns, tools).text + self._asked(self.gap if turns else "")

    def _asked(self, gap: str) -> str:
        """What stands before an answer, as far as the model does not write it itself."""
        before = gap + self.answer
        return before if self.newline_is_asked else before.removesuffix("\n")

    def _no_tools(self) -> TextError:
        return TextError(f"The template {self.kind} has no place for tools: use chatml or own.")


class Instruct(Sections):
    kind = "instruct"
    gap, question, more = "\n\n", "### Instruction:\n", "### Input:\n"
    answer = "### Response:\n"


class Plain(Sections):
    kind = "plain"
    gap, question, more, answer = "\n", "", "", ""
