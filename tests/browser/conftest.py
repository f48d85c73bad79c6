"""The real page: `python app.py` as a process, seen by a real Chromium."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from core.runs import RunStore, jobs, process
from tests import warm
from tests.conftest import quick, until

ROOT = Path(__file__).resolve().parents[2]
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 400, "height": 800}
expect.set_options(timeout=30_000)  # on two cores, while something is training


class App:
    """The server, and the folder that it keeps its runs in."""

    options: tuple[str, ...] = ()  # more of `app.py`

    def __init__(
        self, folder: Path, environment: dict[str, str], root: Path = ROOT, options: Sequence[str] = ()
    ) -> None:
        self.root = root
        self.warm = root == ROOT  # what it starts is forked
        self.options = options
        self.store = RunStore(folder / "runs")
        self.log = folder / "app.log"
        self.environment = environment
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> float:
        """Seconds until the page could be asked for."""
        began = time.monotonic()
        host = [] if "--host" in self.options else ["--host", "127.0.0.1"]
        environment = os.environ | self.environment
        before = warm.page(environment) if self.warm else ()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *before, "app.py", *host, "--port", str(self.port), "--runs", str(self.store.root), *self.options],
                cwd=self.root, stdout=log, stderr=log, env=environment,
            )  # fmt: skip
        until(lambda: self._answers() or self.process.poll() is not None, 60)
        assert self.process.poll() is None, self.log.read_text()
        return time.monotonic() - began

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def running(
    folder: Path, environment: dict[str, str] | None = None, options: Sequence[str] = ()
) -> Iterator[App]:
    app = App(folder, environment or {}, options=options)
    app.start()
    try:
        yield app
    finally:
        for run in app.store.all():
            run.request_stop()
        app.close()


@pytest.fixture(scope="session")
def _served(tmp_path_factory) -> Iterator[App]:
    with running(tmp_path_factory.mktemp("served")) as app:
        yield app


@pytest.fixture
def app(_served) -> Iterator[App]:
    """A server that has no runs yet: one for all tests, emptied after each."""
    if _served.process.poll() is not None:
        _served.start()
    yield _served
    for run in _served.store.all():
        process.end(*run.process)
    for path in _served.store.root.glob("*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture(scope="session")
def shown(trained_runs, tmp_path_factory) -> Iterator[App]:
    """A server for tests that only look; it has the runs `full` and `lora`, trained."""
    folder = tmp_path_factory.mktemp("shown")
    shutil.copytree(trained_runs.root, folder / "runs")
    with running(folder) as app:
        yield app


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def chromium(playwright) -> Iterator[Browser]:
    """Its shell, where there is one: it draws pages and no windows around them, which takes half of the time."""
    with launched(playwright, "chromium-headless-shell", "chromium") as browser:
        yield browser


@contextmanager
def launched(playwright: Playwright, *names: str) -> Iterator[Browser]:
    """The first of these browsers that there is."""
    path = next(filter(None, map(shutil.which, names)), None)
    path = path or pytest.fail("there is no browser; run tests/install-browser")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    browser = playwright.chromium.launch(executable_path=path, args=arguments)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def _visited(chromium) -> Iterator[BrowserContext]:
    context = chromium.new_context(viewport=WIDE)
    yield context
    context.close()


@pytest.fixture
def context(_visited) -> Iterator[BrowserContext]:
    """A browser of a person of their own; only what every page loads is in its cache from the test before."""
    yield _visited
    for page in _visited.pages:
        page.close()
    _visited.clear_cookies()
    _visited.clear_permissions()
    blank = _visited.new_page()
    storage = _visited.new_cdp_session(blank)
    for origin in _visited.storage_state()["origins"]:
        storage.send(
            "Storage.clearDataForOrigin", {"origin": origin["origin"], "storageTypes": "local_storage"}
        )
    blank.close()
    assert _visited.storage_state() == {"cookies": [], "origins": []}


@pytest.fixture
def page(context) -> Iterator[Page]:
    """A tab; the test fails if the page reports an error, or asks anybody but its own server for anything."""
    page = context.new_page()
    complaints = watch(page)
    yield page
    assert complaints == []


# What gradio says when one leaves a page that was still asking the server for something: the last, when the server had
# forgotten the page before the page had ended.
LEAVING = re.compile(
    r"AbortError|Connection errored out|ERR_INCOMPLETE_CHUNKED_ENCODING|network error$|^Unexpected error 404: Not Found$"
)


def watch(page: Page) -> list[str]:
    """What the tab complains of, as it comes."""
    complaints: list[str] = []

    def complain(words: str) -> None:
        if not LEAVING.search(words):
            complaints.append(words)

    page.on("console", lambda message: message.type == "error" and complain(message.text))
    page.on("pageerror", lambda error: complain(str(error)))
    page.on("request", lambda request: _is_ours(request.url) or complaints.append(f"asked for {request.url}"))
    return complaints


def _is_ours(url: str) -> bool:
    return re.match(r"(data|blob):|https?://(127\.0\.0\.1|localhost)[:/]", url) is not None


def begin(app: App, name: str, steps: int):
    """A run that takes its time, as if somebody had started it a moment ago."""
    run = app.store.create(name, quick({"train": {"max_steps": steps}}))
    with warm.forked():
        jobs.start(run)
    return run
