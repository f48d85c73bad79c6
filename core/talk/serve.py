"""The answering end of Talk, in a process of its own:  python -m core talk <run folder>"""

import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from core.errors import RunError, UserError
from core.runs.store import Run
from core.talk import Side


@dataclass(frozen=True)
class Request:
    number: int
    messages: Sequence[dict[str, str]]
    side: Side
    temperature: float
    top_p: float
    max_new_tokens: int
    seed: int | None


def serve(run: Run) -> int:
    """Load the run's models and answer until the asking end is gone, which ends the process wherever it is.

    Returns only if the models cannot be loaded: exit status 1.
    """
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints is for the log; it would be read as a reply

    def send(**line: Any) -> None:
        print(json.dumps(line), file=replies)

    line = Line()
    try:
        with in_a_sentence():
            from core.talk.speaker import (
                Speaker,
            )  # loads torch, for seconds in which the line is listened to already

            speaker = Speaker(run)
    except UserError as error:
        send(error=str(error))
        return 1
    send(loaded=asdict(speaker.loaded))
    while True:
        request = line.next_request()
        try:
            with in_a_sentence():
                speaker.answer(request, lambda piece: send(piece=asdict(piece)), line.is_stopped)
        except UserError as error:
            send(error=str(error))


class Line:
    """Reads what the asking end writes, also while an answer is under way, and notices when it is gone."""

    def __init__(self) -> None:
        self._requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._stopped = 0  # the latest answer that was asked to stop
        threading.Thread(target=self._listen, daemon=True).start()

    def next_request(self) -> Request:
        return self._requests.get()

    def is_stopped(self, number: int) -> bool:
        # By number: a stop that comes when its answer has just ended must not hit the next one.
        return self._stopped == number

    def _listen(self) -> None:
        for text in sys.stdin:
            line = json.loads(text)
            if "stop" in line:
                self._stopped = line["stop"]
            else:
                self._requests.put(Request(**line))
        # In the middle of loading or of a long prompt, nothing softer would give the memory back now.
        os._exit(0)


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
        raise RunError(f"{type(error).__name__}: {error}. The traceback is in talk.log.") from error
