"""An OpenAI-compatible endpoint on this machine, which does in turn what it is told to do."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Endpoint:
    """`script` is what it does at each request, the last of it for ever: a reply, a status, or ("wait", seconds)."""

    script: list[Any]
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    tokens: int = 100  # that it says each reply took

    def next(self) -> Any:
        return self.script[min(len(self.requests), len(self.script)) - 1]


@contextmanager
def serving(*script: Any, tokens: int = 100) -> Iterator[Endpoint]:
    endpoint = Endpoint(list(script), tokens=tokens)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            endpoint.requests.append(request)
            endpoint.headers.append({name.lower(): value for name, value in self.headers.items()})
            said = endpoint.next()
            status, extra = 200, {}
            if isinstance(said, tuple) and said[0] == "wait":
                time.sleep(said[1])
                said = "[]"
            if isinstance(said, tuple):
                status, extra, said = said[0], said[1], ""
            if isinstance(said, Callable):
                said = said(request)
            message = {"role": "assistant", "content": said}
            body = json.dumps(
                {
                    "id": "1",
                    "created": 1,
                    "model": request["model"],
                    "object": "chat.completion",
                    "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
                    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": endpoint.tokens},
                }
            ).encode()
            try:
                self.send_response(status)
                for name, value in extra.items():
                    self.send_header(name, value)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                pass  # the client did not wait

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    endpoint.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
