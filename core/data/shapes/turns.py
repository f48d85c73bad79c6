"""Messages as chats write them: sides under many names, content in parts, weights, and calls of tools.

{"role": "user", "content": "Who comes?"}                               {"from": "human", "value": "Who comes?"}
{"role": "assistant", "tool_calls": [{"function": {"name": "look", "arguments": "{}"}}]}
{"from": "function_call", "value": '{"name": "look", "arguments": {}}'}  {"from": "observation", "value": "A fox."}
"""

from contextlib import suppress
from typing import Any

from core.data.examples import Call, Message, Role
from core.data.remarks import RowError, excerpt
from core.data.rows import Number, Row
from core.data.shapes.fields import as_json, from_json, kind, lower_keys, text

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "ai": "assistant",
    "assistent": "assistant",
    "asistente": "assistant",
    "benutzer": "user",
    "nutzer": "user",
    "utilisateur": "user",
    "usuario": "user",
    "function_call": "assistant",
    "tool_call": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "tool_response": "tool",
    "function_response": "tool",
}
CALLING = ("function_call", "tool_call")  # sides whose content is the call, as JSON
REASONING = ("reasoning_content", "reasoning", "thinking", "thoughts")
WEIGHTS = ("weight", "loss_weight", "train")
OPENING = frozenset(
    {"system", "system_prompt", "history", "tools"}
)  # keys that a shape may have besides its own

A_CALL = 'Write {"name": "...", "arguments": {...}}, or delete the line.'
A_LIST = '{{"{}": [{{"role": "user", "content": "..."}}, {{"role": "assistant", "content": "..."}}]}}'
HISTORY = 'Write [["question", "answer"], ...], or leave `history` out.'
TOOLS = 'Write a list of functions, [{"name": "...", "parameters": {...}}], or leave `tools` out.'

Place = tuple[int, str]  # the number of a message, and the key of the list that it stands in


def opening(row: Row, system: str | None = None) -> list[Message]:
    """What comes before the row's own question: a system prompt, under the key of it if there is one, and earlier
    rounds.
    """
    told = []
    for key in (system,) if system else ("system", "system_prompt"):
        if row.get(key) is not None:
            told.append(Message("system", text(row, key)))
            break
    history = row.get("history") or []
    if not isinstance(history, list):
        raise RowError("wrong-type", f"`history` is {kind(history)}, not a list of pairs.", HISTORY)
    for number, turn in enumerate(history, 1):
        if not isinstance(turn, list) or len(turn) != 2 or not all(type(said) is str for said in turn):
            raise RowError("wrong-type", f"Entry {number} of `history` is not a pair of texts.", HISTORY)
        told += Message("user", turn[0]), Message("assistant", turn[1])
    return told


def tools(row: Row) -> tuple[str, ...]:
    """The functions under `tools`, a list or one as JSON text; each as JSON text, written as it was."""
    offered = row.get("tools")
    if offered is None or offered == [] or (type(offered) is str and (not offered or offered.isspace())):
        return ()
    try:
        if isinstance(offered, str):
            offered = from_json(offered)
        if type(offered) is dict:
            offered = [offered]
        if type(offered) is not list:
            raise ValueError(f"{kind(offered)}, not a list")
        return tuple(_tool(each) for each in offered)
    except ValueError as error:
        why = f"`tools` holds no list of functions ({excerpt(str(error), 60)})."
        raise RowError("tools", why, TOOLS) from None


def _tool(offered: Any) -> str:
    if type(offered) is str:
        offered = from_json(offered)
    if type(offered) is not dict:
        raise ValueError(f"{kind(offered)} among them")
    written = as_json(offered)
    written.encode()  # the ValueError of half a character, as when an emoji was cut in two
    return written


def turns(row: Row, key: str) -> list[Message]:
    """The messages in the list under a key. The list may be written as JSON text, as tables have it."""
    listed = row[key]
    if type(listed) is str and listed[:1] == "[":
        with suppress(ValueError):  # it is said below that this is a text
            listed = from_json(listed) or listed
    if type(listed) is not list or not listed:
        found = "an empty list" if listed == [] else kind(listed)
        raise RowError(
            "wrong-type",
            f"`{excerpt(key, 30)}` is {found}, not a list of messages.",
            f"Write {A_LIST.format(excerpt(key, 30))}.",
        )
    told: list[Message] = []
    for number, turn in enumerate(listed, 1):
        _add(told, turn, (number, key))
    return told


def holds_reasoning(listed: Any) -> bool:
    """Whether a message has thoughts under a key of their own."""
    return type(listed) is list and any(
        len(turn) > 2 and any(turn.get(key) for key in REASONING) for turn in listed if type(turn) is dict
    )


def _add(told: list[Message], turn: Any, place: Place) -> None:
    if type(turn) is not dict:
        raise RowError(
            "wrong-type",
            f"{_where(place)} is {kind(turn)}, not an object.",
            'Write {"role": ..., "content": ...}.',
        )
    turn = lower_keys(turn)
    if "human" in turn and "assistant" in turn:
        told.append(Message("user", _content(turn["human"], place)))
        told.append(Message("assistant", _content(turn["assistant"], place)))
        return
    side = turn.get("role", turn.get("from"))
    role = ROLES.get(side) or ROLES.get(side.strip().lower()) if isinstance(side, str) else None
    if role is None:
        said = f"the role “{excerpt(side, 30)}”" if isinstance(side, str) else "no `role` (or `from`)"
        fix = "Write system, user, assistant or tool, or delete the line."
        raise RowError("unknown-role", f"{_where(place)} has {said}.", fix)
    content = turn.get("content", turn.get("value"))
    if role != "assistant":
        if len(turn) > 2 and (turn.get("tool_calls") or turn.get("function_call")):
            raise RowError("tool-call", f"{_where(place)} calls a tool, which only answers can.", A_CALL)
        told.append(Message(role, _content(content, place)))
        return
    if len(turn) == 2 and type(content) is str and side in ("assistant", "gpt"):  # most of them
        told.append(Message("assistant", content))
        return
    calls = _calls(turn, content, side, place)
    if calls and (content is None or side.strip().lower() in CALLING):
        content = ""
    told.append(Message(role, _content(content, place), _trained(turn, place), calls))


def _trained(turn: Row, place: Place) -> bool:
    """Whether an answer is to be learned: by its weight, 0 or 1 or false or true; without one it is."""
    learned = True
    for key in WEIGHTS:
        weight = turn.get(key)
        if weight is None:
            continue
        number = float(weight) if isinstance(weight, Number) else weight
        if type(number) not in (bool, int, float) or number not in (0, 1):
            shown = f"“{excerpt(str(weight), 20)}”" if isinstance(weight, (str, int, float)) else kind(weight)
            raise RowError(
                "weight",
                f"{_where(place)} has {shown} for its `{key}`, but an answer is learned or it is not.",
                "Write 1 or 0, or delete the weight.",
            )
        learned = learned and bool(number)
    return learned


def _calls(turn: Row, content: Any, side: str, place: Place) -> tuple[Call, ...]:
    """The tools that a message calls: beside its content, or as its content."""
    calls = turn.get("tool_calls") or turn.get("function_call")
    if side.strip().lower() in CALLING:
        calls = content
    if not calls:
        return ()
    try:
        if isinstance(calls, str):
            calls = from_json(calls)
        if type(calls) is not list:
            calls = [calls]
        return tuple(_call(each) for each in calls)
    except ValueError as error:
        why = f"{_where(place)} calls a tool in a way that is not understood ({excerpt(str(error), 60)})."
        raise RowError("tool-call", why, A_CALL) from None


def _call(call: Any) -> Call:
    if type(call) is dict and type(call.get("function")) is dict:
        call = call["function"]
    if type(call) is not dict or type(call.get("name")) is not str or not call["name"]:
        raise ValueError("there is no `name`")
    arguments = call.get("arguments")
    if arguments is None or arguments == "":
        return Call(call["name"], "{}")
    if type(arguments) is str:
        if type(from_json(arguments)) is not dict:
            raise ValueError("its `arguments` are no object")
        return Call(call["name"], arguments)
    if type(arguments) is not dict:
        raise ValueError("its `arguments` are no object")
    return Call(call["name"], as_json(arguments))


def _content(content: Any, place: Place) -> str:
    if type(content) is str:
        return content
    if content is None:
        raise RowError(
            "null-field", f"{_where(place)} has no content.", "Write its text, or delete the line."
        )
    if type(content) is list:
        return "".join(_part(part, place) for part in content)
    raise RowError(
        "wrong-type",
        f"{_where(place)} has {kind(content)} for its content.",
        "Write it as text, in quotation marks.",
    )


def _part(part: Any, place: Place) -> str:
    """The text of one content part, {"type": "text", "text": ...}; other kinds of parts are refused."""
    if isinstance(part, dict) and part.get("type") in ("text", "input_text", "output_text"):
        said = part.get("text", part.get("value"))
        if type(said) is str:
            return said
    found = str(part.get("type")) if isinstance(part, dict) else kind(part)
    raise RowError(
        "not-text",
        f"{_where(place)} holds “{excerpt(found, 30)}”; only text is learned.",
        "Delete the line, or that part.",
    )


def _where(place: Place) -> str:
    return f"Message {place[0]} of `{excerpt(place[1], 30)}`"
