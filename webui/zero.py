"""Answers on a GPU that is lent by the minute: a Space on ZeroGPU.

There a GPU exists only within a function that the page's own process declares, in a process that is forked for the call.
So the models are loaded anew for each answer, and an answer that takes longer than the loan is cut off. Everywhere else
`core.talk` keeps them loaded in a process of its own.
"""

import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import get_args

from core.errors import RunError, UserError
from core.runs import Run
from core.talk import Loaded, Piece, Side

LENT = 60  # seconds
IS_ZERO_GPU = os.environ.get("SPACES_ZERO_GPU") == "true"


def lent_a_gpu(function: Callable) -> Callable:
    """The function, which ZeroGPU will lend a GPU; as it is where there is none to lend. A Space on ZeroGPU without any
    such function does not start."""
    if not IS_ZERO_GPU:
        return function
    import spaces  # installed there by the Hub

    return spaces.GPU(duration=LENT)(function)


@lent_a_gpu
def answer(
    folder: str, messages: list[dict[str, str]], side: Side, sampling: dict[str, float | None]
) -> Iterator[Piece]:
    """The answer of one side of the run in that folder, piece by piece. RunError if it cannot be answered."""
    from core.talk.requests import read
    from core.talk.speaker import Speaker

    said: queue.SimpleQueue[Piece | Exception | None] = queue.SimpleQueue()
    asked = {"model": side, "messages": messages} | sampling

    def speak() -> None:
        try:
            Speaker(Run(Path(folder))).answer(read(asked, get_args(Side)), said.put, lambda: False)
        except Exception as error:  # raised where the answer is awaited
            said.put(error)
        said.put(None)

    threading.Thread(target=speak, daemon=True).start()
    while (piece := said.get()) is not None:
        if isinstance(piece, Exception):
            raise RunError(str(piece)) if isinstance(piece, UserError) else piece
        yield piece


class LentTalk:
    """What `core.talk.Talk` is, without a process that holds the models between two answers."""

    served = None

    def __init__(self, run: Run) -> None:
        self.run = run
        self.alive = True
        self._stopped = False

    def ready(self, timeout: float | None = None) -> Loaded:
        return Loaded(self.run.spec.model.base, self.run.name, shared=False, memory_bytes=0)

    def reply(
        self,
        messages: Sequence[dict[str, str]],
        side: Side = "tuned",
        temperature: float = 0.7,
        top_p: float = 0.95,
        max_new_tokens: int = 256,
        seed: int | None = None,
    ) -> Iterator[Piece]:
        self._stopped = False
        sampling = {"temperature": temperature, "top_p": top_p, "max_tokens": max_new_tokens, "seed": seed}
        for piece in answer(str(self.run.folder), list(messages), side, sampling):
            if self._stopped:
                yield Piece(piece.text, "stopped", piece.tokens, piece.seconds)
                return
            yield piece

    def stop(self) -> None:
        self._stopped = True

    def close(self) -> None:
        self.alive = False
