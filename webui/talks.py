"""The one pair of models that this server talks to: in a process that it shares with whoever else asks the same run."""

import contextlib
import contextvars
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from core.errors import RunError
from core.runs import Run
from core.talk import Loaded, Piece, Side, Talk
from webui.language import t
from webui.turns import Said, Turn, history

PATIENCE = 600.0  # seconds for a large model to load
LOOK = 0.05  # seconds between two looks whether somebody has pressed Stop
OFTEN, SELDOM = 0.08, 0.5  # seconds: an answer is drawn again no sooner, and told of no later
State = Literal["closed", "loading", "ready"]
News = tuple[Side, Piece]


@dataclass(frozen=True)
class Sampling:
    """How they answer. Both sides draw from the same seed; None draws anew every time. `alone`: as if nothing had been said
    before."""

    temperature: float
    max_new_tokens: int
    system: str
    seed: int | None = None
    alone: bool = False


class Talks:
    """Opening a second run closes the first: two models at once may be more than the memory holds."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._counting = threading.Lock()
        self._talk: Talk | None = None
        self._loaded: Loaded | None = None
        self._stops: dict[str, list[threading.Event]] = {}  # of who is being answered, one for each answer
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
        with self._still_wanted(talk):
            loaded = talk.ready(PATIENCE)
        if talk is self._talk:
            self._loaded = loaded
        return talk

    def begin(self, run: Run) -> Talk:
        return Talk(run)

    def stop(self, asker: str) -> None:
        """End what this page or program is being answered, and nobody else."""
        for stopped in tuple(self._stops.get(asker, ())):
            stopped.set()

    def close(self) -> None:
        with self._changing:
            self._close()

    def _close(self) -> None:
        talk, self._talk, self._loaded, self.run_name = self._talk, None, None, None
        if talk:
            talk.close()

    @contextlib.contextmanager
    def _still_wanted(self, talk: Talk) -> Iterator[None]:
        """That its process has ended is no news to whoever unloaded it."""
        try:
            yield
        except RunError:
            if talk is not self._talk:
                raise RunError(t("The models were unloaded meanwhile.")) from None
            raise

    def converse(
        self,
        run: Run,
        turns: list[Turn],
        question: str,
        sides: tuple[Side, ...],
        sampling: Sampling,
        asker: str,
        several: bool = False,
    ) -> Iterator[list[Turn]]:
        """The conversation with one more turn, as it grows; one side after the other, since they share the weights.

        `asker` is the page or program that `stop` knows; it is answered one question at a time, unless it may ask `several`.
        A RunError comes after the conversation as far as it went.
        """
        if not question.strip():
            raise RunError(t("There is nothing to answer yet: write a question."))
        turn = Turn(
            question.strip(),
            {side: Said() for side in sides},
            sampling.seed if sampling.temperature else None,
            sampling.alone,
        )
        with self._asking(asker, several) as stopped:
            yield [*turns, turn]
            said = heard(lambda: self._pieces(run, turns, turn, sampling), stopped)
            try:
                for news in sparingly(said):
                    for side, piece in news:
                        turn = _grown(turn, side, piece)
                    yield [*turns, turn]
            except RunError:
                yield [*turns, _ended(turn, "broken")]
                raise
        yield [*turns, _ended(turn, "stopped")]

    @contextlib.contextmanager
    def _asking(self, asker: str, several: bool) -> Iterator[threading.Event]:
        stopped = threading.Event()
        with self._counting:
            under_way = self._stops.setdefault(asker, [])
            if under_way and not several:
                raise RunError(
                    t("The last question is still being answered: stop that answer, or wait for it.")
                )
            under_way.append(stopped)
        try:
            yield stopped
        finally:
            stopped.set()  # also where whoever asked has gone
            with self._counting:
                under_way.remove(stopped)
                if not under_way:
                    del self._stops[asker]

    def _pieces(
        self, run: Run, turns: list[Turn], turn: Turn, sampling: Sampling
    ) -> Generator[News, None, None]:
        talk = self.open(run)
        heard = [] if turn.alone else turns
        for side in turn.answers:
            messages = [*history(heard, side, sampling.system), {"role": "user", "content": turn.question}]
            pieces = talk.reply(
                messages,
                side,
                temperature=sampling.temperature,
                max_new_tokens=sampling.max_new_tokens,
                seed=sampling.seed,
            )
            with self._still_wanted(talk), contextlib.closing(pieces):
                for piece in pieces:
                    yield side, piece


def _grown(turn: Turn, side: Side, piece: Piece) -> Turn:
    return replace(turn, answers=turn.answers | {side: turn.answers[side].more(piece)})


def _ended(turn: Turn, how: str) -> Turn:
    """As it is when nothing more comes, and how what was under way ended; whoever's turn had not come is left out."""
    first, *later = turn.answers.items()
    begun = dict([first, *((side, said) for side, said in later if said.ended != "waiting")])
    answers = {side: said if said.is_over else replace(said, ended=how) for side, said in begun.items()}
    return replace(turn, answers=answers)


def heard(
    begin: Callable[[], Generator[News, None, None]], stopped: threading.Event
) -> Iterator[News | None]:
    """What the generator yields, in a thread of its own; None where there is nothing new.

    It ends at once when it is stopped, whatever the generator is waiting for, which is closed when it comes back from there.
    """
    said: queue.SimpleQueue[News | Exception | None] = queue.SimpleQueue()

    def listen() -> None:
        try:
            with contextlib.closing(begin()) as pieces:
                for piece in pieces:
                    said.put(piece)
                    if stopped.is_set():
                        return
            said.put(None)
        except Exception as error:  # raised where it is awaited
            said.put(error)

    # In the same context: who asks is known by it.
    threading.Thread(target=contextvars.copy_context().run, args=(listen,), daemon=True).start()
    while not stopped.is_set():
        try:
            piece = said.get(timeout=LOOK)
        except queue.Empty:
            yield None
            continue
        if isinstance(piece, Exception):
            raise piece
        if piece is None:
            return
        yield piece


def sparingly(said: Iterator[News | None]) -> Iterator[list[News]]:
    """What has come since it was last told of, in time for an eye and not for every token."""
    news: list[News] = []
    told = 0.0
    for piece in said:
        news += [piece] if piece else []
        if time.monotonic() - told > (OFTEN if news else SELDOM) or (piece and piece[1].ended):
            yield news
            news, told = [], time.monotonic()
    if news:
        yield news
