"""The one pair of models that this server talks to: in a process that it shares with whoever else asks the same run."""

import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from core.errors import RunError
from core.runs import Run
from core.talk import Loaded, Piece, Side, Talk

PATIENCE = 600.0  # seconds for a large model to load
SIDES: tuple[Side, ...] = get_args(Side)
MOST_KEPT = 50  # turns in a browser's storage
State = Literal["closed", "loading", "ready"]


@dataclass(frozen=True)
class Said:
    """An answer as far as it has come; `ended` is None while it grows, "waiting" before its first piece."""

    text: str = ""
    ended: str | None = "waiting"
    tokens: int = 0
    seconds: float = 0.0

    def more(self, piece: Piece) -> "Said":
        return Said(self.text + piece.text, piece.ended, piece.tokens, piece.seconds)


@dataclass(frozen=True)
class Turn:
    """A question, and the answer of each side that was asked."""

    question: str
    answers: dict[Side, Said]


@dataclass(frozen=True)
class Sampling:
    temperature: float
    max_new_tokens: int
    system: str


class Talks:
    """Opening a second run closes the first: two models at once may be more than the memory holds."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._talk: Talk | None = None
        self._loaded: Loaded | None = None
        self.run_name: str | None = None

    @property
    def state(self) -> State:
        talk = self._talk
        if talk is None or not talk.alive:
            return "closed"
        return "ready" if self._loaded else "loading"

    @property
    def loaded(self) -> Loaded | None:
        return self._loaded if self.state == "ready" else None

    @property
    def served(self) -> str | None:
        """Where programs ask the same process; None if it is only there for people."""
        return self._talk.served if self._talk else None

    def open(self, run: Run) -> Talk:
        """The run's models, loaded; waits for that. RunError if they cannot be."""
        with self._changing:
            if self.state == "closed" or self.run_name != run.name:
                self._close()
                self._talk, self.run_name = self.begin(run), run.name
            talk = self._talk
        loaded = talk.ready(PATIENCE)
        if talk is self._talk:
            self._loaded = loaded
        return talk

    def begin(self, run: Run) -> Talk:
        return Talk(run)

    def stop(self) -> None:
        if self._talk:
            self._talk.stop()

    def close(self) -> None:
        with self._changing:
            self._close()

    def _close(self) -> None:
        talk, self._talk, self._loaded, self.run_name = self._talk, None, None, None
        if talk:
            talk.close()

    def converse(
        self, run: Run, turns: list[Turn], question: str, sides: tuple[Side, ...], sampling: Sampling
    ) -> Iterator[list[Turn]]:
        """The conversation with one more turn, as it grows; one side after the other, since they share the weights."""
        if not question.strip():
            raise RunError("There is nothing to answer yet: write a question.")
        turn = Turn(question.strip(), {side: Said() for side in sides})
        yield [*turns, turn]
        talk = self.open(run)
        for side in sides:
            messages = history(turns, side, sampling.system) + [{"role": "user", "content": turn.question}]
            said = Said()
            pieces = talk.reply(
                messages, side, temperature=sampling.temperature, max_new_tokens=sampling.max_new_tokens
            )
            for piece in pieces:
                said = said.more(piece)
                turn = replace(turn, answers=turn.answers | {side: said})
                yield [*turns, turn]
            if said.ended == "stopped":
                break
        yield [*turns, replace(turn, answers={s: a for s, a in turn.answers.items() if a.ended != "waiting"})]


def history(turns: list[Turn], side: Side, system: str) -> list[dict[str, str]]:
    """The turns as messages for one side, which has only heard its own answers."""
    messages = [{"role": "system", "content": system.strip()}] if system.strip() else []
    for turn in turns:
        if side in turn.answers:
            messages.append({"role": "user", "content": turn.question})
            messages.append({"role": "assistant", "content": turn.answers[side].text})
    return messages


def kept(run: str | None, turns: list[Turn]) -> dict[str, Any]:
    """A conversation as a browser keeps it over a reload."""
    return {"run": run, "turns": [asdict(turn) for turn in turns[-MOST_KEPT:]]}


def recalled(kept: dict[str, Any], run: str | None) -> list[Turn]:
    """The conversation that a browser kept of this run; none if it is of another one, or none that can be read."""
    try:
        turns = kept["turns"] if run and kept["run"] == run else []
        return [Turn(str(turn["question"]), _answers(turn["answers"])) for turn in turns]
    except (AttributeError, KeyError, TypeError, ValueError):  # a browser sends what it likes
        return []


def _answers(kept: dict[str, Any]) -> dict[Side, Said]:
    return {
        side: Said(
            str(kept[side]["text"]),
            kept[side]["ended"],
            int(kept[side]["tokens"]),
            float(kept[side]["seconds"]),
        )
        for side in SIDES
        if side in kept
    }
