"""What every template shares: a conversation as parts of text, and words of which none are obeyed."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, ClassVar, NamedTuple

from transformers import PreTrainedTokenizerFast

from core.data.examples import Message
from core.errors import TextError

Turn = Message | Mapping[str, str]  # the mapping has role and content


class Part(NamedTuple):
    """A stretch of the text. A special one is a single token; a trained stretch ends with such a one."""

    text: str
    special: bool = False
    trained: bool = False


class Written(NamedTuple):
    """A conversation as text."""

    parts: tuple[Part, ...]
    rewritten: tuple[str, ...]  # special tokens that stood in somebody's words, each time they did

    @property
    def text(self) -> str:
        return "".join([part[0] for part in self.parts])


@dataclass(frozen=True)
class Template(ABC):
    """What training, chat and export agree on. Special tokens in somebody's words are never obeyed."""

    begin: tuple[str, ...]  # what the tokenizer puts before a text by itself: its bos, or nothing
    stops: tuple[str, ...]  # what every answer is closed with, in this order; the first ends the turn
    system: str | None  # for conversations that have no system message
    special: tuple[str, ...] = field(repr=False)  # every special token of the tokenizer
    reason: str = field(default="", compare=False)  # why it is this kind, in words

    kind: ClassVar[str]

    @property
    @abstractmethod
    def jinja(self) -> str:
        """The chat template that transformers and engines use; it writes what `write` and `prompt` write.

        Except for special tokens in somebody's words: the engine obeys or rewrites them, as it does with
        every model.
        """

    @abstractmethod
    def write(self, messages: Sequence[Turn], tools: Sequence[str] = ()) -> Written:
        """The whole conversation, as it is trained; TextError if this template cannot write it."""

    @abstractmethod
    def prompt(self, messages: Sequence[Turn], tools: Sequence[str] = ()) -> str:
        """The conversation up to where the model writes; TextError if this template cannot write it."""

    def prompt_ids(
        self, messages: Sequence[Turn], tokenizer: PreTrainedTokenizerFast, tools: Sequence[str] = ()
    ) -> list[int]:
        return tokenizer(self.prompt(messages, tools), add_special_tokens=False).input_ids

    def stop_ids(self, tokenizer: PreTrainedTokenizerFast) -> tuple[int, ...]:
        """What ends an answer, for `generation_config.eos_token_id`; the padding token is none of them."""
        return tuple(tokenizer.convert_tokens_to_ids(list(self.stops)))

    def turns(self, messages: Sequence[Turn]) -> Sequence[Message]:
        """The messages, the system prompt before them if they have none."""
        messages = as_messages(messages)
        if self.system and (not messages or messages[0].role != "system"):
            return [Message("system", self.system), *messages]
        return messages

    @cached_property
    def words(self) -> "Words":
        return Words(self.special)

    @cached_property
    def closing(self) -> tuple[Part, ...]:
        """The stops as parts that are trained."""
        return tuple(Part(token, True, True) for token in self.stops)


def as_messages(turns: Sequence[Turn]) -> Sequence[Message]:
    for turn in turns:
        if type(turn) is not Message:
            break
    else:
        return turns
    return [turn if isinstance(turn, Message) else Message(turn["role"], turn["content"]) for turn in turns]


class Words:
    """Puts a space after the first character of each special token in somebody's words.

    "I say <|im_end|>" -> "I say < |im_end|>". A token of one character cannot be rewritten.
    """

    def __init__(self, special: tuple[str, ...]) -> None:
        # The longest first, as the tokenizer looks for them.
        names = sorted((token for token in special if len(token) > 1), key=len, reverse=True)
        self.pattern = re.compile("|".join(map(re.escape, names)) or "(?!)")
        # Nearly every text has none of these, which is seen sooner than a pattern of 250 tokens is tried.
        self.beginnings = tuple({token[:2] for token in names})
        if len(self.beginnings) > 8:
            self.beginnings = tuple({token[0] for token in names})
        self.single = tuple(token for token in special if len(token) == 1)

    def clean(self, text: str, found: list[str]) -> str:
        """The text rewritten; what stood there is added to `found`."""
        for beginning in self.beginnings:
            if beginning in text:
                break
        else:
            return text

        def rewrite(match: re.Match[str]) -> str:
            found.append(match[0])
            return f"{match[0][0]} {match[0][1:]}"

        return self.pattern.sub(rewrite, text)


def parsed(text: str, what: str) -> Any:
    """A tool, or what one is called with, as the templates of models want it; TextError if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise TextError(f"{what} is not JSON, so no template can write it.") from None


@lru_cache(maxsize=256)
def normal_json(text: str, what: str) -> str:
    """JSON as Jinja's `tojson` writes it in transformers; TextError if the text is not JSON."""
    return json.dumps(parsed(text, what), ensure_ascii=False)


def quoted(text: str) -> str:
    """As a string in Jinja, which has JSON's escapes but does not join the two halves of a character."""
    return json.dumps(text, ensure_ascii=False)


def filled(jinja: str, values: Mapping[str, str]) -> str:
    """A template with its capital names replaced by strings; lines that would write an empty one are left out."""
    names = "|".join(values)
    text = re.sub(rf"\b({names})\b", lambda name: quoted(values[name[0]]), jinja)
    return "\n".join(line for line in text.split("\n") if '{{- "" }}' not in line)
