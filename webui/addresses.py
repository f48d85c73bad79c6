"""Addresses of runs: /runs/poems is the Runs page opened on that run, /compare/full/lora compares two.

gradio knows /runs alone. What lies below a page is answered with that page, whose relative links then begin as many steps
higher; so all may be served below any path, by any proxy. The address of a run as it was before, /runs?run=poems, leads
to the one that it has now.
"""

from collections.abc import Collection
from urllib.parse import parse_qsl, quote, urlencode

from starlette._utils import get_route_path
from starlette.datastructures import MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.runs.store import NAME

BASE = b'<base href="./" />'
SIGNS_IN = b'"auth_required":true'  # in what gradio tells the page; no text that is quoted there can hold it
# The page finds by its path which one it is. It is told that this path is one, too, before its modules are run.
KNOWN = b"""<script>(config => {
  const bare = path => path.replace(/^\\/+|\\/+$/g, '');
  const root = bare(new URL(config.root).pathname), here = bare(location.pathname);
  config.page[here.startsWith(root) ? bare(here.slice(root.length)) : ''] ??= config.page[config.current_page];
})(window.gradio_config)</script></head>"""


class Addresses:
    """Middleware: a GET of /<page>/<run> is one of /<page>. Everything but pages passes through untouched."""

    def __init__(self, app: ASGIApp, pages: Collection[str], head: str, entrance: str = "") -> None:
        """`head` is put into that of each page, where browsers see it before gradio has begun; `entrance`, into that of the page
        that stands for all of them until one has signed in."""
        self.app = app
        self.pages = pages
        self.head = head.encode()
        self.entrance = entrance.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_get = scope["type"] == "http" and scope["method"] == "GET"
        route = get_route_path(scope) if is_get else ""
        page, *runs = route.lstrip("/").split("/")
        if not is_get or page not in self.pages or (runs and not page):
            await self.app(scope, receive, send)
        elif page and not any(runs) and (asked := _asked(scope)):
            where = "../" * len(runs) + "/".join([page, *asked[0]]) + (f"?{asked[1]}" if asked[1] else "")
            await RedirectResponse(where)(scope, receive, send)
        else:
            path = scope["path"].removesuffix(route) + f"/{page}"
            above = {**scope, "path": path, "raw_path": path.encode()}
            await self.app(above, receive, _Page(send, len(runs), self.head, self.entrance))


def _asked(scope: Scope) -> tuple[list[str], str] | None:
    """The runs of a query as parts of a path, and what else it says; None if it names none. What can name no run would
    lead out of the page, as `..` does."""
    query = parse_qsl(scope["query_string"].decode("latin-1"))
    runs = [quote(value, safe="") for name, value in query if name == "run" and NAME.fullmatch(value)]
    return (runs, urlencode([each for each in query if each[0] != "run"])) if runs else None


class _Page:
    """Sends an answer on; HTML with its base so many steps higher, and with more in its head."""

    def __init__(self, send: Send, steps: int, head: bytes, entrance: bytes) -> None:
        self.send = send
        self.entrance = entrance
        self.base = b'<base href="%b" />' % (b"../" * steps or b"./") + head
        self.start: Message | None = None  # withheld until the length is known
        self.body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            kind = MutableHeaders(scope=message).get("content-type", "")
            if kind.startswith("text/html"):
                self.start = message
                return
        if self.start is None:
            await self.send(message)
            return
        self.body += message.get("body", b"")
        if message.get("more_body"):
            return
        known = self.entrance + KNOWN if SIGNS_IN in self.body else KNOWN
        body = self.body.replace(BASE, self.base, 1).replace(b"</head>", known, 1)
        MutableHeaders(scope=self.start)["content-length"] = str(len(body))
        await self.send(self.start)
        await self.send({"type": "http.response.body", "body": body})
