"""The chat template that a model came with: rendered as it is, and the answers in it found beyond doubt.

It is a program of whoever made the model, and runs nowhere but in transformers' sandbox. What is trained of what
it writes is found by asking it: up to where the model is asked, `render(messages before the answer, asking)`, and
up to the token that ends the answer. Both must be how the conversation begins when it is written whole; where they
are not (earlier answers lose their thinking, a date is written, messages are put elsewhere), the model would be
asked with another text than it was trained with, and the conversation is refused.

Markers of what is trained ({% generation %}) are not looked at: they say where an answer is, but not that the model
will be asked with what stands before it.

Words are not trimmed: whether spaces around them count is for the template to say. A text that nothing precedes is
no conversation; it is written as the tokenizer begins texts, and ended as an answer.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from textwrap import shorten
from typing import Any

from jinja2 import TemplateSyntaxError
from transformers import PreTrainedTokenizerFast
from transformers.utils.chat_template_utils import _compile_jinja_template

from core.data.examples import Call, Message
from core.errors import TextError
from core.text.writing import Part, Template, Turn, Written, as_messages, parsed

# Each answer is rendered twice with all that precedes it, so the time grows with the square of their number.
MOST_ANSWERS = 256
QUESTION, ANSWER = Message("user", "Whither?"), Message("assistant", "Thither.")
OTHERWISE = "Set template.kind to chatml."


@dataclass(frozen=True)
class Own(Template):
    """See above. `begin` is only written before a text that is no conversation."""

    text: str = ""
    text_with_tools: str = ""  # the same, unless the model has another one for tools
    names: tuple[tuple[str, str], ...] = ()  # bos_token, eos_token, ... as templates call them

    kind = "own"

    @property
    def jinja(self) -> str:
        return self.text

    def write(self, messages: Sequence[Turn], tools: Sequence[str] = ()) -> Written:
        found: list[str] = []
        messages = as_messages(messages)
        if len(messages) == 1 and not tools and messages[0].role == "assistant" and not messages[0].calls:
            return self._alone(messages[0], found)
        turns = self.turns(messages)
        rows, functions = self._rows(turns, found), self._functions(tools, found)
        whole = self._render(rows, functions, asking=False)
        self._refuse_if_lost(whole, rows, functions, turns)
        stretches = self._answers(whole, turns, rows, functions)
        return Written(tuple(self._cut(whole, stretches)), tuple(found))

    def prompt(self, messages: Sequence[Turn], tools: Sequence[str] = ()) -> str:
        if not messages:
            return "".join(self.begin)
        found: list[str] = []
        return self._render(
            self._rows(self.turns(messages), found), self._functions(tools, found), asking=True
        )

    def _alone(self, text: Message, found: list[str]) -> Written:
        content = self.words.clean(text.content, found)
        closing = self.closing if text.trained else [Part(token, True) for token in self.stops]
        parts = (*(Part(token, True) for token in self.begin), Part(content, False, text.trained), *closing)
        return Written(parts, tuple(found))

    def _rows(self, turns: Sequence[Message], found: list[str]) -> list[dict[str, Any]]:
        """The messages as templates take them, their special tokens rewritten."""
        rows: list[dict[str, Any]] = []
        for turn in turns:
            for token in self.words.single:
                if token in turn.content:
                    raise TextError(
                        f"A text holds {token!r}, a special token of the tokenizer that cannot be rewritten: remove it."
                    )
            row: dict[str, Any] = {"role": turn.role, "content": self.words.clean(turn.content, found)}
            if turn.calls:
                row["tool_calls"] = [self._call(call, found) for call in turn.calls]
            rows.append(row)
        return rows

    def _call(self, call: Call, found: list[str]) -> dict[str, Any]:
        arguments = self._clean(parsed(call.arguments, f"What the tool {call.name} is called with"), found)
        name = self.words.clean(call.name, found)
        return {"type": "function", "function": {"name": name, "arguments": arguments}}

    def _functions(self, tools: Sequence[str], found: list[str]) -> list[Any] | None:
        return [self._clean(parsed(tool, "A tool"), found) for tool in tools] or None

    def _clean(self, value: Any, found: list[str]) -> Any:
        """JSON with the special tokens in its strings rewritten."""
        if isinstance(value, str):
            return self.words.clean(value, found)
        if isinstance(value, list):
            return [self._clean(each, found) for each in value]
        if isinstance(value, dict):
            return {self.words.clean(key, found): self._clean(each, found) for key, each in value.items()}
        return value

    def _render(self, rows: Sequence[Mapping[str, Any]], functions: list[Any] | None, asking: bool) -> str:
        template = _compile_jinja_template(self.text_with_tools if functions else self.text)
        try:
            # What a foreign program raises can be anything, so there is no smaller net.
            return template.render(
                messages=rows,
                tools=functions,
                documents=None,
                add_generation_prompt=asking,
                strftime_now=_refuse_dates,
                **dict(self.names),
            )
        except TextError:
            raise
        except Exception as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
            raise TextError(
                f"The model's own chat template does not take this conversation: {reason}. {OTHERWISE}"
            ) from error

    def _answers(
        self,
        whole: str,
        turns: Sequence[Message],
        rows: Sequence[Mapping[str, Any]],
        functions: list[Any] | None,
    ) -> list[tuple[int, int]]:
        """Begin and end of each answer that is trained, its ending included."""
        answers = [place for place, turn in enumerate(turns) if turn.role == "assistant" and turn.trained]
        if len(answers) > MOST_ANSWERS:
            raise TextError(
                f"The conversation has {len(answers)} answers, and the template own can take {MOST_ANSWERS}: split it."
            )
        if answers[:1] == [0]:
            raise TextError(
                "The conversation begins with an answer, and the model's own chat template cannot ask for one before "
                f"anything was said: give it weight 0, or take another beginning. {OTHERWISE}"
            )
        stretches = []
        for place in answers:
            asked = self._render(rows[:place], functions, asking=True)
            begin = len(asked)
            end = whole.find(self.ending, begin)
            # Beyond this answer nothing is asked any more, so the last one is followed by what it is.
            alone = whole if place == len(rows) - 1 else self._render(rows[: place + 1], functions, False)
            if (
                end < 0
                or not whole.startswith(asked)
                or not alone.startswith(whole[: end + len(self.ending)])
            ):
                raise TextError(
                    f"The model's own chat template writes the answer {_short(rows[place])}, or what precedes it, otherwise "
                    "when it asks for it than in the whole conversation, so the model would be asked with another text "
                    f"than it was trained with. {OTHERWISE}"
                )
            end += len(self.ending)
            said = [rows[place]["content"], *(call.name for call in turns[place].calls)]
            answer = _Text(whole[begin:end])
            if not all(answer.has(each) for each in said):
                raise _lost(rows[place])
            stretches.append((begin, end))
        return stretches

    @cached_property
    def ending(self) -> str:
        return "".join(self.stops)

    def _refuse_if_lost(
        self,
        whole: str,
        rows: Sequence[Mapping[str, Any]],
        functions: list[Any] | None,
        turns: Sequence[Message],
    ) -> None:
        text = _Text(whole)
        for row in rows:
            if not text.has(row["content"]):
                raise _lost(row)
        if functions and not self._offers_tools:
            raise TextError(f"The model's own chat template has no place for tools. {OTHERWISE}")
        if any(turn.calls for turn in turns) and not self._writes_calls:
            raise TextError(f"The model's own chat template has no place for calls of tools. {OTHERWISE}")

    @cached_property
    def _offers_tools(self) -> bool:
        """Whether a tool that is offered is written."""
        tool = {"name": "find_rabbit", "description": "Finds one.", "parameters": {"type": "object"}}
        offered = [{"type": "function", "function": tool}]
        return "find_rabbit" in self._render(self._rows(self.turns([QUESTION]), []), offered, asking=True)

    @cached_property
    def _writes_calls(self) -> bool:
        """Whether a call is written, with what it is called with."""
        call = Message("assistant", "", calls=(Call("find_rabbit", '{"where": "burrow"}'),))
        text = self._render(self._rows(self.turns([QUESTION, call]), []), None, asking=False)
        return "find_rabbit" in text and "burrow" in text

    def _cut(self, whole: str, stretches: Sequence[tuple[int, int]]) -> list[Part]:
        """The text as parts: special tokens alone, and what is trained apart from what is not."""
        parts: list[Part] = []
        never = (len(whole), len(whole) + 1)
        edges = iter(stretches)
        begin, end = next(edges, never)
        done = 0

        def add(to: int) -> None:
            """The text up to there, which is no special token."""
            nonlocal done
            for edge in (begin, to):
                if done < edge <= to:
                    parts.append(Part(whole[done:edge], False, begin <= done))
                    done = edge

        for match in self._tokens.finditer(whole):
            add(match.start())
            parts.append(Part(match[0], True, begin <= done))
            done = match.end()
            if done >= end:  # a stretch ends with a special token
                begin, end = next(edges, never)
        add(len(whole))
        return parts

    @cached_property
    def _tokens(self) -> re.Pattern[str]:
        return re.compile(
            "|".join(map(re.escape, sorted((t for t in self.special if t), key=len, reverse=True)))
        )


def own_template(
    tokenizer: PreTrainedTokenizerFast,
    special: tuple[str, ...],
    begin: tuple[str, ...],
    system: str | None,
    reason: str = "",
) -> Own:
    """The tokenizer's own chat template, tried out; TextError if it has none, or one that cannot be trusted."""
    texts = tokenizer.chat_template
    if isinstance(texts, str):
        texts = {"default": texts}
    if not texts or "default" not in texts:
        raise TextError(f"The base's tokenizer has no chat template of its own. {OTHERWISE}")
    names = tuple((name, str(token)) for name, token in tokenizer.special_tokens_map.items())
    text, with_tools = texts["default"], texts.get("tool_use", texts["default"])
    for each in {text, with_tools}:
        _refuse_if_broken(each)
    draft = Own(begin, (), system, special, "", text, with_tools, names)
    return Own(begin, _stops(draft), system, special, reason, text, with_tools, names)


def refuse_doubt(template: Own) -> None:
    """TextError if a conversation of several answers is not written as it grew."""
    try:
        template.write([QUESTION, ANSWER, Message("user", "And then?"), Message("assistant", "Home.")])
    except TextError as error:
        raise TextError(
            "The model's own chat template writes an answer otherwise once the conversation goes on, so the model would "
            f"be asked with another text than it was trained with. {OTHERWISE}"
        ) from error


def _stops(draft: Own) -> tuple[str, ...]:
    """The special tokens that an answer is closed with; TextError if there are none, or no place for answers."""
    turns = draft.turns([QUESTION, ANSWER])
    rows = draft._rows(turns, [])
    asked = draft._render(rows[:-1], None, asking=True)
    not_asked = draft._render(rows[:-1], None, asking=False)
    whole = draft._render(rows, None, asking=False)
    before, said, after = whole[len(asked) :].partition(ANSWER.content)
    if not whole.startswith(asked) or not said:
        raise TextError(f"The model's own chat template does not ask as it writes answers. {OTHERWISE}")
    if asked == not_asked and before.strip():
        raise TextError(
            f"The model's own chat template does not write {before.strip()!r} where it asks for an answer. {OTHERWISE}"
        )
    tokens = draft._tokens
    closing = re.match(rf"\s*((?:{tokens.pattern})+)", after)
    if closing is None:
        ends = f"with {after!r}, which is no special token" if after else "with nothing"
        raise TextError(
            f"The model's own chat template ends answers {ends}, so generation could not stop there. {OTHERWISE}"
        )
    return tuple(tokens.findall(closing[1]))


def _refuse_if_broken(text: str) -> None:
    try:
        _compile_jinja_template(text)
    except TemplateSyntaxError as error:
        raise TextError(f"The model's own chat template is damaged: {error.message} {OTHERWISE}") from None


def _refuse_dates(_: str) -> str:
    raise TextError(
        f"The model's own chat template writes today's date, which would be another one tomorrow. {OTHERWISE}"
    )


def _lost(row: Mapping[str, Any]) -> TextError:
    return TextError(
        f"The model's own chat template leaves out or changes a part of the message {_short(row)}. {OTHERWISE}"
    )


def _short(row: Mapping[str, Any]) -> str:
    return f"“{shorten(row['content'][:200], 40, placeholder='…')}” of the {row['role']}"


class _Text:
    """A text in which words are looked for."""

    def __init__(self, text: str) -> None:
        self.text = text

    def has(self, said: str) -> bool:
        """Whether all letters of it are there; spaces are for the template to set, and tools may answer in JSON."""
        if said in self.text or said.strip() in self.text:
            return True
        escaped = json.dumps(said, ensure_ascii=False)[1:-1]
        return escaped in self.text or any("".join(each.split()) in self._letters for each in (said, escaped))

    @cached_property
    def _letters(self) -> str:
        return "".join(self.text.split())
