"""The hub itself: routes, rights, faults and the log, behind one loopback socket."""

import hashlib
import re
import secrets
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from tests.hub import account, discussions, git, jobs, lfs, oauth, repos
from tests.hub.store import Repo, Token, User
from tests.hub.wire import Fault, HubError, Logged, Reply, Request

ENDPOINTS = (account, oauth, repos, git, lfs, discussions, jobs)


class Hub:
    """A context manager; everything in it is forgotten at the end.

    ada writes in her own name and in the organization `guild`, and reads in `library`; bob is somebody else.
    """

    def __init__(self, *, port: int = 0, home: Path | None = None) -> None:
        self.lock = threading.RLock()  # one request at a time is carried out
        self.secret = secrets.token_hex()
        self.rubbish = tempfile.TemporaryDirectory(prefix="hub-home-")
        self.home = home or Path(self.rubbish.name)  # of the client: its cache, its token file
        self.server = _Server(("127.0.0.1", port), _Handler)
        self.server.hub = self
        self.stopping = threading.Event()  # ends the waiting of slow requests
        self.begin()

    def begin(self) -> None:
        """As if nothing had ever been asked of it; called again between tests that share a hub."""
        self.stopping.set()
        self.stopping = threading.Event()
        self.faults: list[Fault] = []
        self.log: list[Logged] = []

        self.users = {"ada": User("ada", {"guild": "write", "library": "read"}), "bob": User("bob")}
        self.tokens: dict[str, Token] = {}
        self.writer = self.add_token("ada")
        self.reader = self.add_token("ada", role="read")
        self.other = self.add_token("bob")
        self.expired = self.add_token("ada", expired=True)

        self.spaces: dict[str, oauth.Space] = {}  # those that people can sign in to, by client id
        self.repos: dict[tuple[str, str], Repo] = {}  # (type, id) -> repo
        self.page_size = 1000  # entries in one page of a listing
        self.part_size = 5 * 2**20  # larger uploads are sent in parts of this size
        self.parts: dict[tuple[str, int], bytes] = {}  # (sha256, part number) -> what has arrived so far

        for job in getattr(self, "jobs", {}).values():
            job.end("CANCELED")
        self.jobs: dict[str, jobs.Job] = {}
        self.credit = 10.0  # US dollars that jobs may cost
        self.job_command: list[str] | None = None  # what jobs run instead of their own command
        self.job_seconds: float | None = None  # after which jobs are ended, whatever they asked for

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def storage_url(self) -> str:
        """Where large files are: another host by name, so that clients must not send their token there."""
        return f"http://localhost:{self.server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.stopping.set()
        for job in self.jobs.values():
            job.end("CANCELED")
        self.server.shutdown()
        self.server.server_close()
        self.rubbish.cleanup()

    # For tests

    def environment(self, token: str | None = None) -> dict[str, str]:
        """What a child process needs to take this hub for the Hub; without a token it has none at all."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(self.home),
            "HF_TOKEN": token or "",
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "127.0.0.1,localhost",
        }

    def add_token(self, user: str, *, role: str = "write", expired: bool = False, **scopes: list[str]) -> str:
        token = f"hf_{user}_{role}_{secrets.token_hex(8)}"
        self.tokens[token] = Token(self.users[user], role, scopes, expired)
        return token

    def register(self, id: str, url: str, **settings: Any) -> oauth.Space:
        """A Space at that address, whose visitors can sign in here."""
        space = oauth.Space(id, url, **settings)
        self.spaces[space.client_id] = space
        return space

    def add_repo(self, id: str, *, type: str = "models", private: bool = True) -> Repo:
        repo = self.repos[type, id] = Repo(type, id, private, author=id.split("/")[0])
        return repo

    def fault(
        self,
        method: str,
        path: str,
        kind: int | str,
        *,
        times: float = 1,
        seconds: float = 0,
        retry_after: int | None = None,
        message: str = Fault.message,
    ) -> None:
        """`path` is searched for as a regular expression; faults strike in the order they were asked for."""
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        self.faults.append(Fault(method, re.compile(path), kind, times, seconds, headers, message))

    def requests(self, method: str, path: str) -> int:
        """How many there were, answered or not."""
        return sum(entry.method == method and bool(re.search(path, entry.path)) for entry in self.log)

    # For endpoints

    def token(self, request: Request) -> Token | None:
        """None for an anonymous request."""
        if request.token is None:
            return None
        token = self.tokens.get(request.token)
        if token is None or token.expired:
            raise HubError(401, "Invalid credentials in Authorization header")
        return token

    def require(self, request: Request) -> Token:
        token = self.token(request)
        if token is None:
            raise HubError(401, "Invalid username or password.")
        return token

    def readable(self, request: Request, type: str, id: str) -> Repo:
        """The repo, if the request may see it; else it does not exist."""
        token = self.token(request)
        repo = self.repos.get((type or "models", id))
        if repo and (not repo.private or (token and token.user.reads_in(repo.namespace))):
            return repo
        # The client reads a bare 401 as a missing repo on https addresses only, hence the code.
        raise HubError(404 if token else 401, "Repository not found", "RepoNotFound")

    def writable(self, request: Request, type: str, id: str, branch: str = "main") -> Repo:
        """The repo, if the request may commit to that branch; a pull request's author may commit to it."""
        repo = self.readable(request, type, id)
        token = self.require(request)
        if token.writes(id) and token.user.contributes_to(repo):
            return repo
        if token.role == "write" and any(
            d.branch == branch and d.author == token.user.name for d in repo.discussions
        ):
            return repo
        raise HubError(403, "Forbidden: you must use a write token to upload to a repository.")

    def sign(self, path: str) -> str:
        """An address that works without a token, as storage gives out."""
        signature = hashlib.sha256((self.secret + path).encode()).hexdigest()
        return f"{self.storage_url}{path}?signature={signature}"

    def check_signature(self, request: Request) -> None:
        if f"{self.storage_url}{request.path}?{request.query}" != self.sign(request.path):
            raise HubError(403, "SignatureDoesNotMatch")

    def next_fault(self, method: str, path: str) -> Fault | None:
        with self.lock:
            return next((fault for fault in self.faults if fault.strikes(method, path)), None)

    def answer(self, request: Request) -> Reply:
        for endpoints in ENDPOINTS:
            if found := endpoints.routes.find(request):
                endpoint, arguments = found
                try:
                    with self.lock:
                        return endpoint(self, request, **arguments)
                except HubError as error:
                    return error.reply
        return Reply({"error": f"The hub of these tests does not know {request.method} {request.path}."}, 404)


def garbled(reply: Reply, kind: int | str) -> Reply:
    if kind not in ("garble", "garble-hash"):
        return reply
    body = reply.encoded()
    match kind:
        case "garble":
            return Reply(body[:-1] + bytes([body[-1] ^ 1]), reply.status, reply.headers)
        case "garble-hash":
            found = re.search(rb'"lfs": {"oid": "', body)
            at = found.end() if found else len(body)
            return Reply(
                body[:at] + (b"1" if body[at : at + 1] == b"0" else b"0") + body[at + 1 :],
                reply.status,
                reply.headers,
            )
    return reply


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hub: Hub

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no error of ours; anything else is a bug and is printed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else answers on a kept connection wait 40 ms for an acknowledgement
    wbufsize = 2**16
    server: _Server

    def handle_request(self) -> None:
        hub = self.server.hub
        self.log = hub.log  # of this test, even if the answer comes in the next
        fault = hub.next_fault(self.command, self.path.partition("?")[0])
        cut = fault is not None and fault.kind == "drop-mid-body"
        request = self.read_request(cut=cut)
        reply = self.carry_out(request, fault) if request else None
        if reply and fault:
            reply = garbled(reply, fault.kind)
        if reply:
            self.send(reply, cut=cut)
        else:
            self.write_log(0)
            self.hang_up()

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_request  # noqa: N815

    def read_request(self, *, cut: bool) -> Request | None:
        """None if the body broke off, on the client's side or on ours."""
        path, _, query = self.path.partition("?")
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length // 2 if cut else length)
        return Request(self.command, path, query, self.headers, body) if len(body) == length else None

    def carry_out(self, request: Request, fault: Fault | None) -> Reply | None:
        """None if the connection is to be closed instead of an answer."""
        hub = self.server.hub
        match fault.kind if fault else None:
            case "drop":
                return None
            case "drop-after":
                hub.answer(request)
                return None
            case "slow" if hub.stopping.wait(fault.seconds):
                return None
            case "expire" if request.token in hub.tokens:
                hub.tokens[request.token].expired = True
            case "proxy-page":
                return Reply(b"<html>Bad gateway</html>", 502, {"Content-Type": "text/html"})
            case int(status):
                refusal = HubError(status, fault.message).reply
                return Reply(refusal.body, status, refusal.headers | fault.headers)
        return hub.answer(request)

    def send(self, reply: Reply, *, cut: bool) -> None:
        if isinstance(reply.body, Iterator):
            self.send_as_it_comes(reply, cut=cut)
            return
        body = reply.encoded()
        self.write_log(reply.status)
        self.send_response(reply.status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))} | reply.headers
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        self.wfile.flush()
        if cut:
            self.hang_up()

    def send_as_it_comes(self, reply: Reply, *, cut: bool) -> None:
        """A body whose end nobody knows; one that is cut breaks off after its third piece."""
        self.write_log(reply.status)
        self.send_response(reply.status)
        for name, text in (reply.headers | {"Transfer-Encoding": "chunked"}).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.flush()
        for number, piece in enumerate(reply.body):
            if cut and number == 3:
                self.hang_up()
                return
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def hang_up(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def write_log(self, status: int) -> None:
        token = self.server.hub.tokens.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
        user = token.user.name if token else None
        self.log.append(Logged(self.command, self.path.partition("?")[0], user, status))

    def log_message(self, *arguments: object) -> None:
        """The log is in memory; a test's output stays its own."""
