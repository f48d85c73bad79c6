"""Requests, replies, routes and faults: what the hub needs of HTTP."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPMessage
from typing import Any
from urllib.parse import parse_qs, unquote

# How a path names a repo: the API spells the type out, pages and files leave it out for models.
PLACEHOLDERS = {
    "{api}": r"/api/(?P<type>models|datasets|spaces)/(?P<id>[^/]+/[^/]+)",
    "{repo}": r"(?:/(?P<type>datasets|spaces))?/(?P<id>[^/]+/[^/]+)",
    "{path}": r"(?P<path>.+)",
}


@dataclass(frozen=True)
class Request:
    method: str
    path: str  # still percent-encoded: a revision or a path may hold a slash
    query: str
    headers: HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body or b"{}")

    def parameter(self, name: str) -> str | None:
        return self.parameters(name)[-1] if self.parameters(name) else None

    def parameters(self, name: str) -> list[str]:
        return parse_qs(self.query).get(name, [])

    def form(self, name: str) -> list[str]:
        return parse_qs(self.body.decode()).get(name, [])

    @property
    def token(self) -> str | None:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        return token if scheme == "Bearer" and token else None


@dataclass(frozen=True)
class Reply:
    body: Any = None  # bytes are sent as they are, an iterator's as they come, anything else as JSON
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class HubError(Exception):
    """The answer is no. `code` is what the client goes by: RepoNotFound, RevisionNotFound, EntryNotFound."""

    def __init__(self, status: int, message: str, code: str | None = None, **details: Any):
        super().__init__(message)
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self.reply = Reply({"error": message} | details, status, headers)


Endpoint = Callable[..., Reply]


class Routes:
    """A table of endpoints; a pattern's groups become the endpoint's keyword arguments, decoded.

    @routes("GET", "{api}/tree/{revision}")
    def list_tree(hub, request, type, id, revision): ...
    """

    def __init__(self) -> None:
        self.table: list[tuple[str, re.Pattern[str], Endpoint]] = []

    def __call__(self, method: str, pattern: str) -> Callable[[Endpoint], Endpoint]:
        for name, expression in PLACEHOLDERS.items():
            pattern = pattern.replace(name, expression)
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)

        def register(endpoint: Endpoint) -> Endpoint:
            self.table.append((method, re.compile(pattern), endpoint))
            return endpoint

        return register

    def find(self, request: Request) -> tuple[Endpoint, dict[str, str]] | None:
        """HEAD is answered like GET."""
        for method, pattern, endpoint in self.table:
            match = pattern.fullmatch(request.path)
            if match and method == ("GET" if request.method == "HEAD" else request.method):
                return endpoint, {name: unquote(text or "") for name, text in match.groupdict().items()}
        return None


@dataclass
class Fault:
    """What goes wrong with the next requests that match.

    a status code    the request is refused with it, not carried out
    proxy-page       the same with 502, but in HTML, as a proxy on the way would
    drop             the connection is closed before the request is carried out
    drop-after       the request is carried out, the answer is lost
    drop-mid-body    the connection is closed halfway through the request's body; if it is empty, the answer's
    garble           the request is carried out, and one byte of the answer is another
    garble-hash      the same, in the first hash that the answer names
    slow             the request is carried out after `seconds`
    expire           the request's token expires before it is looked at
    """

    method: str  # "*" for any
    path: re.Pattern[str]
    kind: int | str
    times: float = 1
    seconds: float = 0
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "This was asked for by a test."

    KINDS = (
        "proxy-page",
        "drop",
        "drop-after",
        "drop-mid-body",
        "garble",
        "garble-hash",
        "slow",
        "expire",
    )

    def __post_init__(self) -> None:
        if not isinstance(self.kind, int) and self.kind not in self.KINDS:
            raise ValueError(
                f"There is no fault '{self.kind}'; there are status codes and {', '.join(self.KINDS)}."
            )

    def strikes(self, method: str, path: str) -> bool:
        """Counts down when it does."""
        if self.times < 1 or self.method not in ("*", method) or not self.path.search(path):
            return False
        self.times -= 1
        return True


ALWAYS = math.inf


@dataclass(frozen=True)
class Logged:
    """One request as it ended; status 0 when the connection was closed instead of answered."""

    method: str
    path: str
    user: str | None
    status: int
