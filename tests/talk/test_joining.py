"""Whoever comes while the process that answers is ending starts another."""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from core.runs.process import born
from core.runs.store import Run
from core.talk import Loaded, Talk, _Line, address
from core.talk.address import Address
from core.talk.answers import error_of
from core.talk.requests import RefusedError
from core.talk.users import Users

LOADED = {"base": "a", "tuned": "b", "shared": True, "memory_bytes": 1}


@pytest.fixture
def answering():
    """A process that answers in one way to whoever wants to join it; its address."""
    servers = []

    def answering(status: int, *lines: dict) -> Address:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write("".join(json.dumps(line) + "\n" for line in lines).encode())

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return Address(os.getpid(), born(os.getpid()), f"http://127.0.0.1:{server.server_port}", "key")

    yield answering
    for server in servers:
        server.shutdown()
        server.server_close()


def test_whoever_comes_while_the_process_is_ending_gets_the_next_one(answering, tmp_path, monkeypatch):
    users = Users(lasting=False)
    users.leave("starter")
    with pytest.raises(RefusedError) as refused:
        users.join()
    ending = answering(503, error_of(refused.value))
    starting = answering(200, {"user": "me"}, {"loaded": LOADED})
    run, asked = Run(tmp_path), []
    address.write(run, ending)
    read = address.read

    def there(run: Run) -> Address | None:
        asked.append(run)
        if len(asked) == 3:  # it has ended
            (run.folder / address.FILE).unlink()
            return None
        return read(run)

    monkeypatch.setattr(address, "read", there)
    monkeypatch.setattr(_Line, "_start", lambda line: starting)
    talk = Talk(run)
    assert talk.ready(timeout=10) == Loaded(**LOADED)
    assert len(asked) == 3
    talk.close()
