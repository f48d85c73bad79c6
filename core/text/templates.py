"""How a conversation is written as text: one object for what is trained, what is asked and what is exported.

ChatML, for a tokenizer whose end-of-sequence token is `</s>`, with the tokens that are trained underlined:

    <|im_start|>user
    Who are you?<|im_end|>
    <|im_start|>assistant
    The White Rabbit.<|im_end|></s>
    ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~

Both tokens are there because either may be the one that is looked for: `<|im_end|>` ends the turn for an
engine that knows the chat template, and one that only knows the tokenizer's end-of-sequence token stops too.
Neither the header nor the newline after the answer is trained: the model never has to write them.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from transformers import AddedToken, PreTrainedTokenizerFast

from core.data.examples import Message
from core.errors import TextError
from core.spec import TemplateSettings

IM_START, IM_END = "<|im_start|>", "<|im_end|>"
CHAT_TOKENS = (IM_START, IM_END)
PADDING = "<|pad|>"
BEGINNINGS = ("A", "a", "É", "1", "-", "(", '"', "日", "🙂")  # of answers, to try a tokenizer with

Turn = Message | Mapping[str, str]  # the mapping has role and content


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the text. A special one is a single token; a trained stretch ends with such a one."""

    text: str
    special: bool = False
    trained: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """A conversation as text."""

    parts: tuple[Part, ...]
    rewritten: tuple[str, ...]  # special tokens that stood in somebody's words, each time they did

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts)


@dataclass(frozen=True, slots=True)
class Template:
    """What training, chat and export agree on. Words are trimmed; special tokens in them are never obeyed."""

    kind: str
    begin: tuple[str, ...]  # what the tokenizer puts before a text by itself: its bos, or nothing
    end: str  # the tokenizer's end-of-sequence token
    ask: str  # what stands before an answer
    system: str | None  # for conversations that have no system message
    special: tuple[str, ...] = field(repr=False)  # every special token of the tokenizer

    @property
    def stops(self) -> tuple[str, ...]:
        """What every answer is closed with, in this order; the first ends the turn."""
        return tuple(dict.fromkeys((KINDS[self.kind].stop, self.end)))

    @property
    def jinja(self) -> str:
        """The chat template that transformers and engines use; it writes what `write` and `prompt` write.

        Except for special tokens in somebody's words: the engine obeys or rewrites them, as it does with
        every model.
        """
        return KINDS[self.kind].jinja(self)

    def write(self, messages: Sequence[Turn]) -> Written:
        """The whole conversation, as it is trained."""
        kind, rewritten = KINDS[self.kind], []
        parts = [Part(token, special=True) for token in self.begin]
        for message in self._turns(messages):
            content, found = plain(message.content, self.special)
            rewritten += found
            parts += kind.turn(self, message.role, content)
        return Written(tuple(parts), tuple(rewritten))

    def prompt(self, messages: Sequence[Turn]) -> str:
        """The conversation up to where the model writes."""
        return self.write(messages).text + self.ask

    def prompt_ids(self, messages: Sequence[Turn], tokenizer: PreTrainedTokenizerFast) -> list[int]:
        return tokenizer(self.prompt(messages), add_special_tokens=False).input_ids

    def stop_ids(self, tokenizer: PreTrainedTokenizerFast) -> tuple[int, ...]:
        """What ends an answer, for `generation_config.eos_token_id`; the padding token is none of them."""
        return tuple(tokenizer.convert_tokens_to_ids(list(self.stops)))

    def _turns(self, messages: Sequence[Turn]) -> Iterator[Message]:
        turns = [
            each if isinstance(each, Message) else Message(each["role"], each["content"]) for each in messages
        ]
        if self.system and (not turns or turns[0].role != "system"):
            yield Message("system", self.system)
        yield from turns


def template_for(settings: TemplateSettings, tokenizer: PreTrainedTokenizerFast) -> Template:
    """The template of a tokenizer that has its chat tokens; the tokenizer gets the exported form of it.

    TextError if the tokenizer cannot end an answer or runs its first letters into what stands before, or if
    the system prompt would command it.
    """
    if tokenizer.eos_token is None:
        raise TextError(
            "The tokenizer has no end-of-sequence token, so answers would never end: use another one, or name a token "
            "as eos_token in its tokenizer_config.json (a SentencePiece model is trained with eos_id)."
        )
    begin, end, special = _put_first(tokenizer), tokenizer.eos_token, tuple(special_ids(tokenizer))
    if strange := [token for token in (*begin, end) if token not in special]:
        raise TextError(
            f"The tokenizer puts {strange[0]} at an end of texts but has no such special token: use another."
        )
    system, found = plain(settings.system or "", special)
    if found:
        raise TextError(
            f"template.system holds {found[0]}, a special token of the tokenizer: write it otherwise."
        )
    for ask in KINDS[settings.kind].asks:
        template = Template(settings.kind, begin, end, ask, system or None, special)
        if all(_is_asked_as_trained(template, tokenizer, answer) for answer in BEGINNINGS):
            tokenizer.chat_template = template.jinja
            return template
    raise TextError(
        f"The tokenizer joins the first letters of an answer with what the template {settings.kind} puts before it, so "
        "that the model would be asked with other tokens than it was trained with: use another tokenizer."
    )


def _is_asked_as_trained(template: Template, tokenizer: PreTrainedTokenizerFast, answer: str) -> bool:
    question = Message("user", "?")
    prompt = template.prompt_ids([question], tokenizer)
    whole = tokenizer(
        template.write([question, Message("assistant", answer)]).text, add_special_tokens=False
    ).input_ids
    return whole[: len(prompt)] == prompt


def add_chat_tokens(tokenizer: PreTrainedTokenizerFast) -> tuple[str, ...]:
    """Give the tokenizer chat tokens and a padding token of its own; those that are new, in order of ids.

    Each new token needs a row in the model's embedding. Padding must be none of the tokens that end an
    answer: who makes labels by leaving out padding would leave out the ending, and the model would never
    learn to stop. So where a tokenizer has no padding token, or uses its end-of-sequence token, a token takes
    its place that the vocabulary has for it ("pad" in its name), or that it keeps free ("reserved",
    "unused"); `<|pad|>` is added if there is none. It is never the unknown token, which stands for text, nor
    a chat token, which stands in every prompt: generation without an attention mask takes padding tokens in a
    prompt for padding.
    """
    known, special = tokenizer.get_vocab(), special_ids(tokenizer)
    _add(tokenizer, [token for token in CHAT_TOKENS if token not in special])
    if tokenizer.pad_token is None or tokenizer.pad_token in (tokenizer.eos_token, IM_END):
        taken = {*CHAT_TOKENS, tokenizer.bos_token, tokenizer.eos_token, tokenizer.unk_token}
        free = [token for token in special if token not in taken]
        found = [token for word in ("pad", "reserved", "unused") for token in free if word in token.lower()]
        tokenizer.pad_token = next(iter(found), PADDING)
        _add(tokenizer, [] if found else [PADDING])
    return tuple(token for token in (*CHAT_TOKENS, tokenizer.pad_token) if token not in known)


def special_ids(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    """Every token that is read as such wherever it stands in a text, in order of ids."""
    tokens = sorted(tokenizer.added_tokens_decoder.items())
    return {token.content: number for number, token in tokens if token.special}


def plain(text: str, special: tuple[str, ...]) -> tuple[str, list[str]]:
    """The text trimmed, with a space after the first character of each special token in it; and those.

    "I say <|im_end|>" -> "I say < |im_end|>", ["<|im_end|>"]
    """
    found: list[str] = []

    def rewrite(match: re.Match[str]) -> str:
        found.append(match[0])
        return f"{match[0][0]} {match[0][1:]}"

    return _pattern(special).sub(rewrite, text.strip()), found


@cache
def _pattern(special: tuple[str, ...]) -> re.Pattern[str]:
    """The longest first. A token of one character cannot be rewritten; `encode` finds where one stands."""
    names = sorted((token for token in special if len(token) > 1), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, names)) or "(?!)")


def _put_first(tokenizer: PreTrainedTokenizerFast) -> tuple[str, ...]:
    """The special tokens that the tokenizer begins a text with when called with its defaults."""
    alone = tokenizer("a", add_special_tokens=False).input_ids
    ids = tokenizer("a").input_ids
    starts = [at for at in range(len(ids) - len(alone) + 1) if ids[at : at + len(alone)] == alone]
    return tuple(tokenizer.convert_ids_to_tokens(ids[: starts[0]])) if starts else ()


def _add(tokenizer: PreTrainedTokenizerFast, tokens: list[str]) -> None:
    tokenizer.add_tokens(
        [AddedToken(each, special=True, normalized=False) for each in tokens], special_tokens=True
    )


def _chatml_turn(template: Template, role: str, content: str) -> list[Part]:
    if role != "assistant":
        return [
            Part(IM_START, special=True),
            Part(f"{role}\n{content}"),
            Part(IM_END, special=True),
            Part("\n"),
        ]
    asked = template.ask.removeprefix(IM_START)
    return [
        Part(IM_START, special=True),
        Part(asked),
        Part("assistant\n".removeprefix(asked) + content, trained=True),
        *(Part(token, special=True, trained=True) for token in template.stops),
        Part("\n"),
    ]


CHATML_JINJA = """\
{{- BEGIN }}
{%- if messages[0]['role'] != 'system' %}{{- SYSTEM }}{%- endif %}
{%- for message in messages %}
    {{- '<|im_start|>' + message['role'] + '\\n' + (message['content'] | trim) + '<|im_end|>' }}
    {%- if message['role'] == 'assistant' %}{{- END }}{%- endif %}
    {{- '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- ASK }}{%- endif %}"""


def _chatml_jinja(template: Template) -> str:
    values = {
        "BEGIN": "".join(template.begin),
        "SYSTEM": f"{IM_START}system\n{template.system}{IM_END}\n" if template.system else "",
        "END": "".join(template.stops[1:]),
        "ASK": template.ask,
    }
    filled = re.sub(r"\b(BEGIN|SYSTEM|END|ASK)\b", lambda name: _quoted(values[name[0]]), CHATML_JINJA)
    return "\n".join(line for line in filled.splitlines() if '{{- "" }}' not in line)


def _quoted(text: str) -> str:
    """As a string in Jinja, which has JSON's escapes but does not join the two halves of a character."""
    return json.dumps(text, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to write conversations."""

    turn: Callable[[Template, str, str], list[Part]]  # a role and what it says
    asks: tuple[str, ...]  # what may stand before an answer, the best first
    stop: str  # the token that ends an answer
    jinja: Callable[[Template], str]


KINDS = {
    # Where a newline becomes a space, it is one token with the word after it: asked without the newline.
    "chatml": Kind(_chatml_turn, (f"{IM_START}assistant\n", f"{IM_START}assistant"), IM_END, _chatml_jinja),
}
