"""Who may come in: programs on this machine, or those that have the key; never a page of somebody else's in a browser.

A browser lets any page send requests to this machine. What such a page cannot change is where it says that it is from
(Origin), and the name that it called this machine by (Host), which gives away one that was made to point here.
"""

import hmac
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from core.talk.answers import error_response
from core.talk.requests import RefusedError

HERE = ("127.0.0.1", "localhost", "::1")
OPEN = ("/health",)  # tells nothing but that this is here
FOR_PROGRAMS = "/v1/"


@dataclass(frozen=True)
class Door:
    """ASGI middleware. `key` is this process's own, from serve.json; `api_key` is what programs show instead."""

    app: ASGIApp
    key: str
    api_key: str | None  # None: programs need no key
    origins: tuple[str, ...]  # of pages that may ask
    hosts: (
        tuple[str, ...] | None
    )  # names that this machine may be called by; None for any, where a key is needed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["type"] == "http":
                self._let_in(scope["path"], Headers(scope=scope))
        except RefusedError as error:
            await error_response(error)(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _let_in(self, path: str, headers: Headers) -> None:
        names = headers.getlist("host")
        if self.hosts is not None and (len(names) != 1 or _name(names[0]) not in self.hosts):
            raise RefusedError(
                "This is asked under a name that is not its own: use http://127.0.0.1 and the port.", 403
            )
        for origin in headers.getlist("origin"):
            if origin not in self.origins:
                raise RefusedError(
                    f"A page of {origin[:100]} may not ask here: start with --allow-origin {origin[:100]} if it should.",
                    403,
                )
        if path in OPEN or (path.startswith(FOR_PROGRAMS) and self.api_key is None):
            return
        shown = headers.get("authorization", "").removeprefix("Bearer ").encode("latin-1")
        good = [self.key] + [self.api_key] * (self.api_key is not None and path.startswith(FOR_PROGRAMS))
        if not any([hmac.compare_digest(shown, each.encode()) for each in good]):
            raise RefusedError(
                "The key is wrong or missing: send the one that this was started with.",
                401,
                code="invalid_api_key",
            )


def _name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
