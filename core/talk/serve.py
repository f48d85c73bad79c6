"""The process that answers for a run:  atelier serve RUN  or, for whoever joins it,  python -m core talk <run folder>

Started by a Talk, it ends with the last one that has joined. Started by name, it answers programs, too, and ends by Ctrl-C.
The models load in a thread of their own while this one begins to listen.
"""

import asyncio
import os
import re
import secrets
import sys
import threading
from collections.abc import Sequence
from socket import socket
from typing import NoReturn

from core.errors import RunError, UserError
from core.runs.jobs import child_environment
from core.runs.process import born
from core.runs.store import Run
from core.talk import Side, address
from core.talk.address import Address
from core.talk.desk import Desk
from core.talk.users import STARTER, Users

SIDES: tuple[Side, ...] = ("tuned", "base")
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s*@]+")


def serve(run: Run) -> NoReturn:
    """Answer for whoever joins, until nobody is left. Exit status 1 if the models cannot be loaded."""
    process = _Process(run, Users(lasting=False), SIDES)
    threading.Thread(target=process.watch_starter, daemon=True).start()
    process.begin_to_load()

    from core.talk.listener import listener

    process.answer(listener("127.0.0.1", 0))


def serve_by_name(
    run: Run,
    host: str = "127.0.0.1",
    port: int = 8000,
    api_key: str | None = None,
    origins: Sequence[str] = (),
    sides: tuple[Side, ...] = SIDES,
) -> NoReturn:
    """Answer programs, and whoever joins, until it is interrupted: then exit status 0.

    UserError if another process answers for the run, if the address cannot be had, or if others than this machine could
    ask without a key.
    """
    from core.talk.listener import is_loopback, listener

    if not is_loopback(host) and not api_key:
        raise RunError(
            f"Others than this machine can reach {host}: put a key into the environment and name its variable with --api-key-env."
        )
    for origin in origins:
        if not ORIGIN.fullmatch(origin):
            raise RunError(f"{origin!r} is no origin of a page: write it like https://chat.example.org.")
    if not run.final.is_dir():
        raise RunError(f"The run {run.name!r} has no final model yet: it must be trained to its end first.")
    with address.lock(run):
        if there := address.read(run):
            what = (
                f"at {there.url}/v1" if there.named and there.url else "for a page or a chat: unload it there"
            )
            raise RunError(f"The run {run.name!r} is answered for already, by process {there.pid} {what}.")
        listening = listener(host, port)
        address.write(run, Address(os.getpid(), born(os.getpid()), named=True))
    os.environ |= child_environment()  # how threads wait is read when torch is loaded
    process = _Process(run, Users(lasting=True), sides)
    process.begin_to_load()
    process.answer(listening, host, api_key, tuple(origins))


class _Process:
    def __init__(self, run: Run, users: Users, sides: tuple[Side, ...]) -> None:
        self.run = run
        self.users = users
        self.sides = sides
        self.status = 0

    def begin_to_load(self) -> None:
        self.desk = Desk(self.run)

    def answer(
        self,
        listening: socket,
        host: str = "127.0.0.1",
        api_key: str | None = None,
        origins: tuple[str, ...] = (),
    ) -> NoReturn:
        asyncio.run(self._answer(listening, host, api_key, origins))
        self._end()

    async def _answer(
        self, listening: socket, host: str, api_key: str | None, origins: tuple[str, ...]
    ) -> None:
        from starlette.middleware.cors import CORSMiddleware

        from core.talk.app import Office
        from core.talk.door import HERE, Door
        from core.talk.listener import Server, is_loopback, url

        key, lasting = secrets.token_urlsafe(32), self.users.lasting
        office = Office(self.desk, self.users, self.sides, self._end)
        hosts = (*HERE, host) if is_loopback(host) else None
        app = Door(office.app, key, api_key if lasting else key, origins, hosts)
        if origins:  # before the door, since a browser asks first, and without a key
            app = CORSMiddleware(app, origins, allow_methods=["GET", "POST"], allow_headers=["*"])
        server = Server(app, office.close)
        with address.lock(self.run):
            address.write(self.run, Address(os.getpid(), born(os.getpid()), url(listening), key, lasting))
        telling = asyncio.create_task(self._tell_when_loaded(server, url(listening)))
        await server.serve(sockets=[listening])
        telling.cancel()

    async def _tell_when_loaded(self, server, url: str) -> None:
        try:
            await asyncio.wrap_future(self.desk.loaded)
        except UserError as error:
            print(error, file=sys.stderr, flush=True)
            self.status = 1
            # Whoever started this is told by what it has joined, and leaves: that ends it.
            server.should_exit = self.users.lasting
        else:
            if self.users.lasting:
                names = " and ".join(self.sides)
                print(
                    f"{self.run.name} answers at {url}/v1, as the model {names}. Ctrl-C ends it.", flush=True
                )

    def watch_starter(self) -> None:
        """Until it has joined, the one who started this is there for as long as it holds our standard input."""
        for _ in sys.stdin:
            pass
        if self.users.leave(STARTER):
            self._end()

    def _end(self) -> None:
        # In the middle of loading or of a long prompt, nothing softer would give the memory back now.
        address.withdraw(self.run)
        sys.stdout.flush()
        os._exit(self.status)
