"""Where requests wait, and the thread that holds the models and answers them, one after the other."""

import asyncio
import gc
import threading
import traceback
from collections import deque
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

from core.errors import RunError, TextError, UserError
from core.runs.store import Run
from core.talk import ENDING, Loaded, Piece
from core.talk.requests import RefusedError, Request

WAITING = 16  # requests, beside the one that is answered
LATER = 503
ENDS = "The process that answers is being ended."


class Answering:
    """A request on its way, as the event loop sees it: its pieces, until the last one or an error."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.stopped = False
        self._loop = asyncio.get_running_loop()
        self._pieces: asyncio.Queue[Piece | UserError] = asyncio.Queue()

    async def pieces(self) -> AsyncIterator[Piece]:
        """Raises the error that the answer ended with: a RefusedError."""
        while True:
            piece = await self._pieces.get()
            if isinstance(piece, UserError):
                raise piece
            yield piece
            if piece.ended:
                return

    def put(self, piece: Piece | UserError) -> None:
        """From any thread."""
        self._loop.call_soon_threadsafe(self._pieces.put_nowait, piece)


class Desk:
    """Loads the models at once, in a thread that then answers. `loaded` has what they are, or why they cannot be."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.loaded: Future[Loaded] = Future()
        self._ending = False
        self._speaker = self._weights = None
        self._answered: Answering | None = None
        self._waiting: deque[Answering] = deque()
        self._changed = threading.Condition()
        threading.Thread(target=self._work, daemon=True).start()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def is_ready(self) -> bool:
        return self.loaded.done() and self.loaded.exception() is None

    def take(self, request: Request) -> Answering:
        """Let a request wait for its turn; RefusedError if nothing is loaded yet, or too many wait."""
        if not self.is_ready:
            raise RefusedError("The models are still loading: ask again in a moment.", LATER, code="loading")
        with self._changed:
            if self._ending:
                raise RefusedError(ENDS, LATER, code=ENDING)
            if len(self._waiting) >= WAITING:
                raise RefusedError(
                    f"{WAITING} requests wait already, which is as many as may: ask again in a moment.",
                    LATER,
                    code="full",
                )
            answering = Answering(request)
            self._waiting.append(answering)
            self._changed.notify()
        return answering

    def stop(self, answering: Answering) -> None:
        """End an answer after its current token, or before its first if it waits."""
        answering.stopped = True
        with self._changed:
            if answering in self._waiting:
                self._waiting.remove(answering)
                answering.put(Piece("", "stopped", 0, 0.0))

    def end(self) -> None:
        """Take no more, and let those that are on their way know."""
        with self._changed:
            self._ending = True
            on_their_way = [*self._waiting, *filter(None, [self._answered])]
            self._waiting.clear()
        for answering in on_their_way:
            answering.stopped = True
            answering.put(RefusedError(ENDS, LATER, code=ENDING))

    def _work(self) -> None:
        try:
            with in_a_sentence():
                self._load()
        except UserError as error:
            self.loaded.set_exception(error)
            return
        self.loaded.set_result(self._speaker.loaded)
        while True:
            with self._changed:
                self._answered = None
                self._changed.wait_for(lambda: self._waiting)
                self._answered = answering = self._waiting.popleft()
            try:
                with in_a_sentence():
                    if self._speaker is None or weights_of(self.run.final) != self._weights:
                        self._load()
                    self._speaker.answer(answering.request, answering.put, lambda: answering.stopped)  # noqa: B023 (over before the next one)
            except UserError as error:
                answering.put(as_refused(error))

    def _load(self) -> None:
        """The run's models as they lie in its folder now; those of an earlier training are let go of before."""
        gc.disable()  # what is imported stays: looking through it again and again is a fifth of the time that it takes
        from core.talk.speaker import Speaker

        self._speaker = self._weights = None
        gc.collect()
        weights = weights_of(
            self.run.final
        )  # before they are read: what is put there meanwhile is seen later
        self._speaker = Speaker(self.run)
        self._weights = weights
        gc.freeze()
        gc.enable()


def weights_of(final: Path) -> tuple[tuple[str, int, int, int], ...] | None:
    """What tells a final model from one that was put in its place, without reading it; None if there is none."""
    try:
        return tuple(sorted(
            (path.name, (stat := path.stat()).st_ino, stat.st_size, stat.st_mtime_ns) for path in final.iterdir()
        ))  # fmt: skip
    except OSError:
        return None


def as_refused(error: UserError) -> RefusedError:
    """With the status that goes with it: what the conversation is to blame for is 400, what may pass 503."""
    from core.talk.speaker import TooLongError

    if isinstance(error, RefusedError):
        return error
    if isinstance(error, TooLongError):
        return RefusedError(str(error), param="messages", code="context_length_exceeded")
    if isinstance(error, TextError):
        return RefusedError(str(error), param="messages")
    return RefusedError(str(error), 500 if isinstance(error, BrokenError) else LATER)


class BrokenError(RunError):
    """What is nobody's setting."""


@contextmanager
def in_a_sentence() -> Iterator[None]:
    """Any error leaves as a UserError; what is nobody's setting leaves its traceback in the log, too."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        traceback.print_exc()
        if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
            raise RunError("Out of memory: close what else is loaded, or use a smaller model.") from error
        where = "The traceback is in the run's talk.log, or where `atelier serve` was started."
        raise BrokenError(f"{type(error).__name__}: {error}. {where}") from error
