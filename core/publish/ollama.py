"""A Modelfile for Ollama, whose template writes what the training's template writes.

Ollama has Go templates, not Jinja. What the training's template puts before and after each role's words is found by
letting it write a conversation; then the same parts must give, for every conversation of the gate, the very text that
it gives. A template that goes about it otherwise (thinking, tools, dates) is refused in a sentence.

Not the same, and not to be helped: Ollama does not trim words, and joins two messages of one role by an empty line.
"""

import os.path
from collections.abc import Sequence
from dataclasses import dataclass

from core.data.examples import Message
from core.errors import PublishError, TextError
from core.publish.parity import CONVERSATIONS
from core.text.writing import Template

MOST_CONTEXT = 8192  # tokens; Ollama takes the memory for all of them at once
SAID = "Qzx"  # words that stand in no template


@dataclass(frozen=True)
class Parts:
    """What stands around words: before the first of a conversation, before the others, after them, and at the end."""

    first: dict[str, str]  # by role; no answer is the first
    before: dict[str, str]  # by role
    after: dict[str, str]  # by role
    ask: str

    def write(self, messages: Sequence[Message]) -> str:
        """As Ollama will write it: what the Go template of `go` does."""
        texts = []
        for place, message in enumerate(messages):
            before = self.first if place == 0 else self.before
            texts += before.get(message.role, ""), message.content, self.after.get(message.role, "")
        return "".join(texts) + self.ask

    def go(self) -> str:
        """The same as a Go template."""

        def by_role(texts: dict[str, str]) -> str:
            branches = [
                f'{{{{ else if eq $message.Role "{role}" }}}}{text}' for role, text in texts.items() if text
            ]
            joined = "".join(branches).replace("{{ else if", "{{ if", 1)
            return f"{joined}{{{{ end }}}}" if joined else ""

        first, before = by_role(self.first), by_role(self.before)
        begin = f"{{{{ if eq $place 0 }}}}{first}{{{{ else }}}}{before}{{{{ end }}}}"
        return (
            f"{{{{- range $place, $message := .Messages }}}}{begin}{{{{ $message.Content }}}}{by_role(self.after)}"
            f"{{{{ end }}}}{self.ask}"
        )


def modelfile(template: Template, file: str, context: int, line: str = "\n") -> str:
    """The Modelfile for the GGUF `file` beside it. PublishError if Ollama cannot write what `template` writes.

    `line`: what the tokenizer takes a line break of the template for.
    """
    parts = parts_of(template)
    text = parts.go().replace("\n", line)
    if '"""' in text or '"""' in (template.system or ""):
        raise PublishError(
            'The template or the system prompt holds """, which a Modelfile cannot: write it otherwise.'
        )
    lines = [f"FROM ./{file}", f'TEMPLATE """{text}"""']
    if template.system:
        lines.append(f'SYSTEM """{template.system}"""')
    lines += [f'PARAMETER stop "{stop}"' for stop in template.stops]
    lines.append(f"PARAMETER num_ctx {min(context, MOST_CONTEXT)}")
    return "\n".join([*lines, ""])


def parts_of(template: Template) -> Parts:
    """PublishError if the template does not write every conversation by the same parts."""
    refusal = PublishError(
        f"Ollama cannot be told how this model is asked: its template ({template.kind}) does not put the same text around "
        "each role's words; use the GGUF file with llama.cpp, which reads the template itself."
    )
    try:
        parts = _found(template)
        for messages in CONVERSATIONS.values():
            turns = [Message(each.role, each.content.strip()) for each in template.turns(messages)]
            if _without_begin(template, template.prompt(turns)) != parts.write(turns):
                raise refusal
    except (TextError, ValueError) as error:
        raise refusal from error
    return parts


def _found(template: Template) -> Parts:
    """By writing two conversations. ValueError if words are lost, or could be taken for a Go template's."""
    roles = ("system", "user", "assistant", "user")
    to_system, to_user, to_answer, to_next, to_end = whole = _split(
        template, [Message(role, SAID) for role in roles]
    )
    to_first = "" if template.system else _split(template, [Message("user", SAID)])[0]
    if any("{{" in text for text in (*whole, to_first)):
        raise ValueError("braces of a Go template")
    # What two stretches have in common is where one message ends and the next begins; the split itself changes nothing.
    is_first = to_first and to_user.endswith(to_first) and to_next.endswith(to_first)
    user = to_first if is_first else os.path.commonprefix([to_user[::-1], to_next[::-1]])[::-1]
    after_system = to_user.removesuffix(user)
    shared = os.path.commonprefix([to_answer, to_end])
    after_user = after_system if shared.startswith(after_system) else shared
    return Parts(
        first={"system": to_system, "user": user if template.system else to_first},
        before={"system": to_system, "user": user, "assistant": to_answer.removeprefix(after_user)},
        after={"system": after_system, "user": after_user, "assistant": to_next.removesuffix(user)},
        ask=to_end.removeprefix(after_user),
    )


def _split(template: Template, messages: Sequence[Message]) -> list[str]:
    parts = _without_begin(template, template.prompt(messages)).split(SAID)
    if len(parts) != len(messages) + 1:
        raise ValueError("words are lost")
    return parts


def _without_begin(template: Template, text: str) -> str:
    """Without the token that the engine puts before every text by itself."""
    return text.removeprefix(template.begin[0]) if template.begin else text
