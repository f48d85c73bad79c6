"""People at a Space, by HTTP alone: what a page can ask for, they can, and what no page would, too."""

import base64
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.browser.conftest import App
from tests.hub import Hub
from webui.sessions import COOKIE


class Person:
    """Somebody with a browser of their own. The Space's cookie is for https and localhost; this is taken for the latter."""

    def __init__(self, app: App, cookie: str | None = None) -> None:
        self.app = app
        self.cookie = cookie
        self.session = secrets.token_hex(6)  # as gradio's page makes it up
        self.client = httpx.Client(base_url=app.url, timeout=60, trust_env=False)

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = options.pop("headers", {}) | ({"Cookie": f"{COOKIE}={self.cookie}"} if self.cookie else {})
        reply = self.client.request(method, path, headers=headers, **options)
        for line in reply.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            if name == COOKIE:
                self.cookie = value or None
        return reply

    def sign_in(self, hub: Hub, user: str) -> "Person":
        asked = urlsplit(self.ask("GET", "/login/huggingface").headers["location"])
        form = {name: values[-1] for name, values in parse_qs(asked.query).items()}
        consent = httpx.post(f"{hub.url}/oauth/authorize", data=form | {"user": user}, trust_env=False)
        back = urlsplit(consent.headers["location"])
        assert self.ask("GET", f"{back.path}?{back.query}").status_code in (302, 307)
        return self

    def events(self) -> list[dict[str, Any]]:
        return self.ask("GET", "/config").json()["dependencies"]

    def event(self, name: str) -> dict[str, Any]:
        return next(each for each in self.events() if each["api_name"] == name)

    def call(self, event: dict[str, Any] | str, *data: Any, **more: Any) -> Any:
        """What the event answers, as it goes to the page; the words of the error if it ends in one."""
        event = self.event(event) if isinstance(event, str) else event
        body = {"data": list(data), "fn_index": event["id"], "session_hash": self.session} | more
        if event["queue"] is False:
            return self.ask("POST", f"/gradio_api/run/{event['api_name']}", json=body).json()
        joined = self.ask("POST", "/gradio_api/queue/join", json=body)
        if joined.status_code != 200:
            return joined.json()
        return list(self._answers())[-1]

    def look(self, run: str) -> str:
        """What the Runs page shows of a run, and what it printed."""
        parts = self.ask("GET", "/config").json()["components"]
        watcher = next(each["id"] for each in parts if "news" in each["props"].get("server_fns", []))

        def asked(function: str, **data: Any) -> dict[str, Any]:
            body = {
                "data": {"run": run} | data,
                "fn_name": function,
                "component_id": watcher,
                "session_hash": self.session,
            }
            answer = self.ask("POST", "/gradio_api/component_server", json=body)
            return answer.json() if answer.is_success else {}

        printed = asked("piece", file="log", begin=0).get("base64", "")
        return f"{asked('news', fresh=True)} {base64.b64decode(printed).decode()}"

    def _answers(self) -> Iterator[Any]:
        headers = {"Cookie": f"{COOKIE}={self.cookie}"} if self.cookie else {}
        path = f"/gradio_api/queue/data?session_hash={self.session}"
        with self.client.stream("GET", path, headers=headers) as stream:
            for line in stream.iter_lines():
                told = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
                if told.get("msg") in ("process_generating", "process_completed"):
                    yield told["output"]
                if told.get("msg") == "process_completed":
                    return

    def upload(self, path: Path) -> httpx.Response:
        return self.ask("POST", "/gradio_api/upload", files={"files": (path.name, path.read_bytes())})


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below, with what is in it; locks that come and go are none."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith("lock")
    }
