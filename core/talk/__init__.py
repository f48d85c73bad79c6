"""Base and tuned model, answering in a process of their own. This is the asking end, and needs no torch.

One process answers for a run, whoever asks: a page, `atelier chat`, programs by `atelier serve`. A Talk joins the one that
lives, or starts one that ends when nobody is left who joined it; ending the process is what gives the memory back. To have
joined is to hold a connection open, so that whoever is killed has left, too. See core.talk.serve for the other end.
"""

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import threading
import time
import uuid
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from core.errors import RunError
from core.runs.jobs import child_environment
from core.runs.process import born, lives
from core.runs.store import Run
from core.talk import address
from core.talk.address import Address

Side = Literal["base", "tuned"]
PATIENCE = 5.0  # seconds that a process is given to answer that it was left, and to end
LOOK = 0.02  # seconds between two looks for what another process is about to do
ENDING = "ending"  # code of the error with which a process that ends lets nobody join any more


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
    ended: Literal["turn", "length", "context", "stopped"] | None  # "context": the model sees no more at once
    tokens: int  # so far; the token that ends a turn is not counted
    seconds: float  # since the model began to read the conversation
    prompt_tokens: int = 0  # the conversation, as the model read it


class Talk:
    """Joins or starts the process and returns at once; the models load meanwhile. Close it to leave."""

    def __init__(self, run: Run) -> None:
        self._line = _Line(run)
        self._turn = threading.Lock()  # held for the length of an answer
        self._answer = ""  # the one under way, or the latest
        self._stop = ""  # the one that was asked to stop
        # A Talk that nobody holds any more has left: neither the thread that listens nor this may hold it.
        weakref.finalize(self, self._line.let_go)

    @property
    def pid(self) -> int:
        """Of the process that answers."""
        return self._line.address.pid

    @property
    def alive(self) -> bool:
        """Whether the process is there and still the one that answers for the run."""
        there = address.read(self._line.run)
        return there is not None and there.pid == self.pid

    @property
    def served(self) -> str | None:
        """Where programs can ask the same process; None if it is only there for who joined it."""
        there = self._line.address
        return f"{there.url}/v1" if there.named and there.url else None

    def ready(self, timeout: float | None = None) -> Loaded:
        """Wait until the models can answer. RunError if they cannot be loaded, or not within `timeout` seconds."""
        try:
            return self._line.loaded.result(timeout)
        except TimeoutError:
            raise RunError(
                f"The models are still loading after {timeout:.0f} seconds; see {self._line.log}."
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
        asked = {"model": side, "messages": list(messages), "temperature": temperature, "top_p": top_p}
        asked |= {"max_tokens": max_new_tokens, "seed": seed}
        with self._turn:
            answer = self._answer = uuid.uuid4().hex
            with self._line.ask(f"/pieces/{answer}", asked) as lines:
                if self._stop == answer:  # said before the process had heard of the answer
                    self._line.tell(f"/stop/{answer}")
                for line in lines:
                    if "error" in line:
                        raise RunError(line["error"]["message"])
                    yield Piece(**line)
                    if line["ended"]:
                        return
        raise RunError(self._line.gone())

    def stop(self) -> None:
        """End the answer under way after its current token; any thread may ask. Nothing happens if there is none."""
        self._stop = self._answer
        if self._answer:
            self._line.tell(f"/stop/{self._answer}")

    def close(self) -> None:
        """Leave, which ends the process and gives its memory back if nobody else has joined it; an answer under way
        ends with a RunError."""
        self._line.leave()


class _Line:
    """The way to the process: joined for as long as a connection is open, which the thread that listens to it keeps."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.log = run.folder / "talk.log"
        self.loaded: Future[Loaded] = Future()
        self._user = ""  # the name that the process knows this end by, once it has joined
        self._left = False
        self._connections: set[http.client.HTTPConnection] = set()
        self._started: subprocess.Popen | None = None
        self._meet()
        threading.Thread(target=self._stay, daemon=True).start()

    def _meet(self) -> None:
        """Find the process that answers for the run, or start it."""
        with address.lock(self.run):
            self.address = address.read(self.run) or self._start()

    def _start(self) -> Address:
        with self.log.open("ab") as log:  # a file, never a pipe: nobody may be there to empty it
            self._started = subprocess.Popen(
                [sys.executable, "-m", "core", "talk", str(self.run.folder.resolve())],
                stdin=subprocess.PIPE,  # its end tells the process that this one ended before it could join
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C in the terminal is this process's to handle
                env=child_environment(run=self.run),
            )
        starting = Address(self._started.pid, born(self._started.pid))
        address.write(self.run, starting)
        return starting

    def _stay(self) -> None:
        """Join, hear when the models are loaded, and stay."""
        try:
            while not self._left and not self._listen():
                self._meet()  # it was about to end when we came
        finally:
            if self._left:
                self.let_go()  # of a process, too, that was started while we left
            if not self.loaded.done():
                self.loaded.set_exception(RunError(self.gone()))

    def _listen(self) -> bool:
        """False if the process ended before it let us join, and another one may; True if there is nothing to join."""
        while not self.address.url and not self._left:
            there = address.read(self.run)
            if there is None:
                return self._started is not None
            self.address = there
            time.sleep(0 if there.url else LOOK)
        ending = False
        with self.ask("/join" if self._started is None else "/join?started", None) as lines:
            for line in lines:
                if "user" in line:
                    self._user = line["user"]
                elif "loaded" in line:
                    self.loaded.set_result(Loaded(**line["loaded"]))
                elif line["error"].get("code") == ENDING:  # its last user has just left
                    ending = True
                else:
                    self.loaded.set_exception(RunError(line["error"]["message"]))
                    return True
        time.sleep(LOOK)
        return not ending and (bool(self._user) or self._started is not None)

    @contextlib.contextmanager
    def ask(self, path: str, body: dict[str, Any] | None) -> Iterator[Iterator[dict[str, Any]]]:
        """Send a request: the lines of its answer, as they come. They end where the connection does, in whichever way;
        who leaves early closes it."""
        connection = self._connection()
        self._connections.add(connection)
        try:
            response = None
            with contextlib.suppress(OSError, http.client.HTTPException):
                response = self._send(connection, path, body)
            # Looked at after the connection was made: from then on `let_go` finds it.
            yield iter(()) if response is None or self._left else _lines(response)
        finally:
            self._connections.discard(connection)
            connection.close()

    def _send(
        self, connection: http.client.HTTPConnection, path: str, body: dict[str, Any] | None
    ) -> http.client.HTTPResponse:
        headers = {"Authorization": f"Bearer {self.address.key}", "Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(body), headers)
        return connection.getresponse()

    def _connection(self, timeout: float | None = None) -> http.client.HTTPConnection:
        where = urlsplit(self.address.url)
        return http.client.HTTPConnection(where.hostname or "", where.port, timeout=timeout)

    def tell(self, path: str) -> dict[str, Any]:
        """Say something that is answered at once; empty if it was not."""
        connection = self._connection(PATIENCE)
        try:
            return json.loads(self._send(connection, path, None).read())
        except (OSError, http.client.HTTPException, ValueError):
            return {}
        finally:
            connection.close()

    def let_go(self) -> None:
        """Leave without a word: the process notices that the connection is gone."""
        self._left = True
        if self._started:
            with contextlib.suppress(OSError):
                self._started.stdin.close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError, AttributeError):  # AttributeError: it is not connected yet
                connection.sock.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads, which closes it

    def leave(self) -> None:
        """Leave, and wait for the end of the process if it ends for that."""
        if self._left:
            return
        ends = self.tell(f"/leave/{self._user}").get("ends") if self._user else self._started is not None
        self.let_go()
        until = time.monotonic() + PATIENCE
        while ends and lives(self.address.pid, self.address.born) and time.monotonic() < until:
            time.sleep(LOOK)
        if self._started:
            self._started.poll()  # or it would stay as a zombie

    def gone(self) -> str:
        return (
            "The process that answers has ended: it was closed, killed, or out of memory. "
            f"See {self.log}, and load it again."
        )


def _lines(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    try:
        for line in response:
            yield json.loads(line)
    except (OSError, http.client.HTTPException, ValueError):  # in the middle of a line
        return
