"""The addresses that the process answers at.

For programs, as OpenAI has them: /v1/chat/completions, /v1/models; and /health. For Talk, which has this process's own key:
/join, open for as long as somebody is there; /leave; /pieces, an answer as one JSON object a line; /stop.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request as HTTPRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from core.errors import UserError
from core.talk import Piece, Side
from core.talk.answers import Completion, error_of, error_response
from core.talk.desk import Answering, Desk, as_refused
from core.talk.requests import RefusedError, read
from core.talk.users import Users

MOST_BODY = 4_000_000  # bytes of a request
EVENTS, LINES = "text/event-stream", "application/x-ndjson"


class Office:
    """What the addresses share. `end` ends the process, when the last user has left."""

    def __init__(self, desk: Desk, users: Users, sides: tuple[Side, ...], end: Callable[[], None]) -> None:
        self.desk = desk
        self.users = users
        self.sides = sides
        self.end = end
        self._closing = asyncio.Event()
        self._told: dict[str, Answering] = {}  # to Talks, by the names that they gave
        self.app = Starlette(
            routes=[
                Route("/health", self.health),
                Route("/v1/models", self.models),
                Route("/v1/models/{side}", self.model),
                Route("/v1/chat/completions", self.complete, methods=["POST"]),
                Route("/join", self.join, methods=["POST"]),
                Route("/leave/{user}", self.leave, methods=["POST"]),
                Route("/pieces/{name}", self.tell, methods=["POST"]),
                Route("/stop/{name}", self.stop, methods=["POST"]),
            ],
            exception_handlers={
                RefusedError: lambda _, error: error_response(error),
                HTTPException: lambda _, error: error_response(
                    RefusedError(f"There is nothing to {_.method} at {_.url.path}.", error.status_code)
                ),
                Exception: lambda _, error: error_response(
                    RefusedError(f"{type(error).__name__}; the log has its traceback.", 500)
                ),
            },
        )

    def close(self) -> None:
        """Let everybody know that this ends."""
        self.desk.end()
        self._closing.set()

    async def health(self, _: HTTPRequest) -> Response:
        if not self.desk.is_ready:
            return JSONResponse({"status": "loading"}, 503)
        return JSONResponse({"status": "ok", "waiting": self.desk.waiting})

    async def models(self, _: HTTPRequest) -> Response:
        return JSONResponse({"object": "list", "data": [self._model(side) for side in self.sides]})

    async def model(self, request: HTTPRequest) -> Response:
        side = request.path_params["side"]
        if side not in self.sides:
            raise RefusedError(f"There is no model {side!r} here.", 404, "model", "model_not_found")
        return JSONResponse(self._model(side))

    def _model(self, side: Side) -> dict[str, Any]:
        spec = self.desk.run.folder / "spec.yaml"
        made = int(spec.stat().st_mtime) if spec.exists() else 0
        return {"id": side, "object": "model", "created": made, "owned_by": "atelier"}

    async def complete(self, request: HTTPRequest) -> Response:
        asked = read(await _body(request), self.sides)
        answering = self.desk.take(asked)
        completion, pieces = Completion(asked), answering.pieces()
        leaving = asyncio.create_task(_left(request.receive, lambda: self.desk.stop(answering)))
        try:
            if not asked.stream:
                return JSONResponse(await completion.whole(pieces))
            first = await anext(pieces)  # an error before it has a status of its own
        finally:
            leaving.cancel()
        lines = completion.streamed(_with(first, pieces))
        return Told(lines, EVENTS, lambda: self.desk.stop(answering))

    async def tell(self, request: HTTPRequest) -> Response:
        name = request.path_params["name"]
        answering = self._told[name] = self.desk.take(read(await _body(request), self.sides))

        async def lines() -> AsyncIterator[str]:
            try:
                async for piece in answering.pieces():
                    yield json.dumps(asdict(piece)) + "\n"
            except RefusedError as error:
                yield json.dumps(error_of(error)) + "\n"

        def over() -> None:
            self.desk.stop(answering)
            self._told.pop(name, None)

        return Told(lines(), LINES, over)

    async def stop(self, request: HTTPRequest) -> Response:
        if answering := self._told.get(request.path_params["name"]):
            self.desk.stop(answering)
        return JSONResponse({})

    async def join(self, request: HTTPRequest) -> Response:
        user = self.users.join(started="started" in request.query_params)
        return Told(self._company(user), LINES, lambda: self.users.leave(user) and self.end())

    async def leave(self, request: HTTPRequest) -> Response:
        ends = self.users.leave(request.path_params["user"])
        return JSONResponse({"ends": ends}, background=BackgroundTask(self.end) if ends else None)

    async def _company(self, user: str) -> AsyncIterator[str]:
        """What somebody hears who has joined: that they have, what is loaded, and nothing more until one of us goes."""
        yield json.dumps({"user": user}) + "\n"
        try:
            loaded = await asyncio.wrap_future(self.desk.loaded)
        except UserError as error:
            yield json.dumps(error_of(as_refused(error))) + "\n"
        else:
            yield json.dumps({"loaded": asdict(loaded)}) + "\n"
        await self._closing.wait()


class Told(Response):
    """Lines as they come, to somebody who may leave before the last; `over` is called in either case."""

    def __init__(self, lines: AsyncIterator[str], media_type: str, over: Callable[[], Any]) -> None:
        self.lines = lines
        self.over = over
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self.init_headers({"Cache-Control": "no-cache"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        telling = asyncio.create_task(self._tell(send))
        leaving = asyncio.create_task(_left(receive, telling.cancel))
        try:
            await asyncio.wait({telling})
            if not telling.cancelled():
                telling.result()
        finally:
            telling.cancel()
            leaving.cancel()
            self.over()

    async def _tell(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async for line in self.lines:
            await send({"type": "http.response.body", "body": line.encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive, then: Callable[[], Any]) -> None:
    """Wait until whoever asked has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
    then()


async def _with(first: Piece, pieces: AsyncIterator[Piece]) -> AsyncIterator[Piece]:
    yield first
    if not first.ended:
        async for piece in pieces:
            yield piece


async def _body(request: HTTPRequest) -> Any:
    # A browser sends other kinds than this one anywhere without asking first.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RefusedError("The body must be JSON, and say so: Content-Type: application/json.", 415)
    text = bytearray()
    async for part in request.stream():
        text += part
        if len(text) > MOST_BODY:
            raise RefusedError(f"The body is larger than {MOST_BODY:,} bytes.", 413)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise RefusedError("The body is not JSON.") from None
