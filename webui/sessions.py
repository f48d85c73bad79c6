"""Who has signed in to a Space, kept in this process's memory alone.

gradio keeps a visitor's token in the browser, in a cookie that is signed but can be read. Here the browser holds a
random name that means nothing anywhere else; what it stands for is forgotten when the visitor signs out, when the
token expires, or when the Space restarts.
"""

import secrets
import time
from collections import OrderedDict
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webui.language import sentence_for

# The prefix makes the browser refuse it from anybody but this very host. In an iframe on another site it is a cookie of
# that site's visitors alone ("Partitioned"), so no page can act here in the name of somebody who signed in elsewhere.
COOKIE = "__Host-atelier"
ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=None; Partitioned"
MOST = 10_000  # sessions; whoever only began to sign in goes first
TO_SIGN_IN = 15 * 60  # seconds for it
REMEMBERED = 24 * 3600  # seconds for which an expired sign-in is told from none
DAY = 24 * 3600
SIGNED_IN = "oauth_info"  # gradio's name for what the identity provider answered
WAS = "was"  # the name of an account whose token has expired

Session = dict[str, Any]


class Sessions:
    """Middleware: each request finds its visitor's session in the scope, where gradio looks for it.

    What comes from a page of another site finds none: gradio answers such requests too, with the cookie.
    """

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...] = (), most_uploaded: int = 0) -> None:
        """`hosts` are names of this server beside the one that a request names; `most_uploaded`, bytes in a day."""
        self.app = app
        self.hosts = hosts
        self.most_uploaded = most_uploaded
        self.kept: OrderedDict[str, Session] = OrderedDict()  # by the cookie's value
        self.uploads: dict[str, list[tuple[float, int]]] = {}  # by account: when, and how many bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        trusted = not self.from_elsewhere(scope, headers)
        key = HTTPConnection(scope).cookies.get(COOKIE) if trusted else None
        known, session = key in self.kept, self.find(key)
        before = session.get(SIGNED_IN)
        if refusal := self.refused(scope, headers, session):
            status, sentence = refusal
            await PlainTextResponse(sentence, status)(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and trusted:
                if scope["path"] == "/logout":
                    session.clear()
                for line in self.keep(key, session, before, known):
                    MutableHeaders(scope=message).append("Set-Cookie", line)
            await send(message)

        # A scope of its own: gradio's middleware around this one would write the other's session into its cookie.
        await self.app({**scope, "session": session}, receive, answer)

    def from_elsewhere(self, scope: Scope, headers: Headers) -> bool:
        """Whether a page of another site asks, other than by leading a person here."""
        site = headers.get("sec-fetch-site")
        if site is not None:
            led = headers.get("sec-fetch-mode") == "navigate" and scope["method"] == "GET"
            return site not in ("same-origin", "none") and not led
        origin = headers.get("origin")  # browsers before 2023; programs send neither
        return origin is not None and urlsplit(origin).netloc not in (headers.get("host"), *self.hosts)

    def find(self, key: str | None) -> Session:
        """The session of that name; a new one if there is none any more."""
        session = self.kept.get(key or "")
        if session is None or session["until"] < time.time():
            return {}
        forget_expired(session)
        return session

    def keep(self, key: str | None, session: Session, before: object, was_known: bool) -> list[str]:
        """Remember the session as it is after a request; the cookies to set.

        `before` is what had signed in when the request came, `was_known` whether its name meant anything then.
        """
        known = key in self.kept
        if was_known and not known:
            return []  # another request gave the session a new name meanwhile, or ended it
        if set(session) <= {"until"}:
            self.kept.pop(key or "", None)
            return [f"{COOKIE}=; Max-Age=0; {ATTRIBUTES}"] if key else []
        signed_in = session.get(SIGNED_IN)
        if known and signed_in in (None, before):
            return []
        # Signed in: under a new name, so that one that somebody else knew or planted is worth nothing.
        self.kept.pop(key or "", None)
        session.pop(WAS, None)
        new = secrets.token_urlsafe(32)
        session["until"] = signed_in["expires_at"] + REMEMBERED if signed_in else time.time() + TO_SIGN_IN
        self.kept[new] = session
        self._make_room()
        return [f"{COOKIE}={new}; {ATTRIBUTES}"]

    def _make_room(self) -> None:
        now = time.time()
        for key in [key for key, each in self.kept.items() if each["until"] < now]:
            del self.kept[key]
        while len(self.kept) > MOST:
            self.kept.pop(
                next((k for k, each in self.kept.items() if not account(each)), next(iter(self.kept)))
            )

    def refused(self, scope: Scope, headers: Headers, session: Session) -> tuple[int, str] | None:
        """Status and sentence for what gradio would let everybody do."""
        path = scope["path"].rstrip("/")
        if path.endswith(
            "/deep_link"
        ):  # it would write what a page holds into a file that everybody may read
            return 404, "There are no deep links here."
        if scope["method"] != "POST" or not path.endswith("/upload"):
            return None
        who, length = account(session), headers.get("content-length", "")
        reads = headers.get("accept-language", "")
        if who is None:
            return 401, sentence_for(
                "Sign in with your Hugging Face account first, then drop the file again.", reads
            )
        if not length.isdigit():
            return 411, sentence_for("The size of the upload is not said.", reads)
        now = time.time()
        recent = [each for each in self.uploads.get(who, []) if each[0] > now - DAY]
        if sum(size for _, size in recent) + int(length) > self.most_uploaded:
            return 413, sentence_for(
                "{who} has uploaded as much as this Space takes from one visitor in a day; come back tomorrow.",
                reads,
                who=who,
            )
        self.uploads[who] = [*recent, (now, int(length))]
        return None


def account(session: MutableMapping[str, Any]) -> str | None:
    """The name of the account that is signed in; None if none is, or its token has expired."""
    found = session.get(SIGNED_IN)
    if not found or (found.get("expires_at") or 0) < time.time():
        return None
    return found["userinfo"]["preferred_username"]


def forget_expired(session: Session) -> None:
    """Keep no token that is worth nothing any more; only whose it was."""
    found = session.get(SIGNED_IN)
    if found and account(session) is None:
        session[WAS] = found["userinfo"]["preferred_username"]
        del session[SIGNED_IN]
