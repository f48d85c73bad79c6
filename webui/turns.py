"""A conversation: what was asked, what each side answered, and the forms in which it is kept, downloaded and learned from."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any, get_args

from core.data.files import jsonl
from core.data.rows import Read, Unread
from core.errors import DataError, RunError
from core.talk import Piece, Side
from webui.language import said, t
from webui.render.parts import size

SIDES: tuple[Side, ...] = get_args(Side)
FILE = "file"  # answers that came in a file, which both sides go on from
MOST_KEPT = 50  # turns in a browser's storage
MOST_READ = 4_000_000  # bytes of a conversation's file
MOST_ALONE = 100  # questions answered by themselves; more lines than that are a data set
Message = dict[str, str]


@dataclass(frozen=True)
class Said:
    """An answer as far as it has come; `ended` is None while it grows, "waiting" before its first piece, "file" if nobody here
    gave it, "broken" if an error came between, and else as in a Piece."""

    text: str = ""
    ended: str | None = "waiting"
    tokens: int = 0
    seconds: float = 0.0
    corrected: str = ""  # the data set that its reader's correction was added to

    @property
    def is_over(self) -> bool:
        return self.ended not in (None, "waiting")

    def more(self, piece: Piece) -> "Said":
        return Said(self.text + piece.text, piece.ended, piece.tokens, piece.seconds)


@dataclass(frozen=True)
class Turn:
    """A question, and the answer of each side that was asked. No `seed`: nothing was drawn, or nobody said with which.
    `alone`: whoever answered had heard nothing of what was said before."""

    question: str
    answers: dict[str, Said]
    seed: int | None = None
    alone: bool = False


def history(turns: Sequence[Turn], side: str, system: str) -> list[Message]:
    """The turns as messages for one side, which has only heard its own answers and those of a file."""
    messages = [{"role": "system", "content": system.strip()}] if system.strip() else []
    for turn in turns:
        answer = turn.answers.get(side) or turn.answers.get(FILE)
        if answer and answer.is_over and (answer.text or answer.ended == "turn"):
            messages.append({"role": "user", "content": turn.question})
            messages.append({"role": "assistant", "content": answer.text})
    return messages


def until(turns: Sequence[Turn], at: int) -> list[Turn]:
    """The turns before one; RunError if there is none."""
    if not 0 <= at < len(turns):
        raise RunError(t("The conversation has gone on meanwhile: that question is no longer there."))
    return list(turns[:at])


def corrected(turns: Sequence[Turn], at: int, side: str, words: str, system: str) -> list[Message]:
    """The conversation up to an answer, in other words, for a model to learn from; RunError if there is no such answer."""
    before = until(turns, at)
    if side not in turns[at].answers:
        raise RunError(t("The conversation has gone on meanwhile: that question is no longer there."))
    if not words.strip():
        raise RunError(t("A correction cannot be empty: write what should have been answered."))
    asked = {"role": "user", "content": turns[at].question}
    heard = [] if turns[at].alone else before
    return [*history(heard, side, system), asked, {"role": "assistant", "content": words}]


# Files


def as_line(messages: Sequence[Message]) -> str:
    """A conversation as a row of a data set in the shape `messages`."""
    return json.dumps({"messages": list(messages)}, ensure_ascii=False) + "\n"


def as_lines(turns: Sequence[Turn], side: str, system: str) -> str:
    """The conversation as one side has heard it, as a file: one line, but a line of its own for each question that was
    answered by itself, and for what was said on from there. RunError if there is no answer."""
    heard: list[list[Turn]] = [[]]
    for turn in turns:
        heard = [*heard, [turn]] if turn.alone else [*heard[:-1], [*heard[-1], turn]]
    conversations = [history(each, side, system) for each in heard]
    lines = [as_line(each) for each in conversations if any(message["role"] == "user" for message in each)]
    if not lines:
        raise RunError(t("There is no answer of this side to download yet."))
    return "".join(lines)


def read(path: Path, name: str) -> tuple[str, list[Turn], int]:
    """The system prompt and the turns of the first conversation in a file of JSON lines, and how many there are. A few
    questions that were answered by themselves, as `as_lines` writes them, are one.

    DataError names the line if one of them is no conversation.
    """
    if path.stat().st_size > MOST_READ:
        raise DataError(
            t("{file} is larger than {size}: open a shorter one.", file=name, size=size(MOST_READ))
        )
    with path.open("rb") as file:
        found = [_conversation(each, name) for each in jsonl.rows(file) if each.row is not None]
    if not found:
        raise DataError(t("{file} holds no conversation.", file=name))
    if 1 < len(found) <= MOST_ALONE and all(each[0] == found[0][0] and len(each[1]) == 1 for each in found):
        return found[0][0], [replace(turn, alone=True) for _, (turn,) in found], 1
    return *found[0], len(found)


def _conversation(line: Read, name: str) -> tuple[str, list[Turn]]:
    try:
        if isinstance(line.row, Unread):
            raise DataError(f"{said(line.row.remark.why)} {said(line.row.remark.fix)}")
        return _turns([_message(each) for each in _listed(line.row)])
    except DataError as error:
        raise DataError(t("{file}, line {n}: {why}", file=name, n=line.line, why=error)) from None


def _listed(row: dict[str, Any]) -> list:
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        raise DataError(t("there is no list of messages in it."))
    return messages


def _message(given: Any) -> Message:
    role, content = (given.get("role"), given.get("content")) if isinstance(given, dict) else (None, None)
    # Exactly str: the reader of JSON lines brings numbers as a kind of text.
    if type(role) is not str or type(content) is not str or not is_whole(content):
        raise DataError(t("a message has no role or no text as its content."))
    return {"role": role, "content": content}


def is_whole(text: str) -> bool:
    """Whether it can be written: JSON can hold half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _turns(messages: list[Message]) -> tuple[str, list[Turn]]:
    system = messages.pop(0)["content"] if messages[0]["role"] == "system" else ""
    turns: list[Turn] = []
    for place, message in enumerate(messages):
        expected = ("user", "assistant")[place % 2]
        if message["role"] != expected:
            words = t(
                "a message of {role} stands where one of {expected} should.", **message, expected=expected
            )
            raise DataError(words)
        if expected == "user":
            turns.append(Turn(message["content"], {}))
        else:
            turns[-1] = Turn(turns[-1].question, {FILE: Said(message["content"], FILE)})
    if not turns:
        raise DataError(t("nobody asks anything in it."))
    return system, turns


# In a browser


def kept(run: str | None, turns: Sequence[Turn]) -> dict[str, Any]:
    """A conversation as a browser keeps it over a reload."""
    return {"run": run, "turns": [asdict(turn) for turn in turns[-MOST_KEPT:]]}


def recalled(kept: dict[str, Any], run: str | None) -> list[Turn]:
    """The conversation that a browser kept of this run; none if it is of another one, or none that can be read."""
    try:
        turns = kept["turns"] if run and kept["run"] == run else []
        return [
            Turn(str(turn["question"]), _answers(turn["answers"]), _seed(turn), bool(turn.get("alone")))
            for turn in turns
        ]
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):  # a browser sends what it likes
        return []


def _seed(kept: dict[str, Any]) -> int | None:
    return None if kept.get("seed") is None else int(kept["seed"])


def _answers(kept: dict[str, Any]) -> dict[str, Said]:
    return {side: _said(kept[side]) for side in (*SIDES, FILE) if side in kept}


def _said(kept: dict[str, Any]) -> Said:
    numbers, ended = (int(kept["tokens"]), float(kept["seconds"])), kept["ended"]
    if not (ended is None or isinstance(ended, str)) or not all(map(isfinite, numbers)):
        raise ValueError(kept)
    return Said(str(kept["text"]), ended, *numbers, str(kept.get("corrected", "")))
