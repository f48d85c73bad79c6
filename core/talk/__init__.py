"""Base and tuned model, answering in a process of their own. This is the asking end, and needs no torch.

One JSON object per line each way. Down: a request with its number, or {"stop": number}. Up: {"loaded": ...} once, then
{"piece": ...} until one of them has `ended`; {"error": sentence} in place of either. Ending the process is what gives
the memory back, and it ends by itself when nobody holds the other end of its standard input.
"""

import contextlib
import json
import queue
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from core.errors import RunError
from core.runs.jobs import child_environment
from core.runs.store import Run

Side = Literal["base", "tuned"]


@dataclass(frozen=True)
class Loaded:
    """What is ready to answer."""

    base: str
    tuned: str
    shared: bool  # both are one copy of the weights, with the adapter on or off
    memory_bytes: int  # on the GPU, or resident in the process


@dataclass(frozen=True)
class Piece:
    """The next part of an answer; the pieces' texts together are the answer. Only the last one has `ended`."""

    text: str
    ended: Literal["turn", "length", "stopped"] | None
    tokens: int  # so far; the token that ends a turn is not counted
    seconds: float  # since the model began to read the conversation


class Talk:
    """Starts the process and returns at once; the models load meanwhile. Close it, or end this process, to end it."""

    def __init__(self, run: Run) -> None:
        self._log = run.folder / "talk.log"
        with self._log.open("ab") as log:  # a file, never a pipe: nobody may be there to empty it
            self.process = subprocess.Popen(
                [sys.executable, "-m", "core", "talk", str(run.folder.resolve())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # a Ctrl-C in the terminal is this process's to handle
                env=child_environment(),
            )
        self._loaded: Future[Loaded] = Future()
        self._lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._turn = threading.Lock()  # held for the length of an answer
        self._writing = threading.Lock()
        self._number = 0  # of the answer under way, or of the latest
        # A Talk that nobody holds any more goes, and its process with it: neither the listener nor this may hold it.
        weakref.finalize(self, self.process.stdin.close)
        listener = threading.Thread(
            target=_listen, args=(self.process.stdout, self._loaded, self._lines, self._log), daemon=True
        )
        listener.start()

    def ready(self, timeout: float | None = None) -> Loaded:
        """Wait until the models can answer. RunError if they cannot be loaded, or not within `timeout` seconds."""
        try:
            return self._loaded.result(timeout)
        except TimeoutError:
            raise RunError(
                f"The models are still loading after {timeout:.0f} seconds; see {self._log}."
            ) from None

    def reply(
        self,
        messages: Sequence[dict[str, str]],
        side: Side = "tuned",
        temperature: float = 0.7,
        top_p: float = 0.95,
        max_new_tokens: int = 256,
        seed: int | None = None,
    ) -> Iterator[Piece]:
        """The answer, piece by piece; it waits for its turn if another one is under way.

        Temperature 0 always takes the likeliest token; the same seed gives the same answer. An iterator that is given
        up before its end stops the answer. RunError if the conversation cannot be answered, or the process has ended.
        """
        self.ready()
        with self._turn:
            self._number += 1
            request = {
                "number": self._number,
                "messages": list(messages),
                "side": side,
                "temperature": temperature,
            }
            self._send(request | {"top_p": top_p, "max_new_tokens": max_new_tokens, "seed": seed})
            over = False
            try:
                while not over:
                    line = self._next()
                    over = "error" in line or line["piece"]["ended"] is not None
                    if "error" in line:
                        raise RunError(line["error"])
                    yield Piece(**line["piece"])
            finally:
                if not over:
                    with contextlib.suppress(
                        RunError
                    ):  # the process is gone, and whoever listened knows or left
                        self._abandon()

    def stop(self) -> None:
        """End the answer under way after its current token; any thread may ask. Nothing happens if there is none."""
        with contextlib.suppress(RunError):
            self._send({"stop": self._number})

    def close(self) -> None:
        """End the process, which gives its memory back; an answer under way ends with a RunError."""
        with self._writing, contextlib.suppress(BrokenPipeError):  # it ended with a request unread
            self.process.stdin.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _abandon(self) -> None:
        """Stop the answer and read what is left of it, so that the next one begins with its own first piece."""
        self.stop()
        line = self._next()
        while "piece" in line and line["piece"]["ended"] is None:
            line = self._next()

    def _send(self, line: dict[str, Any]) -> None:
        try:
            with self._writing:
                print(json.dumps(line), file=self.process.stdin, flush=True)
        except (OSError, ValueError):  # a broken pipe; a closed one
            raise RunError(_gone(self._log)) from None

    def _next(self) -> dict[str, Any]:
        line = self._lines.get()
        if line is None:
            self._lines.put(None)  # for whoever asks next
            raise RunError(_gone(self._log))
        return line


def _listen(replies: IO[str], loaded: Future[Loaded], lines: queue.SimpleQueue, log: Path) -> None:
    with replies:
        for text in replies:
            if not text.startswith("{"):
                continue  # printed while the process started, when its standard output was everybody's
            line = json.loads(text)
            if loaded.done():
                lines.put(line)
            elif "loaded" in line:
                loaded.set_result(Loaded(**line["loaded"]))
            else:
                loaded.set_exception(RunError(line["error"]))
    if not loaded.done():
        loaded.set_exception(RunError(_gone(log)))
    lines.put(None)


def _gone(log: Path) -> str:
    return f"The process that answers has ended: it was closed, killed, or out of memory. See {log}, and load it again."
