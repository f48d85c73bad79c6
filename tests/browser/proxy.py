"""A proxy as many have before their servers: it serves another server below a path, which it strips."""

import contextlib
import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@contextlib.contextmanager
def proxy(target: str, prefix: str) -> Iterator[str]:
    """The proxy's own address; what it serves begins with the prefix, and nothing else is there."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            if not self.path.startswith(prefix + "/"):
                self.send_error(404)
                return
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            server = http.client.HTTPConnection(urlsplit(target).netloc, timeout=60)
            server.request(self.command, self.path.removeprefix(prefix), body, dict(self.headers))
            reply = server.getresponse()
            self.send_response(reply.status)
            for name, value in reply.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "date", "server"):
                    self.send_header(name, value)
            self.end_headers()
            while part := reply.read1(65536):
                self.wfile.write(part)
                self.wfile.flush()

        do_GET = do_POST = do_HEAD = answer  # noqa: N815 (as http.server calls them)

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with contextlib.suppress(
                ConnectionError, http.client.HTTPException
            ):  # the browser left, or the server ended
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
