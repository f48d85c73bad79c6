"""What a program asks, in the form of OpenAI's chat completions: read, checked, and refused if it cannot be followed.

What would change the answer and is not done here is refused, never passed over; what changes nothing is accepted.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.data.examples import Call, Message
from core.errors import UserError
from core.talk import Side

Body = Mapping[str, Any]
# Nothing of the answer depends on these.
HARMLESS = {
    "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
    "prediction",
}  # fmt: skip
# These may be said as long as they say what is done anyway.
AS_IT_IS: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "parallel_tool_calls": (True,),
    "tool_choice": ("auto", "none"),
    "functions": ([],),
    "function_call": ("none",),
}
READ = {
    "model", "messages", "temperature", "top_p", "max_tokens", "max_completion_tokens", "seed", "stop", "stream",
    "stream_options", "tools",
}  # fmt: skip
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
# Of a message that came from here or from OpenAI and is sent back; none of it is written for the model.
BESIDE = {"role", "content", "tool_calls", "tool_call_id", "name", "refusal", "annotations"}
MOST_STOPS = 4
GREEDY_BELOW = 1e-3  # dividing by less makes numbers that are none
UNASKED = 4096  # tokens of an answer, unless the request says how many or the model sees fewer


class RefusedError(UserError):
    """A request that is not answered, with what HTTP says of it."""

    def __init__(self, sentence: str, status: int = 400, param: str | None = None, code: str | None = None):
        super().__init__(sentence)
        self.status = status
        # Quoted from the request, where a name may hold half of a character, which no answer can.
        self.param = param and param.encode("utf-8", "backslashreplace").decode()
        self.code = code


@dataclass(frozen=True)
class Request:
    """A conversation to go on with. No `max_new_tokens`: UNASKED."""

    messages: tuple[Message, ...]
    side: Side
    temperature: float = 1.0
    top_p: float = 1.0
    max_new_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()  # texts that end the answer, and are not part of it
    tools: tuple[str, ...] = ()  # the functions that are offered, each as JSON text
    stream: bool = False
    include_usage: bool = False


def read(body: Any, sides: tuple[Side, ...]) -> Request:
    """The request that a body of JSON makes; RefusedError names the parameter that is wrong."""
    if not isinstance(body, dict):
        raise RefusedError("The body is no JSON object: send one with `model` and `messages`.")
    asked = {name: value for name, value in body.items() if value is not None}
    for name, value in asked.items():
        if name not in READ | HARMLESS | AS_IT_IS.keys():
            raise RefusedError(f"{name!r} is no parameter that is known here: leave it out.", param=name)
        if name in AS_IT_IS and value not in AS_IT_IS[name]:
            allowed = " or ".join(json.dumps(each) for each in AS_IT_IS[name])
            raise RefusedError(f"{name!r} can only be {allowed} here: leave it out.", param=name)
    options = _typed(asked, "stream_options", dict, "an object", {})
    temperature = _number(asked, "temperature", 0, 2, 1.0)
    return Request(
        messages=_messages(asked.get("messages")),
        side=_side(asked.get("model"), sides),
        temperature=temperature if temperature >= GREEDY_BELOW else 0.0,
        top_p=_number(asked, "top_p", 0, 1, 1.0),
        max_new_tokens=_most(asked),
        seed=_whole(asked, "seed", -(2**63), 2**63 - 1),
        stop=_stops(asked.get("stop", [])),
        tools=_tools(asked) if asked.get("tool_choice") != "none" else (),
        stream=_typed(asked, "stream", bool, "true or false", False),
        include_usage=_typed(options, "include_usage", bool, "true or false", False),
    )


def _side(model: Any, sides: tuple[Side, ...]) -> Side:
    if model not in sides:
        there = " and ".join(repr(side) for side in sides)
        raise RefusedError(
            f"There is no model {_shown(model)} here; there is {there}.",
            param="model",
            code="model_not_found",
        )
    return model


def _most(asked: Body) -> int | None:
    both = [_whole(asked, name, 1, 2**63) for name in ("max_completion_tokens", "max_tokens")]
    return min((each for each in both if each is not None), default=None)


def _stops(given: Any) -> tuple[str, ...]:
    stops = [given] if isinstance(given, str) else given
    if not isinstance(stops, list) or not all(isinstance(stop, str) and stop for stop in stops):
        raise RefusedError("'stop' is neither a text nor a list of texts.", param="stop")
    if len(stops) > MOST_STOPS:
        raise RefusedError(f"'stop' has {len(stops)} texts: give {MOST_STOPS} at most.", param="stop")
    return tuple(_whole_characters(stop, "stop") for stop in stops)


def _tools(asked: Body) -> tuple[str, ...]:
    tools = _typed(asked, "tools", list, "a list of functions", [])
    for tool in tools:
        function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise RefusedError(
                'Every tool must be {"type": "function", "function": {"name": …, "parameters": …}}.',
                param="tools",
            )
    return tuple(_whole_characters(json.dumps(tool, ensure_ascii=False), "tools") for tool in tools)


def _messages(given: Any) -> tuple[Message, ...]:
    if not isinstance(given, list) or not given:
        raise RefusedError("'messages' is empty: send one message at least.", param="messages")
    return tuple(_message(each, f"messages[{place}]") for place, each in enumerate(given))


def _message(given: Any, where: str) -> Message:
    role = given.get("role") if isinstance(given, dict) else None
    if not isinstance(role, str) or role not in ROLES:
        raise RefusedError(f"{where} has no role that is known: {', '.join(ROLES)}.", param=f"{where}.role")
    if strange := [name for name, value in given.items() if name not in BESIDE and value]:
        raise RefusedError(
            f"{where} has {strange[0]!r}, which is not known here.", param=f"{where}.{strange[0]}"
        )
    called = given.get("tool_calls")
    if called is not None and not isinstance(called, list):
        raise RefusedError(f"{where}.tool_calls is no list of calls.", param=f"{where}.tool_calls")
    calls = tuple(_call(each, where) for each in called or ())
    if calls and role != "assistant":
        raise RefusedError(f"{where} calls tools, which only an assistant does.", param=f"{where}.tool_calls")
    return Message(ROLES[role], _content(given.get("content"), bool(calls), f"{where}.content"), calls=calls)


def _content(given: Any, may_be_empty: bool, where: str) -> str:
    """A text, or parts that are all texts."""
    if given is None and may_be_empty:
        return ""
    parts = [{"type": "text", "text": given}] if isinstance(given, str) else given
    if not isinstance(parts, list) or not parts:
        raise RefusedError(f"{where} is no text.", param=where)
    for part in parts:
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise RefusedError(
                f"{where} holds something else than text, which no model here reads.", param=where
            )
    return _whole_characters("".join(part["text"] for part in parts), where)


def _whole_characters(text: str, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RefusedError(f"{where} holds half of a character.", param=where) from None
    return text


def _call(given: Any, where: str) -> Call:
    try:
        name, arguments = given["function"]["name"], given["function"]["arguments"]
    except (TypeError, KeyError):
        name = arguments = None
    if not isinstance(name, str) or not isinstance(arguments, str):
        raise RefusedError(
            f"{where} has a tool call without function, name or arguments.", param=f"{where}.tool_calls"
        )
    place = f"{where}.tool_calls"
    return Call(_whole_characters(name, place), _whole_characters(arguments, place))


def _number(asked: Body, name: str, least: float, most: float, otherwise: float) -> float:
    value = asked.get(name, otherwise)
    # A number that is none is not between the two either.
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise RefusedError(f"{name!r} is {_shown(value)}: give a number from {least} to {most}.", param=name)
    return float(value)


def _whole(asked: Body, name: str, least: int, most: int) -> int | None:
    value = asked.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise RefusedError(f"{name!r} is {_shown(value)}: give a whole number, {least} or more.", param=name)
    return value


def _typed(asked: Body, name: str, kind: type, words: str, otherwise: Any) -> Any:
    value = asked.get(name, otherwise)
    if not isinstance(value, kind):
        raise RefusedError(f"{name!r} is {_shown(value)}: give {words}.", param=name)
    return value


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) < 60 else f"{text[:60]}…"
